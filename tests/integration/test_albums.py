"""Albums: searches with a name, and a search by filters alone."""

import json
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pixfind import errors
from pixfind.library import albums, repair, verify
from pixfind.library.albums import Album
from pixfind.library.library import Library
from pixfind.search import build, filters, searcher
from pixfind.search.query import Query
from pixfind.search.results import Reason
from pixfind.testing import make_library, make_pictures
from pixfind.testing.commands import Commands
from pixfind.types import Sort
from pixfind.workflows.backup import backup, preview

Run = Callable[..., Any]


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("albums")
    make_pictures(place / "pictures", 20)
    make_pictures(place / "pictures/high", 4, first=20, size=(48, 64))
    with make_library(place / "library", place / "pictures") as library:
        build.build_index(library)
    return place / "library"


@pytest.fixture
def library(tmp_path: Path, original: Path) -> Iterator[Library]:
    shutil.copytree(original, tmp_path / "library")
    with Library.open(tmp_path / "library") as opened:
        yield opened
        assert [] == verify.verify(opened)


@pytest.fixture
def run(library: Library, commands: Commands) -> Run:
    return lambda *arguments: commands.run(["--library", str(library.path), *arguments])


def names(library: Library) -> list[str]:
    return [album.name for album in albums.read(library.path)]


def test_a_search_is_kept_opened_and_removed(library: Library, run: Run) -> None:
    kept = run("search", "blue", "--portrait", "--include-weak", "--save", "High", "--json")
    assert 0 == kept.returncode, kept.stderr
    assert [
        {"name": "High", "search": {"q": "blue", "all": True, "shape": "portrait"}, "pictures": None}
    ] == json.loads(run("albums", "--json").stdout)
    assert "High  blue" in run("albums").stdout.decode()

    opened = run("search", "--album", "high", "--json")
    assert 4 == len(json.loads(opened.stdout))
    assert [hit["path"] for hit in json.loads(kept.stdout)] == [hit["path"] for hit in json.loads(opened.stdout)]
    assert 0 == run("albums", "--remove", "HIGH").returncode
    assert [] == names(library)
    assert 86 == run("search", "--album", "high").returncode


def test_a_removal_is_rehearsed_with_what_would_be_left(library: Library, run: Run) -> None:
    for name in ("one [b]", "two"):
        albums.keep(library.path, Album(name, {"q": "blue"}))
    told = run("albums", "--remove", "ONE [b]", "--dry-run", "--json")

    assert "would remove the album one [b];" in told.stderr.decode()
    assert ["two"] == [album["name"] for album in json.loads(told.stdout)]
    assert ["one [b]", "two"] == names(library)
    assert told.stdout == run("albums", "--remove", "ONE [b]", "--json").stdout


def test_a_name_that_cannot_be_is_refused_before_the_search(library: Library, run: Run) -> None:
    refused = run("search", "blue", "--save", " ")

    assert (2, b"") == (refused.returncode, refused.stdout)
    assert [] == names(library)


def test_an_order_without_words_shows_all_pictures_in_it(run: Run) -> None:
    found = json.loads(run("search", "--sort", "added", "-k", "99", "--json").stdout)

    assert 24 == len(found)
    assert sorted((hit["image_id"] for hit in found), reverse=True) == [hit["image_id"] for hit in found]


def test_an_album_without_words_shows_what_passes_its_filters(run: Run, tmp_path: Path) -> None:
    assert 0 == run("search", "--portrait", "--sort", "added", "--save", "all high").returncode

    done = run("search", "--album", "all high", "--copy-to", str(tmp_path / "out"), "--json")
    hits = json.loads(done.stdout)
    assert ["filters"] == hits[0]["because"]
    ids = [hit["image_id"] for hit in hits]
    assert sorted(ids, reverse=True) == ids
    assert 4 == len(ids) == len(list((tmp_path / "out").iterdir()))


