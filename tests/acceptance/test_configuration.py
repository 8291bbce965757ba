"""Defaults of options from the environment and from files: which place comes first, what is refused, and what `pixfind config` shows."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer

from pixfind import errors
from pixfind.cli import app, configuration
from pixfind.library.library import Library
from pixfind.testing.commands import Commands

Run = Callable[..., str]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    Library.create(tmp_path / "library").close()
    return tmp_path / "library"


@pytest.fixture
def of_user(tmp_path: Path) -> Path:
    folder = tmp_path / "config-home/pixfind"
    folder.mkdir(parents=True)
    return folder / configuration.FILE


@pytest.fixture
def run(place: Path, commands: Commands) -> Run:
    """Run pixfind on the library; returns what it printed, on standard error where it fails with `code`."""

    def done(*arguments: object, code: int = 0) -> str:
        said = commands.run(["--library", str(place), *map(str, arguments)])
        assert code == said.returncode, said.stderr.decode()
        return (said.stderr if code else said.stdout).decode()

    return done


def test_the_command_line_comes_first_then_variables_then_the_library_then_the_user(
    run: Run, place: Path, of_user: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "[]" == json.dumps(json.loads(run("config", "--json"))["settings"])
    of_user.write_text("[search]\ncount = 2\n")
    assert held(run) == [("--count", "2", str(of_user))]
    (place / configuration.FILE).write_text("[search]\ncount = 3\n")
    assert held(run) == [("--count", "3", str(place / configuration.FILE))]
    monkeypatch.setenv("PIXFIND_SEARCH_COUNT", "many")
    assert held(run) == [("--count", "many", "PIXFIND_SEARCH_COUNT")]

    assert "PIXFIND_SEARCH_COUNT" in run("search", "sky", code=2)
    assert "PIXFIND" not in run("search", "sky", "-k", "few", code=2)
    run("search", "sky", "-k", "4", code=errors.NotEmbedded.exit_code)


def held(run: Run) -> list[tuple[str, object, str]]:
    settings = json.loads(run("config", "--json"))["settings"]
    return [(each["option"], each["value"], each["source"]) for each in settings]


def test_what_cannot_be_used_is_said_and_variables_of_no_option_are_named(
    run: Run, of_user: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_user.write_text('[search]\ncount = "many"\nsort = "date"\n[index]\nexclude = ["a", "b"]\n')
    monkeypatch.setenv("PIXFIND_SERACH_COUNT", "3")
    monkeypatch.setenv("PIXFIND_LIBRARY", "elsewhere")
    found = json.loads(run("config", "--json"))
    problems = {each["option"]: each["problem"] for each in found["settings"]}

    assert {"--sort": None, "--exclude": None} == {name: problems[name] for name in ("--sort", "--exclude")}
    assert "valid integer" in problems["--count"]
    assert [{"name": "PIXFIND_SERACH_COUNT", "suggestion": "PIXFIND_SEARCH_COUNT"}] == found["unknown_variables"]
    assert "cannot be used:" in run("config")


def test_config_lists_all_that_is_wrong_beside_what_is_right(place: Path, of_user: Path, commands: Commands) -> None:
    of_user.write_text("[search]\ncuont = 3\ndistinct = true\n[serach]\ncount = 1\n[index]\nworkers = [1]\n")
    said, shown = (commands.run(["--library", str(place), "config", *option]) for option in (["--json"], []))
    found = json.loads(said.stdout)

    assert (2, 2) == (said.returncode, shown.returncode)
    assert ["--distinct"] == [each["option"] for each in found["settings"]]
    assert {str(of_user)} == {each["source"] for each in found["refused"]}
    details = "\n".join(each["detail"] for each in found["refused"])
    assert 3 == len(found["refused"])
    for wrong in ("'serach' (did you mean search?)", "--cuont (did you mean count?)", "workers in [index]"):
        assert wrong in details
    assert b"pixfind search --distinct" in shown.stdout
    assert 3 == shown.stderr.count(b"error: ")


def test_flags_lists_and_commands_of_two_words(run: Run, of_user: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    of_user.write_text('[index]\nexclude = ["*.tmp", "raw"]\narchives = true\n[model.switch]\nprecision = "int8"\n')
    monkeypatch.setenv("PIXFIND_STATUS_JSON", "yes")

    assert {
        ("--exclude", ("*.tmp", "raw")),
        ("--archives", True),
        ("--precision", "int8"),
        ("--json", True),
    } == {(option, tuple(value) if isinstance(value, list) else value) for option, value, _ in held(run)}
    assert json.loads(run("status"))
    assert "pixfind model switch --precision int8" in run("config")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[search]\ncuont = 3", "did you mean count"),
        ("[serach]\ncount = 3", "did you mean search"),
        ("count = 3", "there is no command 'count'"),
        ("search = 3", "write [search]"),
        ("[search]\ncount = [1, 2]", "of another kind"),
        ('[search]\njson = "true"', "true or false"),
        ("[search]\ncount = 2_000_000", "--count of `pixfind search`"),
        ('[search]\ncount = "many"', "--count of `pixfind search`"),
        ("[search", "not TOML"),
        ("[[search]]\ncount = 3", "write [search]"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_a_file_is_refused_with_its_name(run: Run, of_user: Path, text: str, said: str) -> None:
    of_user.write_text(text)
    found = run("search", "sky", code=2)

    assert str(of_user) in found
    assert said in " ".join(found.split())


@pytest.mark.parametrize(
    "text",
    ['[search]\nhtml = "{home}/.bashrc"', '[search]\ncopy-to = "/tmp/x"', '[serve]\nhost = "0.0.0.0"', "[serve]\nno-token = true",
     '[serve]\ntoken-file = "known"', "[verify]\nrepair = true", '[demo]\npictures = "/"', "[completions]\nx = 1"],
)  # fmt: skip
def test_a_library_of_somebody_else_sets_nothing_that_writes_or_lets_in(run: Run, place: Path, text: str) -> None:
    (place / configuration.FILE).write_text(text)

    assert "library" in run("config", code=2)


def test_what_a_library_may_set_are_options(place: Path) -> None:
    assert place
    names = {option.lstrip("-") for param in _params(typer.main.get_group(app)) for option in param.opts}

    assert configuration._OF_A_LIBRARY <= names


def _params(group: Any) -> list[Any]:
    commands = getattr(group, "commands", {}).values()
    return [*getattr(group, "params", []), *(param for each in commands for param in _params(each))]


def test_the_help_is_shown_whatever_a_file_holds(run: Run, of_user: Path) -> None:
    of_user.write_text("[search")

    assert "--count" in run("search", "--help")


def test_the_mark_of_an_encoding_at_its_beginning_is_no_error(run: Run, of_user: Path) -> None:
    of_user.write_text("[search]\ncount = 2\n", encoding="utf-8-sig")

    assert held(run) == [("--count", "2", str(of_user))]


@pytest.mark.parametrize(
    ("variable", "arguments", "said"),
    [
        ("PIXFIND_SERVE_WATCH", ["serve", "--on", "host:1"], "--watch cannot be used with --on"),
        ("PIXFIND_SERVE_NO_TOKEN", ["serve", "--token-file", "token"], "--no-token cannot be used with --token-file"),
    ],
)
def test_a_flag_that_is_set_elsewhere_is_named_where_it_excludes_another(
    run: Run, monkeypatch: pytest.MonkeyPatch, variable: str, arguments: list[str], said: str
) -> None:
    monkeypatch.setenv(variable, "1")

    assert said in " ".join(run(*arguments, code=2).split())


@pytest.mark.parametrize(
    ("table", "setting"),
    [
        ("albums", 'remove = "Sun"'),
        ("albums", 'add = "Sun"'),
        ("search", 'save = "Sun"'),
        ("verify", "repair = true"),
        ("thumbnails", "off = true"),
        ("watch", "uninstall = true"),
        ("index", "switch-anyway = true"),
        ("model.switch", "anyway = true"),
    ],
)
def test_what_a_command_does_once_has_no_default(
    run: Run, of_user: Path, monkeypatch: pytest.MonkeyPatch, table: str, setting: str
) -> None:
    of_user.write_text(f"[{table}]\n{setting}\n")
    command, option = table.replace(".", " "), f"--{setting.split()[0]}"
    refused = f"{option} of `pixfind {command}` is done once and has no default"
    assert refused in " ".join(run("config", code=2).split())

    of_user.unlink()
    monkeypatch.setenv(configuration.variable(command, option.lstrip("-")), "1")
    assert refused in " ".join(run("config", code=2).split())


def test_a_default_gives_way_to_what_excludes_it_on_the_command_line(run: Run, of_user: Path, pictures: Path) -> None:
    of_user.write_text(
        "[duplicates]\npaths = true\nnull = true\n[search]\njson = true\nlandscape = true\n"
        '[search-text]\npictures = "sixel"\n'
    )
    shutil.copy(pictures / "picture_00001.jpg", pictures / "copy.jpg")
    run("index", pictures, "--model", "starter")

    assert 2 == len(json.loads(run("duplicates", "--exact", "--json"))[0]["members"])
    assert "copy.jpg\0" in run("duplicates", "--exact")
    assert "No image passes" in run("search", "snow", "--include-weak", "--portrait", "--paths", code=1)
    assert 20 == len(run("search", "snow", "--include-weak", "--paths").splitlines())
    assert 20 == len(json.loads(run("search-text", "snow", "--include-weak", "--json")))
    of_user.write_text('[search-text]\njson = true\npictures = "sixel"\n')
    assert "--pictures cannot be used with --json" in run("search-text", "snow", code=2)


def test_a_pipe_is_no_configuration(run: Run, place: Path) -> None:
    os.mkfifo(place / configuration.FILE)

    assert "no regular file" in run("status", code=2)


def test_both_files_are_named_where_nothing_is_set(place: Path, commands: Commands, of_user: Path) -> None:
    said = commands.run(["--library", str(place), "config"]).stderr.decode()

    assert f"{place / configuration.FILE} (not there)" in said
    assert f"{of_user} (not there)" in said


def test_exclusions_that_are_configured_hold_as_long_as_the_file_says_so(
    run: Run, of_user: Path, pictures: Path
) -> None:
    of_user.write_text('[add]\nexclude = ["*_0000?.jpg"]\n')
    run("add", pictures, "--exclude", "*_00010.jpg")
    assert "29 images, without '*_00010.jpg', without '*_0000?.jpg' (configured for `pixfind add`)" in run("status")

    of_user.write_text("")
    run("add", pictures)
    assert "39 images, without '*_00010.jpg'\n" in run("status")
    run("add", pictures, "--include", "*_00010.jpg")
    (root,) = json.loads(run("status", "--json"))["roots"]
    assert (40, [], {}) == (root["images"], root["exclude"], root["exclude_configured"])
    assert "It has none" in run("add", pictures, "--include", "*_00010.jpg", code=2)
