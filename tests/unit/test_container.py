"""The files of the container say what this version understands, and keep to what the guide promises of them."""

import json
import re
import tomllib
from pathlib import Path

import typer

from pixfind.cli import app
from pixfind.server import access

ROOT = Path(__file__).parents[2]
FILE = (ROOT / "Containerfile").read_text(encoding="utf-8")
COMPOSE = (ROOT / "compose.yaml").read_text(encoding="utf-8")


def words(instruction: str) -> list[str]:
    """The words of the last instruction of that kind, which has them as a JSON list."""
    found: list[str] = json.loads(re.findall(rf"^{instruction} (\[.*\])$", FILE, re.MULTILINE)[-1])
    return found


def test_the_command_is_one_that_this_version_has() -> None:
    verb, *options = words("CMD")
    command = typer.main.get_command(app).get_command(None, verb)  # type: ignore[attr-defined]
    with command.make_context(verb, options) as context:
        assert {"watch": True, "token_file": Path("/data/token")}.items() <= context.params.items()
        assert not access.is_local(context.params["host"])
    assert ["pixfind"] == words("ENTRYPOINT")


def test_it_is_nobody_in_particular_who_writes_to_one_volume() -> None:
    last = FILE.rpartition("FROM ")[2]
    written = re.findall(r"(?:PIXFIND_LIBRARY|PIXFIND_CACHE|HOME)=(\S+)", last)

    assert ["1000:1000"] == re.findall(r"^USER (.*)$", last, re.MULTILINE)
    assert ["/data"] == re.findall(r"^VOLUME (.*)$", last, re.MULTILINE)
    assert 3 == len(written)
    assert all(place == "/data" or place.startswith("/data/") for place in written)


def test_the_service_may_write_nowhere_else() -> None:
    for line in ("read_only: true", "no-new-privileges:true", ":/pictures:ro", "${ADDRESS:-127.0.0.1}:8765:8765"):
        assert line in COMPOSE
    assert "- ALL" in COMPOSE.partition("cap_drop:")[2][:20]


def test_its_extras_and_its_files_are_there() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (extras,) = re.findall(r"^ARG EXTRAS=(.*)$", FILE, re.MULTILINE)

    assert {*extras.split(",")} <= project["optional-dependencies"].keys()
    sent = [line.removeprefix("!") for line in (ROOT / ".dockerignore").read_text().splitlines() if line != "*"]
    assert {"src", "pyproject.toml", "constraints.txt"} <= {*sent}
    assert all((ROOT / name).exists() for name in sent)
