"""Tables for other programs and from them, and hits as files in a folder."""

import csv
import dataclasses
import io
import json
import os
import stat
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from pixfind import errors
from pixfind.embedding.runners.serial import Serial
from pixfind.library import scan, verify
from pixfind.library.library import Library
from pixfind.search import searcher
from pixfind.storage.output import Output
from pixfind.testing import make_broken, make_image, make_library
from pixfind.testing.decoders import COMMAND
from pixfind.testing.libraries import QUIET
from pixfind.worker.decoders import DecoderPool
from pixfind.workflows import export
from pixfind.workflows.collect import collect
from pixfind.workflows.embed import embed
from pixfind.workflows.export_file import Format, export_file
from pixfind.workflows.import_embeddings import Imported, import_embeddings

CLIP = str(Path(__file__).parents[1] / "golden" / "clip-tiny")


def exported(library: Library, path: Path, *, embeddings: bool = True) -> Path:
    export_file(library, Output.at(path), Format.of(path), embeddings=embeddings)
    return path


@pytest.fixture
def other(tmp_path: Path, pictures: Path) -> Iterator[Library]:
    """A second library of the same pictures, all pending. Ends with `verify`."""
    with make_library(tmp_path / "other", pictures, embed=False) as made:
        yield made
        assert [] == verify.verify(made)


def imported(library: Library, path: Path, model: str | None = None) -> Imported:
    with library.lock("import"):
        return import_embeddings(library, path, dataclasses.replace(QUIET, model=model))


# --- export ---------------------------------------------------------------------------------------