def test_filters_of_the_command_line_come_before_those_of_an_album(run: Run) -> None:
    assert 0 == run("search", "--portrait", "--save", "high").returncode

    assert 20 == len(json.loads(run("search", "--album", "high", "--landscape", "-k", "99", "--json").stdout))
    assert 1 == run("search", "--album", "high", "--in", "nowhere").returncode


def test_an_order_of_the_command_line_comes_before_that_of_an_album(run: Run) -> None:
    assert 0 == run("search", "blue", "--all", "--sort", "added", "--save", "blue").returncode
    plain = [run("search", "blue", "--all", "--sort", order, "--json").stdout for order in ("score", "added")]

    assert plain == [run("search", "--album", "blue", *order, "--json").stdout for order in (["--sort", "score"], [])]
    assert plain[0] != plain[1]


@pytest.mark.parametrize("words", [["blue", "--in", "/" + "x" * 1_100], ["blue", "flower-01.jpg"], ["-blue"]])
def test_what_the_api_could_not_search_is_not_kept(library: Library, run: Run, words: list[str]) -> None:
    refused = run("search", *words, "--save", "a")

    assert 0 != refused.returncode
    assert b"Traceback" not in refused.stderr
    assert [] == names(library)


@pytest.mark.parametrize("search", [{"q": "blue", "sort": ["date"]}, {"q": "blue", "colour": 1}, {"label": 7}])
def test_an_album_that_was_spoiled_by_hand_is_named(library: Library, run: Run, search: dict[str, Any]) -> None:
    albums.keep(library.path, Album("spoiled", search))

    refused = run("search", "--album", "spoiled")
    assert 85 == refused.returncode
    assert b'the search of "spoiled"' in refused.stderr


def test_a_search_for_nothing_shows_the_newest(run: Run) -> None:
    newest = [hit["date"] for hit in json.loads(run("search", "-k", "99", "--json").stdout)]
    assert 24 == len(newest)
    assert sorted(newest, reverse=True) == newest
    assert 3 == len(run("search", "-k", "3").stdout.splitlines())


@pytest.mark.parametrize("empty", [("search", ""), ("search-text", ""), ("search", "--save", "All")])
def test_an_empty_text_and_an_album_of_everything_are_refused(run: Run, empty: tuple[str, ...]) -> None:
    assert 31 == run(*empty).returncode


def test_filters_alone_show_the_newest_first_without_a_score(library: Library) -> None:
    found = searcher.search(library, Query(()), 99, filters.parse(shape="landscape"))
    added = searcher.search(library, Query(()), 99, filters.parse(shape="landscape"), sort=Sort.ADDED)

    dates = [hit.date or 0 for hit in found]
    assert sorted(dates, reverse=True) == dates
    assert {(Reason.FILTERS,)} == {hit.because for hit in found}
    assert 20 == len(found) == len(added)
    assert [hit.image_id for hit in added] == sorted((hit.image_id for hit in found), reverse=True)
    assert 3 == len(searcher.search(library, Query(()), 3, filters.parse(shape="landscape")))


def test_albums_that_are_made_at_the_same_time_are_all_kept(library: Library) -> None:
    makers = [
        threading.Thread(target=albums.keep, args=(library.path, Album(f"album {number}", {"q": "blue"})))
        for number in range(20)
    ]
    for maker in makers:
        maker.start()
    for maker in makers:
        maker.join()

    assert {f"album {number}" for number in range(20)} == set(names(library))


def test_a_name_stands_for_one_album(library: Library) -> None:
    albums.keep(library.path, Album("Sea", {"q": "sea"}))
    albums.keep(library.path, Album("sea", {"q": "beach"}))

    assert {"q": "beach"} == albums.find(library.path, "SEA").search
    assert ["sea"] == names(library)


