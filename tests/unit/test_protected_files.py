"""No output replaces a picture of the user's, or a file of a library: whatever the name, the case and the links."""

from pathlib import Path

import pytest

import pixfind
from pixfind import errors
from pixfind.library import scan
from pixfind.library.library import Library
from pixfind.library.protected_files import output_at, page_at
from pixfind.testing import make_pictures
from pixfind.workflows.export_file import Format, export_file


@pytest.fixture
def place(tmp_path: Path) -> Path:
    Library.create(tmp_path / "library").close()
    return tmp_path / "library"


@pytest.mark.parametrize(
    "name", ["a.jpg", "A.JPEG", "b.heic", "c.nef", "d.mp4", "e.psd", "f.zip", "g.tar.gz", "h.tgz", "i.7z"]
)
def test_a_picture_is_never_replaced(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"the only copy")
    (tmp_path / "sheet.html").symlink_to(name)
    for named in (path, tmp_path / "sheet.html"):
        with pytest.raises(errors.OutputNotWritable, match="picture"):
            output_at(named)

    assert b"the only copy" == path.read_bytes()


def test_a_new_file_may_have_any_name(tmp_path: Path) -> None:
    """What `export --format csv` is told to write is written: nothing is lost."""
    output_at(tmp_path / "new.jpg").write(b"page")

    assert b"page" == (tmp_path / "new.jpg").read_bytes()


@pytest.mark.parametrize(
    "name",
    ["metadata.db", "metadata.db-wal", "models.json", "control.json", "watch.lock", "data/embeddings.npy", "data/sheet.html",
     "data/faiss.index", "logs/embed.log", "models/2/metadata.db", "thumbnails/ab/x", "serve-8765.token"],
)  # fmt: skip
def test_a_file_of_a_library_is_never_replaced_or_anticipated(
    place: Path, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (place / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / "link").symlink_to(place / name)
    monkeypatch.chdir(place)
    for path in (place / name, Path(name), tmp_path / "link"):
        with pytest.raises(errors.OutputNotWritable, match="belongs to the library"):
            output_at(path)


def test_other_files_in_the_folder_of_a_library_are_the_users_own(place: Path) -> None:
    """Who works in that folder writes sheets there, again and again."""
    for _ in range(2):
        output_at(place / "beach.html").write(b"page")

    assert b"page" == (place / "beach.html").read_bytes()


def test_a_program_is_refused_as_well(tmp_path: Path, place: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"the only copy")
    with pixfind.open(place) as library:
        for path in (tmp_path / "a.jpg", place / "metadata.db"):
            with pytest.raises(errors.OutputNotWritable):
                library.to_parquet(path)


def test_an_export_does_not_replace_the_list_that_it_comes_from(place: Path, tmp_path: Path) -> None:
    listed = tmp_path / "pictures.csv"
    make_pictures(tmp_path / "pictures", 1)
    listed.write_text(f"path\n{next((tmp_path / 'pictures').iterdir())}\n")
    before = listed.read_bytes()
    (tmp_path / "link.csv").symlink_to(listed)
    with Library.open(place, write=True) as library, library.lock("add"):
        scan.add(library, listed)
        for path in (listed, tmp_path / "link.csv"):
            with pytest.raises(errors.OutputNotWritable, match="gets pictures from it"):
                export_file(library, output_at(path), Format.CSV)

    assert before == listed.read_bytes()


@pytest.mark.parametrize("name", ["pictures.csv", "pictures.parquet", "pictures.txt"])
def test_a_page_does_not_replace_a_table_that_may_be_a_list_of_pictures(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"url\n")

    with pytest.raises(errors.OutputNotWritable):
        page_at(tmp_path / name)
    assert (tmp_path / name).read_bytes() == b"url\n"
    page_at(tmp_path / "new.csv")