def test_each_format_holds_every_image(embedded: Library, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    paths = [record.path for record in export.images(embedded)]
    table = parquet.read_table(exported(embedded, tmp_path / "a.parquet", embeddings=False))
    lines = exported(embedded, tmp_path / "a.jsonl", embeddings=False).read_text().splitlines()
    rows = list(csv.DictReader(io.StringIO(exported(embedded, tmp_path / "a.csv", embeddings=False).read_text())))

    assert paths == table["path"].to_pylist()
    assert paths == [json.loads(line)["path"] for line in lines]
    assert paths == [row["path"] for row in rows]
    assert list(export.COLUMNS) == table.column_names == list(json.loads(lines[0])) == list(rows[0])
    assert ("64", "48", "false") == (rows[0]["width"], rows[0]["height"], rows[0]["duplicate"])


@pytest.mark.parametrize("name", ["a.parquet", "a.jsonl"])
def test_an_export_has_the_very_embeddings(embedded: Library, tmp_path: Path, name: str) -> None:
    path = exported(embedded, tmp_path / name)
    if path.suffix == ".jsonl":
        found = [json.loads(line)["embedding"] for line in path.read_text().splitlines()]
    else:
        found = pytest.importorskip("pyarrow.parquet").read_table(path)["embedding"].to_pylist()

    np.testing.assert_array_equal([record.embedding for record in export.images(embedded)], np.array(found, np.float16))


def test_names_that_are_not_utf8_are_written_as_in_the_catalogue(
    embedded: Library, pictures: Path, tmp_path: Path
) -> None:
    make_image(Path(os.fsdecode(os.fsencode(pictures) + b"/caf\xe9.jpg")), seed=700)
    with embedded.lock("add"):
        scan.add(embedded, pictures)
        embed(embedded, QUIET, runner=Serial())
        from pixfind.workflows.merge import merge

        merge(embedded)
    for name in ("a.csv", "a.jsonl"):
        assert "caf\\xe9.jpg" in exported(embedded, tmp_path / name, embeddings=False).read_text().replace("\\\\", "\\")


def test_an_export_that_cannot_be_is_refused(embedded: Library, other: Library, tmp_path: Path) -> None:
    with pytest.raises(errors.EmbeddingsNotWritable):
        exported(embedded, tmp_path / "a.csv")
    with pytest.raises(errors.UnknownFormat):
        exported(embedded, tmp_path / "a.xlsx")
    assert 0 == export_file(other, Output.at(tmp_path / "none.csv"), Format.CSV)
    kept = tmp_path / "kept.csv"
    kept.write_text("before")
    (other.path / "data" / "model.json").unlink()
    other.catalogue._connection.execute("DELETE FROM library WHERE key = 'model'")
    with pytest.raises(errors.NotEmbedded):
        exported(other, kept, embeddings=False)
    assert "before" == kept.read_text()


# --- import ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.parquet", "a.jsonl"])
def test_what_was_exported_is_imported_to_the_bit(embedded: Library, other: Library, tmp_path: Path, name: str) -> None:
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow")
    path = exported(embedded, tmp_path / name)
    done = imported(other, path)

    assert (40, 16, 0, 0) == (done.imported, done.checked, done.unknown, done.unreadable)
    assert done.cosine > 0.999
    ours, theirs = ({r.path: r.embedding.tobytes() for r in export.images(made)} for made in (embedded, other))
    assert ours == theirs
    best, same = (
        [(hit.path, hit.score) for hit in searcher.search(made, "sky", 5, include_weak=True).hits]
        for made in (embedded, other)
    )
    assert best == same
    again = imported(other, path)
    assert (0, 40) == (again.imported, again.known)


def test_rows_that_do_not_fit_stay_out_and_their_images_pending(
    embedded: Library, other: Library, pictures: Path, tmp_path: Path
) -> None:
    lines = [json.loads(line) for line in exported(embedded, tmp_path / "all.jsonl").read_text().splitlines()]
    files = sorted(pictures.iterdir())
    make_broken(files[0], "truncated")
    files[1].unlink()
    with other.lock("add"):
        scan.add(other, pictures)
    # Rewritten after the scan; and other bytes than those that the table is of.
    make_image(files[2], seed=800)
    lines[3]["size"] += 1
    lines.append({**lines[4], "path": "/nowhere/a.jpg"})
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    done = imported(other, tmp_path / "a.jsonl")

    assert (36, 1, 2, 0, 2) == (
        done.imported,
        done.unreadable,
        done.changed,
        done.known,
        done.unknown,
    )
    ledger = other.catalogue.ledger()
    assert (36, 3, 1) == (ledger["embedded"], ledger["pending"], ledger["gone"])
    with other.lock("add"):
        scan.add(other, pictures)
        embed(other, QUIET, runner=Serial())
    assert 38 == other.catalogue.ledger()["embedded"]


def test_pictures_that_end_their_decoder_stay_pending(
    embedded: Library, other: Library, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bytes that crash, hang or starve a decoder; the import continues with the next picture."""
    lines = [json.loads(line) for line in exported(embedded, tmp_path / "all.jsonl").read_text().splitlines()]
    for line, how in zip(lines, (b"crash", b"hang", b"fill the memory"), strict=False):
        path = Path(line["path"])
        path.write_bytes(path.read_bytes() + how)
        line["size"] = path.stat().st_size
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    with other.lock("add"):
        scan.add(other, pictures)
    monkeypatch.setattr(
        DecoderPool, "for_library", lambda *, seconds: DecoderPool(1, 1 << 30, seconds=seconds, command=COMMAND)
    )
    with other.lock("import"):
        done = import_embeddings(other, tmp_path / "a.jsonl", dataclasses.replace(QUIET, seconds_per_image=10))

    assert (37, 3) == (done.imported, done.unreadable)
    assert 3 == other.catalogue.ledger()["pending"]


def test_pictures_of_a_drive_that_is_away_are_not_waited_for(
    embedded: Library, other: Library, pictures: Path, tmp_path: Path
) -> None:
    path = exported(embedded, tmp_path / "all.jsonl")
    pictures.rename(away := tmp_path / "away")
    done = imported(other, path)
    assert (0, 40) == (done.imported, done.unreadable)
    assert 40 == other.catalogue.ledger()["pending"]

    away.rename(pictures)
    assert 40 == imported(other, path).imported


def test_embeddings_of_another_model_are_refused(embedded: Library, other: Library, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    random = np.random.default_rng(0)
    records = list(export.images(embedded))
    with (tmp_path / "a.jsonl").open("w") as file:
        for record in records:
            file.write(json.dumps({"path": record.path, "embedding": random.normal(size=128).tolist()}) + "\n")
    with pytest.raises(errors.ImportRefused, match="gives another embedding"):
        imported(other, tmp_path / "a.jsonl")
    with pytest.raises(errors.ImportRefused, match="clip-tiny"):
        imported(other, exported(embedded, tmp_path / "a.parquet"), CLIP)
    assert 0 == other.catalogue.ledger()["embedded"]


@pytest.mark.parametrize("embedded_already", [range(0, 40, 2), range(16)])
def test_the_pending_ones_are_checked_wherever_they_stand(
    embedded: Library, pictures: Path, tmp_path: Path, embedded_already: range
) -> None:
    lines = [json.loads(line) for line in exported(embedded, tmp_path / "all.jsonl").read_text().splitlines()]
    random = np.random.default_rng(1)
    with make_library(tmp_path / "third", pictures, embed=False) as third:
        (tmp_path / "some.jsonl").write_text("".join(json.dumps(lines[at]) + "\n" for at in embedded_already))
        assert len(embedded_already) == imported(third, tmp_path / "some.jsonl").imported
        for at in {*range(40)} - {*embedded_already}:
            lines[at]["embedding"] = random.normal(size=128).tolist()
        (tmp_path / "bad.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        with pytest.raises(errors.ImportRefused, match="gives another embedding"):
            imported(third, tmp_path / "bad.jsonl")
        assert len(embedded_already) == third.catalogue.ledger()["embedded"]
        assert [] == verify.verify(third)


def test_a_pipe_is_refused_before_it_is_opened(other: Library, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(errors.ImportRefused, match="regular file"):
        imported(other, tmp_path / "pipe")


def test_a_library_without_a_model_takes_that_of_the_file(embedded: Library, pictures: Path, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    path = exported(embedded, tmp_path / "a.parquet")
    with Library.create(tmp_path / "third") as third:
        with third.lock("add"):
            scan.add(third, pictures)
        assert 40 == imported(third, path).imported
        assert embedded.model() == third.model()
        assert [] == verify.verify(third)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"not json\n", "line 1 is no JSON"),
        (b"[1, 2]\n", "no JSON object"),
        (b'{"embedding": []}\n', "row 1 has no 'path'"),
        (b'{"path": "/a.jpg"}\n', "row 1 has no 'embedding'"),
        (b'{"path": "/a.jpg", "embedding": ["x"]}\n', "row 1"),
        (b'{"path": "/a.jpg", "embedding": [1.0, 2.0]}\n', "128 numbers"),
        (b'{"path": "/a.jpg", "embedding": %b}\n' % json.dumps([0.0] * 128).encode(), "zero"),
        (b'{"path": "/a.jpg", "embedding": %b}\n' % json.dumps([float("nan")] * 128).encode(), "not a number"),
        (b'{"path": "/a.jpg", "size": Infinity, "embedding": %b}\n' % json.dumps([1.0] * 128).encode(), "row 1"),
        (b'{"path": "/a.jpg", "embedding": [%b]}\n' % (b"9" * 400), "row 1"),
        (b"[" * 100_000, "line 1"),
        (b"PAR1 and then nothing", "Parquet"),
        (None, "No such file"),
    ],
)
def test_what_is_no_table_of_embeddings_is_refused(
    other: Library, tmp_path: Path, content: bytes | None, said: str
) -> None:
    pytest.importorskip("pyarrow")
    path = tmp_path / "a.jsonl"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(errors.ImportRefused, match=said):
        imported(other, path)
    assert 40 == other.catalogue.ledger()["pending"]


def test_the_same_bytes_twice_are_one_embedding(embedded: Library, pictures: Path, tmp_path: Path) -> None:
    path = exported(embedded, tmp_path / "a.jsonl")
    first = min(pictures.iterdir())
    (pictures / "copy.jpg").write_bytes(first.read_bytes())
    line = next(line for line in path.read_text().splitlines() if str(first) in line)
    with path.open("a") as file:
        file.write(line.replace(first.name, "copy.jpg") + "\n")
    with make_library(tmp_path / "third", pictures, embed=False) as third:
        assert 41 == imported(third, path).imported
        assert (40, 1) == (third.catalogue.ledger()["embedded"], third.catalogue.ledger()["duplicate"])
        assert [] == verify.verify(third)


# --- hits in a folder -----------------------------------------------------------------------------


def test_copies_have_the_bytes_and_times_of_the_pictures(pictures: Path, tmp_path: Path) -> None:
    paths = [str(path) for path in sorted(pictures.iterdir())[:3]]
    done = collect(paths, tmp_path / "hits")

    assert 3 == done.files
    for number, path in enumerate(paths, 1):
        copy = tmp_path / "hits" / f"{number:03d}-{Path(path).name}"
        assert Path(path).read_bytes() == copy.read_bytes()
        assert Path(path).stat().st_mtime_ns == copy.stat().st_mtime_ns
        assert not copy.is_symlink()


def test_the_umask_says_who_may_read_copies(pictures: Path, tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        collect([str(min(pictures.iterdir()))], tmp_path / "new" / "hits")
    finally:
        os.umask(before)
    (copy,) = (tmp_path / "new" / "hits").iterdir()

    assert 0o640 == stat.S_IMODE(copy.stat().st_mode)
    assert [0o750, 0o750] == [stat.S_IMODE(path.stat().st_mode) for path in (copy.parent, copy.parent.parent)]


def test_links_lead_to_the_pictures(pictures: Path, tmp_path: Path) -> None:
    path = min(pictures.iterdir())
    collect([str(path)], tmp_path / "hits", link=True)

    assert path == (tmp_path / "hits" / f"001-{path.name}").readlink()


def test_what_cannot_be_copied_or_linked_is_named(pictures: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("trip/x.jpg", min(pictures.iterdir()).read_bytes())
    member, gone = f"{tmp_path}/a.zip!/trip/x.jpg", str(pictures / "gone.jpg")
    linked = collect([member, gone], tmp_path / "links", link=True)
    copied = collect([member, gone], tmp_path / "copies")

    assert (0, [member, gone]) == (linked.files, [path for path, _ in linked.left_out])
    assert "archive" in linked.left_out[0][1]
    assert (1, [gone]) == (copied.files, [path for path, _ in copied.left_out])
    assert ["001-x.jpg"] == [path.name for path in (tmp_path / "copies").iterdir()]


def test_long_names_keep_their_suffix(tmp_path: Path) -> None:
    picture = make_image(tmp_path / ("ä" * 120 + ".jpg"), seed=1)
    collect([str(picture)], tmp_path / "hits")
    (name,) = [path.name for path in (tmp_path / "hits").iterdir()]

    assert len(os.fsencode(name)) <= 255
    assert name.startswith("001-ää")
    assert name.endswith("ä.jpg")


def test_nothing_in_the_folder_is_overwritten(pictures: Path, tmp_path: Path) -> None:
    path = min(pictures.iterdir())
    for place in (pictures, path):
        with pytest.raises(errors.FolderTaken):
            collect([str(path)], place)
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    with pytest.raises(errors.FolderTaken):
        collect([str(path)], tmp_path / "dangling")


def test_the_folders_of_a_library_take_no_copies(library: Library, pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "linked").symlink_to(library.data)
    for place in (library.data / "hits", tmp_path / "linked" / "hits"):
        with pytest.raises(errors.FolderTaken, match="belongs to the library"):
            collect([str(min(pictures.iterdir()))], place)
    assert 1 == collect([str(min(pictures.iterdir()))], library.path / "hits").files