@pytest.mark.parametrize("name", ["نمی\u200cشود", "👨\u200d👩\u200d👧", "夏\u3000休み"])
def test_a_name_in_any_script_is_kept(library: Library, name: str) -> None:
    albums.keep(library.path, Album(name, {"q": "sea"}))
    assert [name] == names(library)


@pytest.mark.parametrize("name", ["", "  ", "\u200d", "x" * 101, "a\nb", "\x1b[31m", "a\u202egpj", "\udcff"])
def test_a_name_that_cannot_be_shown_is_refused(library: Library, name: str) -> None:
    with pytest.raises(errors.InvalidAlbum):
        albums.keep(library.path, Album(name, {"q": "sea"}))


@pytest.mark.parametrize(
    "content", ["", "[]", '{"albums": 1}', '{"albums": [{"name": 1, "search": {}}]}', "[" * 100_000]
)
def test_a_file_of_somebody_else_is_named_and_stays(library: Library, content: str) -> None:
    (library.path / albums.NAME).write_text(content, encoding="utf-8")

    for use in (
        lambda: albums.read(library.path),
        lambda: albums.keep(library.path, Album("sea", {})),
        lambda: albums.remove(library.path, "sea"),
    ):
        with pytest.raises(errors.InvalidAlbums):
            use()
    assert content == (library.path / albums.NAME).read_text(encoding="utf-8")
    (library.path / albums.NAME).unlink()


def test_damaged_albums_are_found_and_no_repair_takes_them_away(tmp_path: Path, pictures: Path) -> None:
    with make_library(tmp_path / "own", pictures, embed=False) as library:
        albums.put(library.path, "trip", [b"0" * 16])
        assert [] == verify.verify(library)
        (library.path / albums.NAME).write_bytes(b'{"albums": [{"na')
        with library.lock("verify"):
            (left,) = repair.repair(library, verify.verify(library))
        assert ("albums", str(library.path / albums.NAME)) == (left.code, left.where)
        assert b'{"albums": [{"na' == (library.path / albums.NAME).read_bytes()
        (library.path / albums.NAME).unlink()
        assert [] == verify.verify(library)


def test_a_backup_has_the_albums(library: Library, tmp_path: Path) -> None:
    albums.keep(library.path, Album("sea", {"q": "sea"}))
    backup(library, tmp_path / "copy")
    assert ["sea"] == [album.name for album in albums.read(tmp_path / "copy")]
    assert not (tmp_path / "copy/pixfind.toml").exists()
    (library.path / "pixfind.toml").write_text("[search]\ncount = 3\n")
    backup(library, tmp_path / "copy")
    assert (library.path / "pixfind.toml").read_bytes() == (tmp_path / "copy/pixfind.toml").read_bytes()
    (library.path / "pixfind.toml").unlink()
    albums.remove(library.path, "sea")
    backup(library, tmp_path / "copy")
    assert not (tmp_path / "copy/pixfind.toml").exists()
    assert [] == albums.read(tmp_path / "copy")


def test_a_backup_keeps_albums_that_the_library_has_lost(library: Library, tmp_path: Path) -> None:
    albums.put(library.path, "trip", [b"0" * 16])
    backup(library, tmp_path / "copy")
    kept = (tmp_path / "copy" / albums.NAME).read_bytes()
    (library.path / albums.NAME).unlink()
    backup(library, tmp_path / "copy")

    assert kept == (tmp_path / "copy" / albums.NAME).read_bytes()


@pytest.mark.parametrize("content", [b"", b'{"albums": [{"na', b"\xff" * 40])
def test_damaged_albums_are_not_copied_over_good_ones(library: Library, tmp_path: Path, content: bytes) -> None:
    albums.put(library.path, "trip", [b"0" * 16])
    backup(library, tmp_path / "copy")
    before = {path: path.read_bytes() for path in (tmp_path / "copy").rglob("*") if path.is_file()}
    intact = (library.path / albums.NAME).read_bytes()
    (library.path / albums.NAME).write_bytes(content)
    for way in (backup, preview):
        with pytest.raises(errors.InvalidAlbums, match="of a backup"):
            way(library, tmp_path / "copy")

    assert before == {path: path.read_bytes() for path in (tmp_path / "copy").rglob("*") if path.is_file()}
    (library.path / albums.NAME).write_bytes(intact)


