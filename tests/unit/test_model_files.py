"""A node without the model gets it from the library's machine, once, and takes no other one for it."""

import dataclasses
import queue
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from pixfind import errors
from pixfind.models import cache, files, hub
from pixfind.testing.scripted import scripted_config
from pixfind.worker import protocol
from pixfind.worker.model_files import part_of, with_model
from pixfind.worker.protocol import FetchModel, FromWorker, ModelPart, WorkerConfig

GOLDEN = Path(__file__).parents[1] / "golden" / "siglip2-tiny"


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "cache"))


class Library:
    """The library's machine, which answers at once; `change` alters its answers."""

    def __init__(self, model: Path, change: Callable[[ModelPart], ModelPart] = lambda part: part) -> None:
        self.inbox: queue.SimpleQueue[protocol.ToWorker] = queue.SimpleQueue()
        self.asked: list[FetchModel] = []
        self._model, self._change = model, change

    def send(self, message: FromWorker) -> None:
        asked = protocol.decode_from_worker(protocol.encode(message))
        assert isinstance(asked, FetchModel)
        self.asked.append(asked)
        self.inbox.put(protocol.decode_to_worker(protocol.encode(self._change(part_of(str(self._model), asked)))))


def config_of(tmp_path: Path, model: str, model_hash: str) -> WorkerConfig:
    config = scripted_config(tmp_path, tmp_path, dimension=8)
    return dataclasses.replace(config, model=model, model_hash=model_hash, sends_rows=True)


@pytest.fixture
def model(tmp_path: Path) -> files.ModelFiles:
    folder = shutil.copytree(GOLDEN, tmp_path / "model")
    return hub.resolve(str(folder))


def test_a_model_that_is_here_is_not_fetched(tmp_path: Path, model: files.ModelFiles) -> None:
    config, library = config_of(tmp_path, str(model.directory), model.hash), Library(model.directory)

    assert config == with_model(config, library.inbox, library.send)
    assert [] == library.asked


def test_a_model_that_is_missing_is_fetched_whole_and_once(tmp_path: Path, model: files.ModelFiles) -> None:
    config, library = config_of(tmp_path, "/elsewhere/model", model.hash), Library(model.directory)
    library.inbox.put(protocol.Quota(0.5))

    here = with_model(config, library.inbox, library.send)

    assert model.hash == hub.resolve(here.model, offline=True).hash
    assert protocol.Quota(0.5) == library.inbox.get_nowait(), "what else came waits for the worker"
    asked = len(library.asked)
    assert here == with_model(config, library.inbox, library.send)
    assert asked == len(library.asked)


def test_of_the_workers_of_a_node_one_fetches_it(tmp_path: Path, model: files.ModelFiles) -> None:
    config = config_of(tmp_path, "/elsewhere/model", model.hash)
    libraries = [Library(model.directory) for _ in range(4)]
    threads = [threading.Thread(target=with_model, args=(config, one.inbox, one.send)) for one in libraries]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert 1 == sum(bool(one.asked) for one in libraries)


def test_another_model_of_that_name_is_not_taken_for_it(tmp_path: Path, model: files.ModelFiles) -> None:
    other = shutil.copytree(model.directory, tmp_path / "other")
    preprocessing = other / model.names.preprocessing
    preprocessing.write_text(preprocessing.read_text() + "\n")
    config, library = config_of(tmp_path, str(other), model.hash), Library(model.directory)

    assert str(other) != with_model(config, library.inbox, library.send).model
    assert library.asked


def test_bytes_that_arrive_changed_are_refused_and_not_kept(tmp_path: Path, model: files.ModelFiles) -> None:
    def change(part: ModelPart) -> ModelPart:
        return dataclasses.replace(part, data=part.data[:-1] + b"x") if part.file.endswith(".onnx") else part

    config, library = config_of(tmp_path, "/elsewhere/model", model.hash), Library(model.directory, change)

    with pytest.raises(errors.ChecksumMismatch, match="other bytes"):
        with_model(config, library.inbox, library.send)

    assert not cache.folder("models", "from-libraries", model.hash).exists()


def test_a_node_gets_no_other_file_of_the_library_s_machine(model: files.ModelFiles) -> None:
    (model.directory / "secret.txt").write_text("secret")

    for name in ("secret.txt", "../secret.txt", "/etc/hostname"):
        with pytest.raises(errors.ModelFileMissing):
            part_of(str(model.directory), FetchModel(name, 0))
