"""Downloads from a hub on localhost, which misbehaves when told to."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import onnx
import pytest

from pixfind import errors
from pixfind.models import cache, encoders, hub, text_source
from pixfind.testing.hub import CHUNK, COMMIT, Handler, Hub
from pixfind.workflows import fetch

GOLDEN = Path(__file__).parents[1] / "golden"


def leftovers(tmp_path: Path) -> list[str]:
    return [path.name for path in (tmp_path / "cache").rglob("*.partial")]


def test_a_worker_fetches_the_image_tower_only(server: Hub) -> None:
    files = hub.resolve("someone/clip")

    assert ["config.json", "visual/model.onnx", "visual/preprocess_cfg.json"] == server.fetched()
    assert 24 == encoders.open_image_encoder(files, threads=1).dimension


def test_a_search_machine_fetches_the_text_tower_only(server: Hub) -> None:
    files = hub.resolve("someone/siglip", text=True, image=False)

    assert ["config.json", "onnx/text_model.onnx", "tokenizer.json", "tokenizer_config.json"] == server.fetched()
    assert (1, 32) == encoders.open_text_encoder(files, threads=1).encode(["a dog"]).shape
    assert not files.hash


def test_the_second_call_needs_no_network(server: Hub) -> None:
    first = hub.resolve("someone/clip", text=True)
    server.repos.clear()
    calls = server.api_calls

    assert first == hub.resolve("someone/clip", text=True)
    assert calls == server.api_calls
    assert hub.cached_folder("someone/clip", text=True) == first.directory


@pytest.mark.usefixtures("server")
def test_a_tower_that_is_added_later_comes_from_the_commit_of_the_first() -> None:
    """The branch moved between the two calls; two commits must not mix."""
    hub.resolve("someone/clip")
    asked: list[str] = []
    original = Handler._info

    def info(self: Handler, path: str) -> None:
        asked.append(path)
        original(self, path)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Handler, "_info", info)
        files = hub.resolve("someone/clip", text=True)

    assert [f"someone/clip/revision/{COMMIT}"] == asked
    assert COMMIT == files.directory.name


@pytest.mark.usefixtures("server")
def test_a_folder_and_a_download_of_the_same_files_are_the_same_model() -> None:
    assert hub.resolve(str(GOLDEN / "clip-tiny")).hash == hub.resolve("someone/clip").hash


def test_a_connection_that_is_cut_is_taken_up_where_it_broke(server: Hub, tmp_path: Path) -> None:
    server.cut["visual/model.onnx"] = 1

    files = hub.resolve("someone/clip")

    half = (GOLDEN / "clip-tiny/visual/model.onnx").stat().st_size // 2
    ranges = [span for name, span in server.asked if name == "visual/model.onnx"]
    assert ["", f"bytes={half // CHUNK * CHUNK}-"] == ranges
    assert files.vision.read_bytes() == (GOLDEN / "clip-tiny/visual/model.onnx").read_bytes()
    assert [] == leftovers(tmp_path)


def test_a_download_that_was_killed_goes_on_in_the_next_run(server: Hub, tmp_path: Path) -> None:
    class Killed(BaseException):
        """What a kill is: nothing catches it."""

    def kill(file: str, done: int, _total: int) -> None:
        if file == "visual/model.onnx" and done >= 1:
            raise Killed

    with pytest.raises(Killed):
        hub.resolve("someone/clip", progress=kill)
    assert ["model.onnx.partial"] == leftovers(tmp_path)
    assert hub.cached_folder("someone/clip") is None

    files = hub.resolve("someone/clip")

    assert ("visual/model.onnx", f"bytes={CHUNK}-") == server.asked[-1]
    assert hub.resolve(str(GOLDEN / "clip-tiny")).hash == files.hash


def test_a_killed_process_leaves_bytes_that_the_next_one_uses(server: Hub) -> None:
    """A real process, a real SIGKILL: nothing of Python runs afterwards."""
    code = (
        "import os, signal, huggingface_hub.constants as c\n"
        f"c.DOWNLOAD_CHUNK_SIZE = {CHUNK}\n"
        "from pixfind.models import hub\n"
        "def kill(file, done, total):\n"
        "    if file == 'visual/model.onnx' and done > 100_000: os.kill(os.getpid(), signal.SIGKILL)\n"
        "hub.resolve('someone/clip', progress=kill)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, env=os.environ)
    assert -signal.SIGKILL == done.returncode

    files = hub.resolve("someone/clip")

    name, span = server.asked[-1]
    assert "visual/model.onnx" == name
    assert int(span.removeprefix("bytes=").rstrip("-")) >= 90_000
    assert hub.resolve(str(GOLDEN / "clip-tiny")).hash == files.hash


@pytest.mark.usefixtures("server")
def test_two_that_fetch_the_same_model_at_once_both_get_it() -> None:
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: hub.resolve("someone/clip"), range(2))

    assert first == second
    assert hub.resolve(str(GOLDEN / "clip-tiny")).hash == first.hash


def test_a_model_that_does_not_fit_is_refused_before_anything_is_fetched(
    server: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1000))

    with pytest.raises(errors.ModelTooLarge, match="PIXFIND_CACHE"):
        hub.resolve("someone/clip")

    assert [] == server.fetched()


@pytest.mark.usefixtures("server")
def test_what_is_here_already_needs_no_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.resolve("someone/clip")
    whole = tmp_path / f"cache/models/someone--clip/{COMMIT}/visual/model.onnx"
    data = whole.read_bytes()
    whole.with_name("model.onnx.partial").write_bytes(data[:-100])
    whole.unlink()
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=100))

    assert hub.resolve("someone/clip").hash
    assert data == whole.read_bytes()


@pytest.mark.usefixtures("server")
def test_a_model_that_was_fetched_for_later_is_searched_without_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    fetch.fetch("someone/clip")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")

    assert text_source.resolve("someone/clip").value.dimension


@pytest.mark.usefixtures("server")
def test_a_cache_that_was_deleted_is_filled_again(tmp_path: Path) -> None:
    before = hub.resolve("someone/clip").hash
    shutil.rmtree(tmp_path / "cache")

    assert before == hub.resolve("someone/clip").hash


def test_bytes_that_are_more_than_the_file_has_are_thrown_away(server: Hub, tmp_path: Path) -> None:
    partial = tmp_path / f"cache/models/someone--clip/{COMMIT}/visual/model.onnx.partial"
    partial.parent.mkdir(parents=True)
    partial.write_bytes(bytes(10_000_000))

    files = hub.resolve("someone/clip")

    assert ("visual/model.onnx", "") in server.asked
    assert hub.resolve(str(GOLDEN / "clip-tiny")).hash == files.hash


@pytest.mark.parametrize("file", ["visual/model.onnx", "visual/preprocess_cfg.json"])
def test_a_file_with_a_wrong_byte_is_thrown_away_and_named(file: str, server: Hub, tmp_path: Path) -> None:
    """Large files are known by their SHA-256, small ones by git's hash."""
    server.flip.add(file)

    with pytest.raises(errors.ChecksumMismatch, match=file):
        hub.resolve("someone/clip")

    assert [] == leftovers(tmp_path)
    assert hub.cached_folder("someone/clip") is None
    server.flip.clear()
    assert hub.resolve(str(GOLDEN / "clip-tiny")).hash == hub.resolve("someone/clip").hash