@pytest.mark.parametrize("name", ["albums.json", "albums.lock"])
def test_a_link_that_leads_out_of_the_library_is_not_followed(library: Library, tmp_path: Path, name: str) -> None:
    (tmp_path / "outside").write_text("theirs", encoding="utf-8")
    (library.path / name).symlink_to(tmp_path / "outside")

    with pytest.raises(errors.LinkInLibrary):
        albums.keep(library.path, Album("sea", {"q": "sea"}))

    assert "theirs" == (tmp_path / "outside").read_text(encoding="utf-8")
    (library.path / name).unlink()


# --- albums of pictures -----------------------------------------------------------------------------


def pictures(library: Library, count: int) -> list[str]:
    return [path for (path,) in library.catalogue.rows("sample", limit=count)]


def test_pictures_are_put_into_an_album_and_found(library: Library, run: Run) -> None:
    chosen = pictures(library, 3)
    assert "3 pictures put into Best" in run("albums", "--add", "Best", *chosen).stderr.decode()
    assert 0 == run("albums", "--add", "best", chosen[0]).returncode
    assert [{"name": "Best", "search": {"album": "Best"}, "pictures": 3}] == json.loads(run("albums", "--json").stdout)
    assert "Best  3 pictures" in run("albums").stdout.decode()
    assert set(chosen) == set(run("search", "--album", "Best", "--paths").stdout.decode().split())
    inside = run("search", "red", "--in-album", "Best", "--include-weak", "--json")
    assert set(chosen) == {hit["path"] for hit in json.loads(inside.stdout)}

    assert 0 == run("albums", "--take", "Best", chosen[0]).returncode
    assert set(chosen[1:]) == set(run("search", "--album", "Best", "--paths").stdout.decode().split())
    found = searcher.Searcher(library).search(Query(()), 10, filters.parse(album="best"), each_file=True)
    assert set(chosen[1:]) == {hit.path for hit in found.hits}


@pytest.mark.parametrize("rehearsed", [True, False], ids=["rehearsed", "done"])
def test_only_what_changes_is_counted(library: Library, run: Run, rehearsed: bool) -> None:
    first, second, third = pictures(library, 3)
    run("albums", "--add", "Best", first)
    more, would, are = (["--dry-run"], "would be ", "are") if rehearsed else ([], "", "were")

    said = run("albums", "--add", "Best", first, second, *more).stderr.decode()
    assert f"1 picture {would}put into Best; 1 {are} there already\n" in said
    said = run("albums", "--take", "Best", third, *more).stderr.decode()
    assert f"0 pictures {would}taken out of Best; 1 {are} not there\n" in said
    assert [1 if rehearsed else 2] == [len(album.pictures or ()) for album in albums.read(library.path)]


def test_a_picture_that_was_changed_since_it_was_indexed_is_put_into_no_album(
    tmp_path: Path, commands: Commands
) -> None:
    first, second, third = make_pictures(tmp_path / "pictures", 3)
    make_library(tmp_path / "library", tmp_path / "pictures").close()
    shutil.copy(second, first)
    third.unlink()
    for gone in (first, third):
        for more in ([], ["--dry-run"]):
            done = commands.run(["--library", str(tmp_path / "library"), "albums", "--add", "Best", str(gone), *more])
            assert errors.OutdatedPicture.exit_code == done.returncode
            assert b"Bring the library up to date first: pixfind index" in done.stderr
    assert [] == albums.read(tmp_path / "library")


