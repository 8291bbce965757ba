"""
A watch as a service of the user: a unit for systemd, a property list for launchd.

Owns where the file lies and what is in it; starting it is left to the user, who is shown the command. The formats: systemd.unit(5), systemd.service(5),
launchd.plist(5).
"""

import hashlib
import os
import plistlib
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pixfind import errors
from pixfind.storage import disk

_MARK = "Written by pixfind watch, which also removes it: see its options install and uninstall."
"""by which a file of ours is known; a comment of XML holds no double hyphen"""
_NICE = 10
_RESTART_SECONDS = 30
_KEPT = ("PIXFIND_CACHE", "HF_HOME")
"""settings of the environment by which the models are found"""


@dataclass(frozen=True, slots=True)
class Service:
    """A file that starts a watch, and what to do with it."""

    path: Path
    content: bytes
    start: tuple[str, ...]
    """commands that start the watch now and with each login"""
    stop: tuple[str, ...]
    """commands that end it once the file is gone"""
    log: str
    """command that shows what it says"""
    keep: str | None = None
    """command that lets it run while the user is logged out, where that is not so anyway"""
    link: Path | None = None
    """what the system itself makes when the service is enabled"""


def service(
    library: Path,
    options: Sequence[str] = (),
    *,
    system: str = sys.platform,
    environment: Mapping[str, str] = os.environ,
) -> Service:
    """
    Return the service that runs `pixfind watch` with these options on a library, as this Python and this user would.

    Raises NoServiceManager where there is neither systemd nor launchd.
    """
    home = Path(environment.get("HOME") or Path.home())
    path = library.absolute()
    # Two libraries may have folders of the same name.
    name = f"{_slug(path.name)}-{hashlib.sha256(os.fsencode(path)).hexdigest()[:6]}"
    words = [sys.executable, "-m", "pixfind", "--library", str(path), "watch", *options]
    kept = {key: environment[key] for key in _KEPT if key in environment}
    if system == "darwin":
        return _launchd(home, name, words, kept)
    if system != "linux" or shutil.which("systemctl", path=environment.get("PATH")) is None:
        raise errors.NoServiceManager(path=path)
    return _systemd(Path(environment.get("XDG_CONFIG_HOME") or home / ".config"), name, words, kept)


def install(made: Service) -> None:
    """Write the file of a service; raises ServiceNotOurs where another file has its place, and what `disk.publish` raises."""
    refuse_others(made)
    made.path.parent.mkdir(parents=True, exist_ok=True)
    disk.publish(made.path, made.content)


def uninstall(made: Service) -> None:
    """Delete the file of a service; raises ServiceNotInstalled where there is none, ServiceNotOurs where it is another's."""
    refuse_removal(made)
    disk.delete(made.path)
    if made.link is not None and made.link.is_symlink():
        disk.delete(made.link)


def refuse_removal(made: Service) -> None:
    """Raise ServiceNotInstalled where there is no such file, ServiceNotOurs where it is another's."""
    refuse_others(made)
    if not made.path.exists():
        raise errors.ServiceNotInstalled(path=made.path)


def refuse_others(made: Service) -> None:
    """Raise ServiceNotOurs where another file has the place of this one."""
    path = made.path
    # A link is not ours either: what it leads to would be replaced by a file, or the file by nothing.
    if path.is_symlink() or (path.exists() and _MARK.encode() not in path.read_bytes()):
        raise errors.ServiceNotOurs(path=path)


def _slug(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-").lower() or "library"


def _systemd(config: Path, name: str, words: Sequence[str], environment: Mapping[str, str]) -> Service:
    unit = f"pixfind-watch-{name}.service"
    settings = "".join(f"Environment={_quoted(f'{key}={value}')}\n" for key, value in environment.items())
    content = f"""# {_MARK}
[Unit]
Description=pixfind watch {name}

[Service]
ExecStart={" ".join(_quoted(word, in_command=True) for word in words)}
{settings}Nice={_NICE}
Restart=on-failure
RestartSec={_RESTART_SECONDS}

[Install]
WantedBy=default.target
"""
    folder = config / "systemd" / "user"
    return Service(
        path=folder / unit,
        content=content.encode(),
        start=("systemctl --user daemon-reload", f"systemctl --user enable --now {unit}"),
        stop=(f"systemctl --user stop {unit}", "systemctl --user daemon-reload"),
        log=f"journalctl --user --unit {unit}",
        keep="loginctl enable-linger",
        link=folder / "default.target.wants" / unit,
    )


def _quoted(word: str, *, in_command: bool = False) -> str:
    r"""Return a word as systemd.syntax(7) has it: in quotes, `\xNN` for bytes that are no text, `%` doubled, and in a command `$` too."""
    quoted = []
    for character in word:
        if character in '"\\':
            quoted.append("\\" + character)
        elif character == "%" or (character == "$" and in_command):
            quoted.append(2 * character)
        elif character.isprintable():
            quoted.append(character)
        else:
            quoted += [f"\\x{byte:02x}" for byte in os.fsencode(character)]
    return f'"{"".join(quoted)}"'


def _launchd(home: Path, name: str, words: Sequence[str], environment: Mapping[str, str]) -> Service:
    label = f"pixfind-watch-{name}"
    log = home / "Library" / "Logs" / f"{label}.log"
    values = {
        "Label": label,
        "ProgramArguments": list(words),
        "EnvironmentVariables": dict(environment),
        "RunAtLoad": True,
        "KeepAlive": {"SuccessfulExit": False},
        "ThrottleInterval": _RESTART_SECONDS,
        "Nice": _NICE,
        "ProcessType": "Background",
        "StandardErrorPath": str(log),
    }
    head, doctype, body = plistlib.dumps(values).partition(b"<plist")
    path = home / "Library" / "LaunchAgents" / f"{label}.plist"
    return Service(
        path=path,
        content=head + f"<!-- {_MARK} -->\n".encode() + doctype + body,
        start=(f"launchctl bootstrap gui/$(id -u) {_in_shell(path)}",),
        stop=(f"launchctl bootout gui/$(id -u)/{label}",),
        log=f"tail -f {_in_shell(log)}",
    )


def _in_shell(path: Path) -> str:
    import shlex

    return shlex.quote(str(path))