@pytest.fixture
def interrupted(server: Hub, tmp_path: Path) -> Path:
    """Half of the image encoder, as a run that was killed left it; returns the partial file."""
    whole = server.repos["someone/clip"] / "visual/model.onnx"
    partial = tmp_path / f"cache/models/someone--clip/{COMMIT}/visual/model.onnx.partial"
    partial.parent.mkdir(parents=True)
    partial.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    return partial


def ranges(server: Hub) -> list[str]:
    return [span for name, span in server.asked if name == "visual/model.onnx"]


def test_a_server_that_sends_the_whole_file_in_place_of_the_rest_is_understood(server: Hub, interrupted: Path) -> None:
    server.whole.add("visual/model.onnx")

    files = hub.resolve("someone/clip")

    assert [f"bytes={(GOLDEN / 'clip-tiny/visual/model.onnx').stat().st_size // 2}-"] == ranges(server)
    assert hub.resolve(str(GOLDEN / "clip-tiny")).hash == files.hash
    assert not interrupted.exists()


@pytest.mark.usefixtures("interrupted")
def test_a_server_that_refuses_to_continue_is_asked_for_the_whole_file(server: Hub) -> None:
    server.refused.add("visual/model.onnx")

    files = hub.resolve("someone/clip")

    assert ["bytes", ""] == [span.partition("=")[0] for span in ranges(server)]
    assert hub.resolve(str(GOLDEN / "clip-tiny")).hash == files.hash


def test_half_a_file_of_other_bytes_is_thrown_away_and_the_file_fetched_again(server: Hub, interrupted: Path) -> None:
    """What a mirror sent before it was updated, or a disk that lost a block."""
    interrupted.write_bytes(bytes(interrupted.stat().st_size))

    files = hub.resolve("someone/clip")

    assert ["bytes", ""] == [span.partition("=")[0] for span in ranges(server)]
    assert hub.resolve(str(GOLDEN / "clip-tiny")).hash == files.hash


