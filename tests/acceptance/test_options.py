"""
What was asked is done or refused: every option against every other that it could contradict.

Each verb is called as the command line calls it, in this process. `REFUSED` is the list of combinations of which one part would do
nothing; each must end with its error before anything is changed. The tests below it show those that are done.
"""

import json
import re
import shutil
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import pixfind
from pixfind import errors
from pixfind.cli import app
from pixfind.library import control
from pixfind.library.library import Library
from pixfind.library.verify import verify
from pixfind.testing import make_library, make_pictures

CLIP = Path(__file__).parents[1] / "golden" / "clip-tiny"


Call = Callable[..., Any]


def call(*words: object, code: int = 0, error: type[BaseException] | None = None) -> Any:
    """Call pixfind; returns its output. With `error` it must be raised."""
    result = CliRunner().invoke(app, [str(word) for word in words])
    if error is not None:
        assert isinstance(result.exception, error), (result.exception, result.output)
        assert result.stdout == "" or "error" not in result.stdout
        return str(result.exception)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert code == result.exit_code, result.output
    return result


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A library with everything embedded, which no test here may change."""
    folder = tmp_path_factory.mktemp("options")
    make_pictures(folder / "pictures", 12)
    make_library(folder / "library", folder / "pictures").close()
    yield folder / "library"
    with Library.open(folder / "library") as library:
        assert [] == verify(library)
        assert 12 == library.catalogue.ledger()["embedded"]


REFUSED = [
    # which library
    ("--verbose --quiet status", errors.ConflictingOptions),
    ("--library elsewhere embed", errors.OneLibraryNeeded),
    ("--library elsewhere merge", errors.OneLibraryNeeded),
    ("--library elsewhere verify --repair", errors.OneLibraryNeeded),
    ("--library elsewhere duplicates", errors.NotForCollections),
    ("--library http://127.0.0.1:1 duplicates --exact", errors.NotForCollections),
    ("--library http://127.0.0.1:1 search sky --copy-to here", errors.NotForCollections),
    ("--library http://127.0.0.1:1/?token=secret search sky", errors.InvalidCollection),
    ("search sky --timeout 3", errors.OptionRequires),
    ("demo --pictures /dev/null", errors.FolderNotReadable),
    # who may ask the server
    ("serve --no-token --host 0.0.0.0", errors.ConflictingOptions),
    ("serve --no-token --host 192.0.2.1", errors.ConflictingOptions),
    ("serve --no-token --token-file token", errors.ConflictingOptions),
    ("serve --token-file /", errors.InvalidTokenFile),
    # search: one standard output, one shape, NUL bytes of paths, thumbnails for people
    *[
        (f"{verb} {options}", error)
        for verb in ("search sky", "search-text sky", f"search-image {CLIP / 'config.json'}")
        for options, error in (
            ("--json --paths", errors.ConflictingOptions),
            ("--json --html -", errors.ConflictingOptions),
            ("--paths --html -", errors.ConflictingOptions),
            ("--null", errors.OptionRequires),
            ("-0 --json", errors.OptionRequires),
            ("--pictures kitty --json", errors.ConflictingOptions),
            ("--pictures sixel --paths", errors.ConflictingOptions),
            ("--pictures iterm --html -", errors.ConflictingOptions),
            ("--browse --json", errors.ConflictingOptions),
            ("--browse --paths", errors.ConflictingOptions),
            ("--browse --html -", errors.ConflictingOptions),
            ("--browse --pictures kitty", errors.ConflictingOptions),
            ("--browse", errors.OptionRequires),
        )
    ],
    ("search sky --landscape --portrait", errors.ConflictingOptions),
    ("search sky --portrait --square", errors.ConflictingOptions),
    ("search sky --after 2020 --before 2019", errors.InvalidFilter),
    ("search sky --min-size 100 --max-size 50", errors.InvalidFilter),
    ("search sky -k 0", errors.InvalidCount),
    ("duplicates --json --html -", errors.ConflictingOptions),
    ("duplicates --json --paths", errors.ConflictingOptions),
    ("duplicates -0", errors.OptionRequires),
    ("verify --dry-run", errors.OptionRequires),
    ("read-text --off --workers 2", errors.ConflictingOptions),
    ("thumbnails --off --side 256", errors.ConflictingOptions),
    ("thumbnails --device cuda", errors.ConflictingOptions),
    ("thumbnails --retry", errors.ConflictingOptions),
    ("export - --format csv --json", errors.ConflictingOptions),
    ("index /nowhere/at/all --dry-run", errors.FolderNotReadable),
    ("embed --model starter --precision int8 --dry-run", errors.OtherPrecision),
    (f"embed --model {CLIP} --dry-run", errors.OtherModel),
    ("index --precision int4 --dry-run", errors.PrecisionUnavailable),
    ("model switch nowhere --dry-run", errors.UnknownModel),
    ("model rollback --dry-run", errors.NothingToRollBack),
    ("search sky --html /", errors.OutputNotWritable),
    ("duplicates --html /nowhere/at/all.html", errors.OutputNotWritable),
    ("demo --html /", errors.OutputNotWritable),
    # index: --rollback and --drop-previous by themselves
    *[
        (f"index {alone} {option}", errors.ConflictingOptions)
        for alone in ("--rollback", "--drop-previous")
        for option in (
            *(
                "elsewhere",
                "--exclude x",
                "--archives",
                "--workers 1",
                "--cpu 50%",
                "--model starter",
                "--precision int8",
                "--device cpu",
            ),
            *("--max-megapixels 1", "--retry", "--nice 1", "--memory 1GiB", "--pause-when-busy", "--between 22-7"),
            "--switch-anyway",
        )
    ],
    ("index --rollback --drop-previous", errors.ConflictingOptions),
    ("index --switch-anyway", errors.NoModelSwitch),
    ("index --model starter --switch-anyway", errors.NoModelSwitch),
    ("model switch", errors.NoModelSwitch),
    ("model switch --anyway", errors.NoModelSwitch),
    ("model switch starter --anyway", errors.NoModelSwitch),
    ("model switch nowhere", errors.UnknownModel),
    ("model switch --precision int4", errors.PrecisionUnavailable),
    ("model rollback", errors.NothingToRollBack),
    ("model fetch nowhere", errors.UnknownModel),
    ("model show nowhere", errors.UnknownModel),
    ("index --memory 1GiB --workers 3", errors.InsufficientMemory),
    ("index --precision int4", errors.PrecisionUnavailable),
    # what the library has, against what is asked for
    ("embed --precision int8", errors.OtherPrecision),
    ("embed --precision int4", errors.PrecisionUnavailable),
    ("embed --model starter --precision int8", errors.OtherPrecision),
    (f"embed --model {CLIP}", errors.OtherModel),
    (f"add . --model {CLIP}", errors.OtherModel),
    ("add . --precision int8", errors.OtherPrecision),
    ("add . --model starter --precision int8", errors.OtherPrecision),
    (f"tune --model {CLIP}", errors.OtherModel),
    # embed: words for a run that is at work
    *[
        (f"embed {asked}", errors.NothingRunning)
        for asked in ("--pause", "--resume", "--set-cpu 50%", "--pause --set-cpu 9%")
    ],
    *[(words, errors.NothingRunning) for words in ("stop", "pause", "resume", "limit 50%")],
    ("embed --pause --resume", errors.ConflictingOptions),
    *[
        (f"embed {asked} {option}", errors.ConflictingOptions)
        for asked in ("--pause", "--resume", "--set-cpu 50%")
        for option in (
            *("2", "--cpu 50%", "--model starter", "--precision int8", "--device cpu", "--max-megapixels 1", "--retry"),
            *("--nice 1", "--memory 1GiB", "--pause-when-busy", "--between 22-7", "--background", "--index"),
            "--worker-id 0 --num-workers 1",
        )
    ],
    # embed: one part alone
    ("embed 1-4", errors.OptionRequires),
    ("index --workers 2-4", errors.OptionRequires),
    ("embed --worker-id 0", errors.OptionRequires),
    ("embed --num-workers 2", errors.OptionRequires),
    *[
        (f"embed --worker-id 0 --num-workers 2 {option}", errors.ConflictingOptions)
        for option in ("2", "--retry", "--pause-when-busy", "--between 22-7", "--background", "--index")
    ],
    ("embed --worker-id 0 --num-workers 2 --precision int8", errors.OtherPrecision),
    (f"embed --worker-id 0 --num-workers 2 --model {CLIP}", errors.OtherModel),
    ("embed 3 --memory 1GiB", errors.InsufficientMemory),
    # what never moved
    ("relocate /nowhere/at/all .", errors.NotBelow),
    ("relocate / / --anyway", errors.RelocationRefused),
    # tables, and hits in a folder
    ("export images.xlsx", errors.UnknownFormat),
    ("export images.csv --embeddings", errors.EmbeddingsNotWritable),
    ("export - --format csv --embeddings", errors.EmbeddingsNotWritable),
    ("import nowhere.parquet", errors.ImportRefused),
    ("search sky --copy-to a --link-to b", errors.ConflictingOptions),
    ("search-text sky --copy-to /", errors.FolderTaken),
    ("search-image x.jpg --link-to /dev/null", errors.FolderTaken),
    # folders that are not there: before a model is fetched, which nobody can here
    ("index /nowhere/at/all", errors.FolderNotReadable),
    ("index . /nowhere/at/all", errors.FolderNotReadable),
    ("add . /nowhere/at/all", errors.FolderNotReadable),
    ("add /nowhere/at/all --model OWNER/REPO", errors.FolderNotReadable),
]


@pytest.mark.parametrize(("words", "error"), REFUSED, ids=[words for words, _ in REFUSED])
def test_what_would_do_nothing_is_refused(
    place: Path, words: str, error: type[BaseException], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with Library.open(place) as library:
        before = list(library.catalogue._connection.execute("SELECT path FROM roots")), library.model()
    said = call("--library", place, *words.split(), error=error)

    assert "\n" in said or error in (
        errors.InvalidFilter,
        errors.InvalidCount,
        errors.NothingRunning,
        errors.FolderNotReadable,
    )
    with Library.open(place) as library:
        assert before == (list(library.catalogue._connection.execute("SELECT path FROM roots")), library.model())
    assert not (place / "control.json").exists()


@pytest.mark.parametrize(
    "words",
    [
        "embed --between 22:00-22:00",
        "embed --between 25:00-07:00",
        "embed --between 22",
        "embed --between 22:60-7",
        "embed --memory 100MiB",
        "embed --memory lots",
        "embed --cpu 0%",
        "embed --set-cpu 200%",
        "limit 200%",
        "limit",
        "model show",
        "model fetch",
        "embed --worker-id 2 --num-workers 2",
        "embed --nice 20",
        "embed --max-megapixels 0",
        "search sky -k 1000001",
        "search sky --pictures fax",
        "models a b",
        "serve --port 65536",
        "status --library",
    ],
)
def test_values_that_mean_nothing_are_wrong_usage(place: Path, words: str) -> None:
    assert 2 == call("--library", place, *words.split(), code=2).exit_code


def test_a_file_is_no_library(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for library in ("file", "file/below"):
        for verb in ("status", "index"):
            call("--library", tmp_path / library, verb, error=errors.LibraryNotADirectory)


def test_a_name_that_no_folder_can_have_is_no_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long = tmp_path / ("x" * 300)
    for words in (["status"], ["search-text", "sky"], ["index", tmp_path], ["backup", tmp_path / "copy"]):
        call("--library", long, *words, error=errors.InvalidLibraryName)
    monkeypatch.setenv("PIXFIND_LIBRARY", str(long))
    call("status", error=errors.InvalidLibraryName)


def test_what_is_written_needs_a_name_that_a_folder_can_have(place: Path, tmp_path: Path) -> None:
    long = tmp_path / ("x" * 300)
    call("--library", place, "backup", long, error=errors.BackupRefused)
    call("--library", place, "export", "--xmp", long, error=errors.OutputNotWritable)
    call("--library", place, "index", long, error=errors.FolderNotReadable)


def test_nothing_is_made_for_a_folder_that_is_not_there(tmp_path: Path) -> None:
    call("--library", tmp_path / "new", "index", tmp_path / "nowhere", error=errors.FolderNotReadable)
    call("--library", tmp_path / "new", "add", tmp_path / "nowhere", error=errors.FolderNotReadable)
    call("--library", tmp_path / "new", "index", error=errors.NothingToIndex)

    assert not (tmp_path / "new").exists()


# --- done together --------------------------------------------------------------------------------


def test_paths_end_with_nul_bytes_when_asked(place: Path) -> None:
    for option in ("-0", "--null"):
        found = call("--library", place, "search", "sky", "--all", "--paths", option, "-k", "3").stdout
        assert 3 == found.count("\0")
        assert "\n" not in found
        assert all(Path(path).is_file() for path in found.split("\0")[:-1])


def test_a_page_and_a_list_are_both_made(place: Path, tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.html"
    for option in ("--json", "--paths"):
        sheet.unlink(missing_ok=True)
        found = call("--library", place, "search-text", "sky", "--all", "-k", "2", "--html", sheet, option).stdout
        assert 2 == found.count(".jpg")
        assert 2 == sheet.read_text(encoding="utf-8").count("data:image/jpeg")
    call("--library", place, "duplicates", "--json", "--html", sheet)


def test_a_page_on_standard_output_is_all_that_is_there(place: Path) -> None:
    found = call("--library", place, "search-text", "sky", "--all", "-k", "2", "--html", "-").stdout
    assert found.lstrip().lower().startswith("<!doctype html")
    assert found.rstrip().endswith("</html>")
    groups = call("--library", place, "duplicates", "--html", "-").stdout
    assert groups.lstrip().lower().startswith("<!doctype html")


def test_a_page_is_written_through_a_link_and_keeps_its_mode(place: Path, tmp_path: Path) -> None:
    (tmp_path / "sheet.html").touch(mode=0o600)
    (tmp_path / "link.html").symlink_to("sheet.html")
    call("--library", place, "search", "sky", "--all", "--html", tmp_path / "link.html")

    assert (tmp_path / "link.html").is_symlink()
    assert 0o600 == stat.S_IMODE((tmp_path / "sheet.html").stat().st_mode)


def test_no_option_replaces_a_picture_or_the_library(place: Path, tmp_path: Path) -> None:
    picture = tmp_path / "only.jpg"
    picture.write_bytes(b"the only copy")
    for path in (picture, place / "metadata.db", place / "data" / "embeddings.npy"):
        before = path.read_bytes()
        for words in (("search", "sky", "--html"), ("duplicates", "--html"), ("demo", "--html"), ("export",)):
            call("--library", place, *words, path, error=errors.OutputNotWritable)
        assert before == path.read_bytes()


def test_a_search_that_finds_nothing_ends_as_grep_does(place: Path) -> None:
    found = call("--library", place, "search", "qwertyuiop", "--json", code=1)
    assert [] == json.loads(found.stdout)
    assert "qwertyuiop" in found.stderr
    for words in ("search sky --in nowhere", "search-text qwertyuiop --paths"):
        assert "" == call("--library", place, *words.split(), code=1).stdout


def test_the_time_of_a_search_is_apart_from_that_of_loading(place: Path) -> None:
    told = call("--library", place, "search", "sky", "--all").stderr

    assert re.search(r"12 rows searched in \d+ ms after \d+ ms of loading", told)


def test_a_program_is_told_why_nothing_was_found(place: Path) -> None:
    unknown = call("--library", place, "search", "xyzzy", "--json", code=1)
    filtered = call("--library", place, "search", "--camera", "nobody", "--json", code=1)

    assert ["[]", "[]"] == [done.stdout.strip() for done in (unknown, filtered)]
    reasons = [json.loads(done.stderr) for done in (unknown, filtered)]
    assert [["xyzzy"], []] == [reason["unknown"] for reason in reasons]
    assert [["xyzzy"], []] == [reason["ignored"] for reason in reasons]
    assert "No image passes the filters." == reasons[1]["message"]
    assert "" == call("-q", "--library", place, "search", "xyzzy", "--json", code=1).stderr


def test_findings_are_json_and_nothing_else_with_repair(tmp_path: Path) -> None:
    make_pictures(tmp_path / "pictures", 3)
    make_library(tmp_path / "library", tmp_path / "pictures").close()
    with (tmp_path / "library" / "data" / "embeddings.npy").open("rb+") as file:
        file.seek(130)
        file.write(b"\xff\xff\xff\xff")
    found = call("--library", tmp_path / "library", "verify", "--repair", "--json").stdout

    assert [] == json.loads(found)


def test_the_library_may_be_named_behind_the_verb(place: Path) -> None:
    wanted = call("--library", place, "status", "--json").stdout
    for words in (["status", "--json", "--library", place], ["status", f"--library={place}", "--json"]):
        assert json.loads(wanted)["images"] == json.loads(call(*words).stdout)["images"]
    assert "sky" in call("search", "sky", "--all", "--html", "-", "--library", place).stdout
    call("status", "--library", place, "--library", place)


def test_the_version_comes_from_one_place() -> None:
    assert f"pixfind {pixfind.__version__}\n" == call("--version").stdout


def test_a_second_embed_in_the_background_is_refused_at_once(place: Path, tmp_path: Path) -> None:
    shutil.copytree(place, tmp_path / "library")
    with Library.open(tmp_path / "library", write=True) as library, library.lock("embed"):
        call("--library", tmp_path / "library", "embed", "--background", error=errors.LibraryLocked)


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ("pause", control.ControlRequest(pause=True)),
        ("resume", control.ControlRequest(pause=False)),
        ("limit 50%", control.ControlRequest(cpu=0.5)),
        ("embed --pause", control.ControlRequest(pause=True)),
        ("embed --resume", control.ControlRequest(pause=False)),
        ("embed --set-cpu 50% --resume", control.ControlRequest(cpu=0.5, pause=False)),
    ],
)
def test_what_a_running_embed_is_asked_for_reaches_it(
    place: Path, tmp_path: Path, words: str, wanted: control.ControlRequest
) -> None:
    shutil.copytree(place, tmp_path / "library")
    with Library.open(tmp_path / "library", write=True) as library, library.lock("embed"):
        said = call("--library", tmp_path / "library", *words.split()).stderr
        assert wanted == control.read(library.path)
    assert ("deprecated" in said) == words.startswith("embed"), said


# --- what is left out -----------------------------------------------------------------------------


def test_files_that_are_not_read_are_counted_by_their_kind(tmp_path: Path) -> None:
    pictures = tmp_path / "pictures"
    make_pictures(pictures, 2)
    for name in ("a.XCF", "b.xcf", "c.mp4", "sub/d.psd", "skip/e.xcf", ".hidden.mov", "notes.txt", "f.JXL"):
        (pictures / name).parent.mkdir(exist_ok=True)
        (pictures / name).touch()
    said = call("--library", tmp_path / "library", "index", pictures, "--exclude", "skip", "--model", "starter").stderr
    assert "does not read: 2 .xcf, 1 .jxl, 1 .psd" in said
    assert "does not read: 2 .xcf, 1 .jxl, 1 .psd" in call("--library", tmp_path / "library", "status").stdout
    assert "1 video left out: 1 .mp4; to look into them: pixfind index FOLDER --video" in said
    (pictures / "a.XCF").unlink()
    assert "does not read: 1 .jxl, 1 .psd, 1 .xcf" in call("--library", tmp_path / "library", "add", pictures).stderr

    state = json.loads(call("--library", tmp_path / "library", "status", "--json").stdout)
    assert {".jxl": 1, ".mp4": 1, ".psd": 1, ".xcf": 1} == state["left_out"]
    assert 2 == state["images"]["seen"]