def test_a_search_within_an_album_is_kept_as_another(library: Library, run: Run) -> None:
    chosen = pictures(library, 4)
    run("albums", "--add", "Best", *chosen)
    kept = run("search", "red", "--include-weak", "--in-album", "Best", "--save", "Red ones")
    assert 0 == kept.returncode, kept.stderr
    assert set(chosen) == {hit["path"] for hit in json.loads(run("search", "--album", "Red ones", "--json").stdout)}

    run("albums", "--remove", "Best")
    for opening in (["search", "--album", "red ones"], ["export", "--xmp", "out", "--album", "red ones", "--dry-run"]):
        gone = run(*opening)
        assert errors.AlbumGone.exit_code == gone.returncode
        said = 'The album "Red ones" is a search among the pictures of the album "Best", which is not there any more.'
        assert said in " ".join(gone.stderr.decode().split())
    with pytest.raises(errors.InvalidAlbum, match="pictures were put into no album of this name"):
        albums.keep(library.path, Album("More", {"q": "red", "album": "Red ones"}))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["albums", "--add", "Best", "/nowhere.jpg"], "is no picture of the library"),
        (["albums", "--add", "Best"], "together"),
        (["albums", "picture.jpg"], "together"),
        (["albums", "--take", "Nowhere", "PICTURE"], "There is no album"),
        (["albums", "--add", "Blue", "PICTURE"], "an album of this name is a search"),
        (["albums", "--take", "Blue", "PICTURE"], "an album of this name is a search"),
        (["albums", "--add", " ", "PICTURE"], "a name has 1 to"),
        (["albums", "--add", "A", "--take", "B", "PICTURE"], "each changes one album"),
        (["search", "red", "--in-album", "Nowhere"], "pictures were put into no album of this name"),
        (["search", "red", "--in-album", "Blue"], "pictures were put into no album of this name"),
        (["search", "red", "--include-weak", "--save", "kept"], "pictures were put into an album of this name"),
        (["search", "red", "--include-weak", "--distinct", "--save", "Red"], "--save cannot be used with --distinct"),
        (["search", "red", "--include-weak", "--each-file", "--save", "Red"], "--save cannot be used with --each-file"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_put_or_taken_is_told_and_nothing_changes(
    library: Library, run: Run, arguments: list[str], said: str
) -> None:
    (chosen,) = pictures(library, 1)
    run("albums", "--add", "Kept", chosen)
    run("search", "blue", "--include-weak", "--save", "Blue")
    before = (library.path / albums.NAME).read_bytes()
    rehearsed = [["--dry-run"]] if arguments[0] == "albums" else []
    for more in ([], *rehearsed):
        done = run(*(chosen if each == "PICTURE" else each for each in arguments), *more)
        assert 0 != done.returncode
        assert said in " ".join(done.stderr.decode().split())
    assert before == (library.path / albums.NAME).read_bytes()


def test_an_album_of_pictures_is_rehearsed_and_limited(
    library: Library, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (
        "1 picture would be put into Best"
        in run("albums", "--dry-run", "--add", "Best", *pictures(library, 1)).stderr.decode()
    )
    assert [] == albums.read(library.path)
    monkeypatch.setattr(albums, "MAX_PICTURES", 2)
    albums.put(library.path, "Best", [b"1" * 16, b"2" * 16])
    with pytest.raises(errors.InvalidAlbum, match="at most 2 pictures"):
        albums.put(library.path, "Best", [b"3" * 16])


def test_nothing_is_kept_where_the_drive_of_the_library_is_away(library: Library, tmp_path: Path) -> None:
    library.path.rename(tmp_path / "unplugged")
    for change in (
        lambda: albums.put(library.path, "Best", [b"1" * 16]),
        lambda: albums.keep(library.path, Album("sky", {"q": "sky"})),
        lambda: albums.read(library.path),
    ):
        with pytest.raises(errors.LibraryNotFound):
            change()
    assert not library.path.exists()
    (tmp_path / "unplugged").rename(library.path)
