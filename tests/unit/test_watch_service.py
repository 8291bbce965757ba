"""The file that starts a watch with the system: what is in it, and that no other file is touched."""

import os
import plistlib
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from pixfind import errors
from pixfind.workflows import watch_service
from pixfind.workflows.watch_service import Service

_SYSTEMD_ANALYZE = shutil.which("systemd-analyze")


def made(tmp_path: Path, library: Path, system: str = "linux", options: Sequence[str] = (), **more: str) -> Service:
    tools = tmp_path / "bin"
    tools.mkdir(exist_ok=True)
    (tools / "systemctl").touch(mode=0o700)
    environment = {"HOME": str(tmp_path / "home"), "PATH": str(tools), **more}
    return watch_service.service(library, options, system=system, environment=environment)


def test_a_unit_of_systemd_runs_this_python_on_this_library(tmp_path: Path) -> None:
    service = made(tmp_path, Path("/srv/My pictures"), options=["--cpu", "50%"], PIXFIND_CACHE="/srv/cache")
    text = service.content.decode()
    name = service.path.name

    assert tmp_path / "home/.config/systemd/user" == service.path.parent
    assert name.startswith("pixfind-watch-my-pictures-")
    assert (
        f'ExecStart="{sys.executable}" "-m" "pixfind" "--library" "/srv/My pictures" "watch" "--cpu" "50%%"\n' in text
    )
    assert 'Environment="PIXFIND_CACHE=/srv/cache"\n' in text
    assert {"Nice=10", "Restart=on-failure", "WantedBy=default.target"} <= set(text.splitlines())
    assert f"systemctl --user enable --now {name}" in service.start


def test_a_unit_quotes_what_systemd_would_take_for_its_own(tmp_path: Path) -> None:
    library = Path(os.fsdecode(b'/srv/100% "$HOME" \\ caf\xe9\n \xc3\xa9'))

    assert '"/srv/100%% \\"$$HOME\\" \\\\ caf\\xe9\\x0a é"' in made(tmp_path, library).content.decode()


@pytest.mark.skipif(_SYSTEMD_ANALYZE is None, reason="needs systemd-analyze")
def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    service = made(tmp_path, tmp_path / "lib $x 50%")
    watch_service.install(service)

    verified = subprocess.run(
        [_SYSTEMD_ANALYZE or "", "--user", "verify", str(service.path)],
        # Else it looks for that of a session.
        env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)},
        capture_output=True,
        check=False,
        text=True,
    )
    assert (0, "") == (verified.returncode, verified.stderr)


def test_a_property_list_of_launchd(tmp_path: Path) -> None:
    service = made(tmp_path, Path("/Users/ada/Pictures & more"), "darwin", ["--rescan", "5"])
    values = plistlib.loads(service.content)

    assert tmp_path / "home/Library/LaunchAgents" == service.path.parent
    assert service.path.stem == values["Label"]
    assert [
        sys.executable,
        "-m",
        "pixfind",
        "--library",
        "/Users/ada/Pictures & more",
        "watch",
        "--rescan",
        "5",
    ] == values["ProgramArguments"]
    assert ({"SuccessfulExit": False}, 10, True) == (values["KeepAlive"], values["Nice"], values["RunAtLoad"])
    assert [f"launchctl bootstrap gui/$(id -u) {service.path}"] == list(service.start)


def test_two_libraries_of_one_name_have_two_services(tmp_path: Path) -> None:
    assert made(tmp_path, Path("/a/library")).path != made(tmp_path, Path("/b/library")).path


@pytest.mark.parametrize("system", ["linux", "darwin"])
def test_what_is_installed_can_be_renewed_and_removed(tmp_path: Path, system: str) -> None:
    service = made(tmp_path, Path("/srv/library"), system)
    watch_service.install(service)
    renewed = made(tmp_path, Path("/srv/library"), system, ["--cpu", "20%"])
    watch_service.install(renewed)
    assert renewed.content == service.path.read_bytes()
    if service.link is not None:
        # What `systemctl enable` makes.
        service.link.parent.mkdir()
        service.link.symlink_to(service.path)

    watch_service.uninstall(service)
    assert not service.path.exists()
    assert service.link is None or not os.path.lexists(service.link)
    with pytest.raises(errors.ServiceNotInstalled):
        watch_service.uninstall(service)


@pytest.mark.parametrize("link", [False, True])
def test_a_file_of_somebody_else_stays(tmp_path: Path, link: bool) -> None:
    service = made(tmp_path, Path("/srv/library"))
    service.path.parent.mkdir(parents=True)
    place = tmp_path / "elsewhere" if link else service.path
    place.write_bytes(service.content if link else b"[Unit]\n")
    if link:
        service.path.symlink_to(place)
    before = place.read_bytes()

    for change in (watch_service.install, watch_service.uninstall):
        with pytest.raises(errors.ServiceNotOurs):
            change(service)
    assert before == place.read_bytes()


@pytest.mark.parametrize("system", ["win32", "linux", "freebsd14"])
def test_a_system_without_a_service_manager_is_told_how_to_start_the_watch(tmp_path: Path, system: str) -> None:
    environment = {"HOME": str(tmp_path), "PATH": str(tmp_path)}

    with pytest.raises(errors.NoServiceManager, match="pixfind --library /srv/library watch"):
        watch_service.service(Path("/srv/library"), system=system, environment=environment)
    assert [] == list(tmp_path.iterdir())
