"""
Watches a command and all that it starts: which addresses they asked for, and which processes they were.

With strace nothing escapes, native code included. Where there is none, Python's audit events are recorded in every Python process:
what a library does without Python is not seen then.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

CALLS = "connect,sendto,sendmsg,sendmmsg,execve,fork,vfork,clone,clone3,openat"
STRACE = ("strace", "-ff", "-qq", "--seccomp-bpf", "-s", "300", "-e", "signal=none", "-e", f"trace={CALLS}")

#: An asker of names on this machine carries the question on.
_RESOLVERS = ("io.systemd.Resolve", "nscd/socket")
_NAMES_PORT = 53

_ADDRESS = re.compile(r"sa_family=AF_(?P<family>\w+)(?P<rest>[^}]*)")
_PORT = re.compile(r"sin6?_port=htons\((\d+)\)")
_HOST = re.compile(r'inet_addr\("([^"]+)"\)|inet_pton\(AF_INET6, "([^"]+)"')
_UNIX = re.compile(r'sun_path=(@?"[^"]*")')
_CHILD = re.compile(r"^(?:fork|vfork|clone3?)\((?P<how>.*)\) = (?P<pid>\d+)$")
_EXEC = re.compile(r'^execve\("[^"]*", \[(?P<arguments>.*?)\](?:\.\.\.)?, .* = 0$')
_STRING = re.compile(r'"((?:[^"\\]|\\.)*)"')
_OPENED = re.compile(r'^openat\([^"]*"(?P<path>[^"]*)".* = \d+$')


@dataclass(slots=True)
class Seen:
    """What a command and its children did."""

    connections: list[str] = field(default_factory=list)
    """addresses beyond this machine, as family:host:port"""
    local: list[str] = field(default_factory=list)
    """addresses on this machine"""
    commands: list[list[str]] = field(default_factory=list)
    """what was executed, each with its arguments"""
    forked: int = 0
    """processes that are copies of one of ours and went on without executing anything"""
    opened: set[str] = field(default_factory=set)
    """names of files that were opened"""

    def address(self, family: str, host: str, port: int) -> None:
        """Take note of an address that was asked for."""
        own = host.startswith(("127.", "::ffff:127.")) or host in {"::1", "localhost"}
        here = self.local if own and port != _NAMES_PORT else self.connections
        here.append(f"{family}:{host}:{port}")

    def unix(self, path: str) -> None:
        """Take note of a socket of this machine."""
        here = self.connections if any(name in path for name in _RESOLVERS) else self.local
        here.append(f"unix:{path}")


class Strace:
    """Watches system calls."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir()

    @staticmethod
    def missing() -> str | None:
        """Return why this machine has none that works."""
        if shutil.which("strace") is None:
            return "strace is not installed"
        tried = subprocess.run([*STRACE, "-o", os.devnull, "true"], capture_output=True, text=True, check=False)
        return f"strace does not work here: {tried.stderr.strip()}" if tried.returncode else None

    def command(self, *command: str) -> list[str]:
        """Return `command`, watched."""
        return [*STRACE, "-o", str(self._folder / "calls"), *command]

    def environment(self) -> dict[str, str]:
        return {}

    def seen(self) -> Seen:
        """Return what was seen so far; call it when the command has ended."""
        seen = Seen()
        children: set[str] = set()
        executed: set[str] = set()
        for path in self._folder.glob("calls.*"):
            pid = path.suffix.removeprefix(".")
            for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
                if (child := _CHILD.match(line)) and "CLONE_THREAD" not in child["how"]:
                    children.add(child["pid"])
                elif started := _EXEC.match(line):
                    executed.add(pid)
                    seen.commands.append(_STRING.findall(started["arguments"]))
                elif opened := _OPENED.match(line):
                    seen.opened.add(Path(opened["path"]).name)
                elif line.startswith(("connect(", "send")):
                    _note_addresses(line, seen)
        seen.forked = len(children - executed)
        return seen


def _note_addresses(line: str, seen: Seen) -> None:
    for found in _ADDRESS.finditer(line):
        family, rest = found["family"], found["rest"]
        if family in {"INET", "INET6"}:
            host, port = _HOST.search(rest), _PORT.search(rest)
            seen.address(
                family.lower(), next(filter(None, host.groups())) if host else "?", int(port[1]) if port else 0
            )
        elif family == "UNIX":
            path = _UNIX.search(rest)
            # Without a name: one of a pair that a process shares with its children.
            seen.unix(path[1] if path else "")
        elif family not in {"NETLINK", "UNSPEC"}:
            # The kernel's own news, and the end of a connection, are for nobody else.
            seen.connections.append(family.lower())


class Audit:
    """Watches what Python code does, where there is no strace."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._events = folder / "events"
        self._events.mkdir(parents=True)
        # Python runs a module of this name at each start. A copy: importing ours would import pixfind into every process.
        shutil.copy(Path(__file__).with_name("audit_hook.py"), folder / "sitecustomize.py")

    @staticmethod
    def missing() -> str | None:
        return None

    def command(self, *command: str) -> list[str]:
        return list(command)

    def environment(self) -> dict[str, str]:
        before = os.environ.get("PYTHONPATH")
        folders = [str(self._folder), *([before] if before else [])]
        return {"PYTHONPATH": os.pathsep.join(folders), "PIXFIND_TESTING_WATCH": str(self._events)}

    def seen(self) -> Seen:
        seen = Seen(commands=[[sys.executable]])
        for path in self._events.glob("*.jsonl"):
            for line in path.read_text(encoding="utf-8").splitlines():
                match json.loads(line):
                    case ["address", host, port]:
                        seen.address("inet", host, port)
                    case ["unix", name]:
                        seen.unix(name)
                    case ["fork"]:
                        seen.forked += 1
                    case ["exec", arguments]:
                        seen.commands.append(arguments)
                    case ["import", name]:
                        seen.opened.add(name)
        return seen
