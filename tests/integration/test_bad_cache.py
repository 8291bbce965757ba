"""A cache that is full, read-only, deleted meanwhile, damaged, or from another version: what was asked is done, or an error names the file."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pixfind import errors
from pixfind.library.library import Library
from pixfind.models import cache, encoders, engines, files, hub
from pixfind.models.backends import onnx_graphs, packed_weights
from pixfind.search import build, searcher
from pixfind.testing.hub import COMMIT, Hub

GOLDEN = Path(__file__).parents[1] / "golden"
TEXTS = ("a dog", "a red square")


def model() -> files.ModelFiles:
    return hub.resolve(str(GOLDEN / "siglip2-tiny-immich"), text=True)


def texts() -> "np.ndarray[tuple[int, int], np.dtype[np.float32]]":
    return encoders.open_text_encoder(model(), threads=1).encode(TEXTS)


def images(precision: str = "int8") -> "np.ndarray[tuple[int, int], np.dtype[np.float32]]":
    pixels = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    return encoders.open_image_encoder(model(), threads=1, precision=precision).forward(list(pixels))


def images_in_fp32() -> "np.ndarray[tuple[int, int], np.dtype[np.float32]]":
    return images("fp32")


# --- damaged --------------------------------------------------------------------------------------


@pytest.mark.parametrize("damage", ["empty", "cut", "no graph", "without its weights"])
@pytest.mark.parametrize("embed", [texts, images, images_in_fp32], ids=["texts", "images", "images in fp32"])
def test_a_copy_that_is_damaged_is_made_again(
    embed: "Callable[[], np.ndarray[tuple[int, int], np.dtype[np.float32]]]",
    damage: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # As large graphs are kept: with their weights in files of their own.
    monkeypatch.setattr(onnx_graphs, "_MIN_MAPPED_BYTES", 0)
    monkeypatch.setattr(packed_weights, "_MIN_BYTES", 0)
    expected = embed()
    derived = tmp_path / "cache/derived"
    for name in sorted(path.name for path in derived.glob("*/*.onnx")):
        # A copy of a graph that was made again is another one, so each begins with copies that are whole.
        shutil.rmtree(derived)
        embed()
        (graph,) = derived.glob(f"*/{name}")
        _damage(graph, damage)

        assert np.allclose(expected, embed(), atol=1e-5)

        assert graph.stat().st_size > 1000


def _damage(graph: Path, damage: str) -> None:
    weights = graph.with_name(f"{graph.name}.data")
    if damage == "without its weights" and weights.is_file():
        weights.unlink()
    elif damage == "empty":
        graph.write_bytes(b"")
    elif damage == "cut":
        whole = weights if weights.is_file() else graph
        whole.write_bytes(whole.read_bytes()[:-100])
    else:
        graph.write_bytes(b"another version's idea of a graph")


def test_a_published_graph_that_is_damaged_is_not_deleted(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(GOLDEN / "siglip2-tiny", tmp_path / "model"))
    (folder / "onnx/text_model.onnx").write_bytes(b"no graph")

    with pytest.raises(errors.InvalidModelFile, match=r"onnx/text_model\.onnx"):
        encoders.open_text_encoder(hub.resolve(str(folder), text=True), threads=1)

    assert b"no graph" == (folder / "onnx/text_model.onnx").read_bytes()


# --- from another version ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "note",
    [b"", b"main", b"../../../elsewhere", b'{"format": 2, "commit": "0123"}', b"\xff\xfe", COMMIT.upper().encode()],
)
def test_a_note_of_a_commit_that_is_none_is_written_again(note: bytes, server: Hub, tmp_path: Path) -> None:
    before = hub.resolve("someone/clip")
    path = tmp_path / "cache/models/someone--clip/main.commit"
    path.write_bytes(note)

    assert hub.cached_folder("someone/clip") is None
    assert before == hub.resolve("someone/clip")
    assert f"{COMMIT}\n" == path.read_text()
    assert 1 == [name for name, _ in server.asked].count("visual/model.onnx"), "the files are here"


@pytest.mark.parametrize(
    "tuned",
    [
        json.dumps({"value": "int4", "reason": "later versions have it"}),
        json.dumps({"format": 2, "choices": []}),
        json.dumps(["int8"]),
        "no JSON",
    ],
)
def test_a_tuned_precision_of_another_version_means_not_tuned(tuned: str) -> None:
    path = cache.folder("tuned", f"{model().hash}.json")
    path.parent.mkdir(parents=True)
    path.write_text(tuned)

    assert "fp32" == engines.image_precision(model(), "auto").value


def test_a_hash_of_another_version_is_computed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_LARGE", 0)
    expected = model().hash
    notes = list(cache.folder("hashes").iterdir())
    assert notes
    for note in notes:
        note.write_text("blake3:0123456789")

    assert expected == model().hash


# --- full, and read-only ----------------------------------------------------------------------------


def test_a_disk_that_fills_up_is_an_error_and_the_download_goes_on_when_there_is_room(server: Hub) -> None:
    """The real error of the operating system: a limit on the size of files, which counts as a full disk."""
    code = (
        "import resource, huggingface_hub.constants as c; c.DOWNLOAD_CHUNK_SIZE = 8192\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "from pixfind import errors\n"
        "from pixfind.models import hub\n"
        "try: hub.resolve('someone/clip')\n"
        "except errors.DiskFull as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "visual/model.onnx.partial" in done.stdout

    found = hub.resolve("someone/clip")

    name, span = server.asked[-1]
    assert ("visual/model.onnx", True) == (name, int(span.removeprefix("bytes=").rstrip("-")) >= 90_000)
    assert hub.resolve(str(GOLDEN / "clip-tiny")).hash == found.hash


@pytest.mark.parametrize("place", ["cache", "cache/models"])
@pytest.mark.usefixtures("server")
def test_a_download_into_a_cache_that_takes_nothing_names_the_folder(place: str, tmp_path: Path) -> None:
    (tmp_path / place).parent.mkdir(exist_ok=True)
    (tmp_path / place).write_text("a file where the folder should be")

    with pytest.raises(errors.NotWritable, match="cache"):
        hub.resolve("someone/clip")


def test_what_is_downloaded_works_in_a_cache_that_takes_nothing_more(
    embedded: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(tmp_path / "cache", ignore_errors=True)
    (tmp_path / "cache").mkdir()
    for part in ("derived", "hashes", "reference-embeddings", "tuned"):
        (tmp_path / "cache" / part).write_text("a file where the folder should be")
    monkeypatch.setattr(files, "_LARGE", 0)

    assert build.build_index(embedded).text_problem is None
    assert searcher.search(embedded, "a red square", include_weak=True).hits
    assert texts().shape[0] == len(TEXTS)


# --- deleted meanwhile ------------------------------------------------------------------------------


def test_a_cache_that_is_deleted_under_a_search_is_missed_by_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx_graphs, "_MIN_MAPPED_BYTES", 0)
    opened = encoders.open_text_encoder(model(), threads=1)
    expected = opened.encode(TEXTS)
    assert list((tmp_path / "cache/derived").glob("*/*.data"))

    shutil.rmtree(tmp_path / "cache")

    assert np.array_equal(expected, opened.encode(TEXTS)), "what is mapped stays"
    assert np.allclose(expected, texts(), atol=1e-5), "the next one makes it again"


def test_a_cache_that_is_deleted_under_a_download_is_an_error_and_the_next_call_downloads_again(
    server: Hub, tmp_path: Path
) -> None:
    def delete(file: str, done: int, total: int) -> None:
        if file == "visual/model.onnx" and done == total:
            shutil.rmtree(tmp_path / "cache")

    with pytest.raises((errors.NotWritable, errors.DiskFailed), match=r"visual/model\.onnx"):
        hub.resolve("someone/clip", progress=delete)

    found = hub.resolve("someone/clip")
    assert hub.resolve(str(GOLDEN / "clip-tiny")).hash == found.hash
    assert 2 == [name for name, _ in server.asked].count("visual/model.onnx")