@pytest.mark.parametrize("half", ["none", "half"])
def test_an_answer_that_says_less_than_the_file_has_is_an_error_and_nothing_of_it_is_kept(
    half: str, server: Hub, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if half == "half":
        request.getfixturevalue("interrupted")
    server.shorter.add("visual/model.onnx")

    with pytest.raises(errors.ChecksumMismatch, match="bytes, expected"):
        hub.resolve("someone/clip")

    assert [] == leftovers(tmp_path)
    server.shorter.clear()
    assert hub.resolve("someone/clip").hash


def test_half_of_the_text_encoder_is_no_hindrance_to_embedding(server: Hub, tmp_path: Path) -> None:
    """A worker opens its files without a network, also while a search downloads the other part."""
    before = hub.resolve("someone/clip")
    (tmp_path / f"cache/models/someone--clip/{COMMIT}/textual").mkdir()
    (tmp_path / f"cache/models/someone--clip/{COMMIT}/textual/model.onnx.partial").write_bytes(b"half")
    server.repos.clear()

    assert before == hub.resolve("someone/clip", offline=True)
    assert hub.cached_folder("someone/clip", text=True, image=False) is None


def test_a_file_of_another_length_than_announced_is_thrown_away_and_named(server: Hub, tmp_path: Path) -> None:
    server.longer.add("visual/model.onnx")

    with pytest.raises(errors.ChecksumMismatch, match=r"model\.onnx .*expected"):
        hub.resolve("someone/clip")

    assert [] == leftovers(tmp_path)


def test_progress_tells_every_file_up_to_its_size(server: Hub) -> None:
    told: dict[str, tuple[int, int]] = {}

    hub.resolve("someone/clip", progress=lambda file, done, total: told.update({file: (done, total)}))

    assert server.fetched() == sorted(told)
    assert all(done == total for done, total in told.values())


def test_a_hub_that_is_not_there_is_told_with_the_ways_out(
    server: Hub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{unused.getsockname()[1]}")

    with pytest.raises(errors.ModelMissing) as caught:
        hub.resolve("siglip2-b32-256")

    message = str(caught.value)
    assert str(tmp_path / "cache/models/immich-app--ViT-B-32-SigLIP2-256__webli") in message
    assert "--model starter" in message
    assert "--model DIR" in message
    assert 20 == caught.value.exit_code
    assert [] == server.asked


def test_a_repo_that_the_hub_does_not_have_is_told_so(server: Hub) -> None:
    with pytest.raises(errors.ModelMissing, match="the hub says"):
        hub.resolve("someone/nothing")

    assert [] == server.asked


@pytest.mark.parametrize("way", ["argument", "environment"])
def test_offline_asks_nobody(way: str, server: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    if way == "environment":
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")

    with pytest.raises(errors.ModelMissing, match="offline"):
        hub.resolve("someone/clip", offline=way == "argument")

    assert 0 == server.api_calls


@pytest.mark.usefixtures("server")
def test_offline_is_no_hindrance_to_a_model_that_is_here() -> None:
    first = hub.resolve("someone/clip")

    assert first == hub.resolve("someone/clip", offline=True)


def test_a_repo_with_a_missing_file_is_refused_before_anything_is_fetched(server: Hub, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(GOLDEN / "clip-tiny", tmp_path / "repo"))
    (folder / "visual/preprocess_cfg.json").unlink()
    server.repos["someone/clip"] = folder

    with pytest.raises(errors.ModelFileMissing, match="preprocess_cfg"):
        hub.resolve("someone/clip")

    assert [] == server.asked


def test_a_repo_of_pickles_is_refused(server: Hub, tmp_path: Path) -> None:
    (tmp_path / "repo").mkdir()
    (tmp_path / "repo/pytorch_model.bin").write_bytes(b"\x80\x04.")
    server.repos["someone/pickle"] = tmp_path / "repo"

    with pytest.raises(errors.UnsafeModelFile, match=r"pytorch_model\.bin"):
        hub.resolve("someone/pickle")

    assert [] == server.asked


def split(folder: Path, tower: str, location: str) -> None:
    """Move the weights of a tower into a file of this name, beside or below its graph."""
    path = folder / tower / "model.onnx"
    model = onnx.load(path)
    (path.parent / location).parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path, save_as_external_data=True, location=location, size_threshold=0)


def rename_data(path: Path, location: str) -> None:
    """Let a graph name other external data than it has."""
    model = onnx.load(path, load_external_data=False)
    for tensor in model.graph.initializer:
        for entry in tensor.external_data:
            if entry.key == "location":
                entry.value = location
    path.write_bytes(model.SerializeToString())


@pytest.fixture
def repo(server: Hub, tmp_path: Path) -> Path:
    """A copy of a repository, to be changed."""
    folder = Path(shutil.copytree(GOLDEN / "clip-tiny", tmp_path / "repo"))
    server.repos["someone/clip"] = folder
    return folder


@pytest.mark.parametrize("location", ["weights.bin", "parts/of the image/0001.data", "model.onnx_data"])
def test_external_data_is_fetched_under_whatever_name_the_graph_gives_it(
    location: str, server: Hub, repo: Path
) -> None:
    split(repo, "visual", location)
    split(repo, "textual", "never asked for.bin")

    files = hub.resolve("someone/clip")

    expected = ["config.json", f"visual/{location}", "visual/model.onnx", "visual/preprocess_cfg.json"]
    assert sorted(expected) == server.fetched()
    assert 24 == encoders.open_image_encoder(files, threads=1).dimension
    assert hub.resolve(str(repo)).hash == files.hash
    before = files.hash
    (repo / "visual" / location).write_bytes(bytes((repo / "visual" / location).stat().st_size))
    assert hub.resolve(str(repo)).hash != before, "the weights are what makes the model"


def test_a_download_cut_between_a_graph_and_its_data_is_not_whole(server: Hub, repo: Path) -> None:
    split(repo, "visual", "weights.bin")
    server.flip.add("visual/weights.bin")
    with pytest.raises(errors.ChecksumMismatch):
        hub.resolve("someone/clip")
    server.flip.clear()
    assert hub.cached_folder("someone/clip") is None

    files = hub.resolve("someone/clip")

    assert hub.cached_folder("someone/clip") == files.directory
    assert 1 == [name for name, _ in server.asked].count("visual/model.onnx")


def test_external_data_that_the_hub_lacks_is_named(repo: Path) -> None:
    split(repo, "visual", "weights.bin")
    (repo / "visual/weights.bin").unlink()

    with pytest.raises(errors.ModelFileMissing, match=r"visual/weights\.bin"):
        hub.resolve("someone/clip")
    with pytest.raises(errors.ModelFileMissing, match=r"visual/weights\.bin"):
        hub.resolve(str(repo))


@pytest.mark.parametrize(
    "location",
    ["../textual/model.onnx", "a/../../config.json", "/etc/passwd", "C:\\weights", "..\\weights", "\\weights", ""],
)
def test_external_data_that_leads_out_of_the_folder_is_refused_and_not_fetched(
    location: str, server: Hub, repo: Path
) -> None:
    split(repo, "visual", "weights.bin")
    rename_data(repo / "visual/model.onnx", location)

    with pytest.raises(errors.InvalidModelFile, match=r"visual/model\.onnx .*outside"):
        hub.resolve("someone/clip")

    assert {"config.json", "visual/model.onnx", "visual/preprocess_cfg.json"} == set(server.fetched())
    with pytest.raises(errors.InvalidModelFile, match="outside"):
        hub.resolve(str(repo))


def test_a_folder_is_remembered_by_its_full_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(GOLDEN)

    assert str(GOLDEN / "clip-tiny") == hub.resolve("clip-tiny").name


def test_a_name_that_is_nothing_lists_the_table() -> None:
    with pytest.raises(errors.UnknownModel, match="siglip2-b32-256"):
        hub.resolve("no such model")


def test_the_cache_is_where_the_variable_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PIXFIND_CACHE", str(tmp_path / "elsewhere"))

    assert tmp_path / "elsewhere/models/a" == cache.folder("models", "a")


def test_the_next_layout_of_a_publisher_is_fetched_with_its_weights(server: Hub) -> None:
    server.repos["someone/siglip"] = GOLDEN / "siglip2-tiny-immich-next"

    files = hub.resolve("someone/siglip", text=True)

    weights = [name for name in server.fetched() if name.endswith(".safetensors")]
    assert ["textual/model.safetensors", "visual/model.safetensors"] == weights
    assert 32 == encoders.open_image_encoder(files, threads=1).dimension
    assert (1, 32) == encoders.open_text_encoder(files, threads=1).encode(["a dog"]).shape


def test_a_branch_that_moves_to_another_layout_changes_no_model_that_is_here(server: Hub) -> None:
    server.repos["someone/siglip"] = GOLDEN / "siglip2-tiny-immich"
    before = hub.resolve("someone/siglip", text=True)
    server.repos["someone/siglip"], server.commit = GOLDEN / "siglip2-tiny-immich-next", COMMIT[::-1]

    assert before == hub.resolve("someone/siglip", text=True)
