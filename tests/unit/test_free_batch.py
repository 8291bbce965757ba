"""Graphs that take one input at a time, as their publishers export them, made to take any number."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from pixfind.models import cache, onnx_header
from pixfind.models.backends import free_batch, onnx_graphs
from pixfind.models.backends.onnx import Session

GOLDEN = Path(__file__).parents[1] / "golden"
EXPORTED = sorted((GOLDEN / "open_clip").glob("*.onnx"))


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PIXFIND_CACHE", str(tmp_path / "cache"))


def session(graph: Path) -> Session:
    return Session(graph, threads=1, precision="fp32", device="cpu")


def inputs(graph: Path, count: int) -> NDArray[Any]:
    """Different pictures or texts."""
    port = next(iter(session(graph).inputs.values()))
    random = np.random.default_rng(3)
    if port.kind == np.int32:
        return random.integers(0, 64, (count, *port.shape[1:]), dtype=np.int32)  # type: ignore[arg-type]
    return random.standard_normal((count, *port.shape[1:])).astype(np.float32)  # type: ignore[arg-type]


def alone(graph: Path, rows: NDArray[Any]) -> NDArray[np.float32]:
    opened = session(graph)
    (name,), (output,) = opened.inputs, opened.outputs
    return np.concatenate([opened.run({name: rows[place : place + 1]}, output) for place in range(len(rows))])


def together(graph: Path, rows: NDArray[Any]) -> NDArray[np.float32]:
    opened = session(graph)
    (name,), (output,) = opened.inputs, opened.outputs
    return opened.run({name: rows}, output)


def run(rows: NDArray[Any]) -> Callable[[Path], NDArray[np.float32]]:
    return lambda graph: alone(graph, rows) if onnx_header.read(graph).takes_one else together(graph, rows)


def made(path: Path, nodes: list[Any], weights: dict[str, Any] | None = None, length: int = 4) -> Path:
    """A graph from x [1, length] to y [1, length]."""
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, length])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, length])],
        [numpy_helper.from_array(np.array(values), name) for name, values in (weights or {}).items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


@pytest.mark.parametrize("graph", EXPORTED, ids=lambda graph: graph.stem)
def test_what_open_clip_exports_takes_any_number_and_gives_each_the_same_embedding(graph: Path) -> None:
    assert onnx_header.read(graph).takes_one
    freed = free_batch.freed(graph, run(inputs(graph, 3)))

    assert freed != graph
    for count in (1, 2, 7):
        rows = inputs(graph, count)
        np.testing.assert_allclose(alone(graph, rows), together(freed, rows), atol=1e-5)


def test_all_architectures_and_exporters_are_there() -> None:
    assert 8 == len(EXPORTED)


def test_a_freed_graph_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = EXPORTED[0]
    first = free_batch.freed(graph, run(inputs(graph, 3)))
    monkeypatch.setattr(onnx_graphs, "load", lambda _: pytest.fail("made again"))

    assert first == free_batch.freed(graph, run(inputs(graph, 3)))


def test_a_graph_that_takes_many_is_used_as_it_is() -> None:
    graph = GOLDEN / "siglip2-tiny/onnx/vision_model.onnx"

    assert graph == free_batch.freed(graph, lambda _: pytest.fail("nothing to prove"))


@pytest.mark.parametrize(
    "nodes",
    [
        # What one input gets depends on the others.
        [helper.make_node("ReduceMean", ["x"], ["m"], axes=[0]), helper.make_node("Add", ["x", "m"], ["y"])],
        # All inputs get what the first one gets.
        [
            helper.make_node("Slice", ["x", "zero", "one"], ["first"]),
            helper.make_node("Mul", ["x", "nothing"], ["z"]),
            helper.make_node("Add", ["first", "z"], ["y"]),
        ],
        # The rows come out in another order.
        [
            helper.make_node("Slice", ["x", "minus", "lowest", "zero", "minus"], ["back"]),
            helper.make_node("Identity", ["back"], ["y"]),
        ],
        # The batch is dropped.
        [helper.make_node("Squeeze", ["x", "zero"], ["z"]), helper.make_node("Unsqueeze", ["z", "zero"], ["y"])],
        # No number comes out.
        [helper.make_node("Log", ["negative"], ["z"]), helper.make_node("Add", ["x", "z"], ["y"])],
    ],
    ids=["mixed", "first", "reversed", "dropped", "nan"],
)
def test_a_copy_that_embeds_otherwise_is_never_used(nodes: list[Any], tmp_path: Path) -> None:
    weights = {
        "zero": [0],
        "one": [1],
        "minus": [-1],
        "lowest": [-(1 << 40)],
        "nothing": np.zeros(1, np.float32),
        "negative": np.array([-1], np.float32),
    }
    graph = made(tmp_path / "model.onnx", nodes, weights)
    calls = []

    for _ in range(2):
        assert graph == free_batch.freed(graph, lambda one: calls.append(one) or run(inputs(graph, 3))(one))

    assert 2 == len(calls), "tried once and remembered"


def test_inputs_that_all_get_the_same_row_prove_nothing(tmp_path: Path) -> None:
    nodes = [helper.make_node("Mul", ["x", "nothing"], ["z"]), helper.make_node("Add", ["z", "same"], ["y"])]
    weights = {"nothing": np.zeros(1, np.float32), "same": np.ones((1, 4), np.float32)}
    graph = made(tmp_path / "model.onnx", nodes, weights)

    assert graph == free_batch.freed(graph, run(inputs(graph, 3)))


def test_a_graph_that_no_rule_understands_is_run_as_it_is(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Concat", ["part", "x"], ["y"], axis=1),
        helper.make_node("Loop", ["", "", "x"], ["part"]),
    ]
    graph = made(tmp_path / "model.onnx", nodes)

    assert graph == free_batch.freed(graph, lambda _: np.eye(3, 4, dtype=np.float32))


@pytest.mark.parametrize("trouble", ["full", "read-only"])
def test_a_cache_that_takes_nothing_leaves_the_graph_as_it_is(
    trouble: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    graph = EXPORTED[0]
    if trouble == "full":
        monkeypatch.setattr(onnx_graphs, "_FREE_FACTOR", 10**15)
    else:
        (tmp_path / "cache").write_text("a file where the folder should be")

    assert graph == free_batch.freed(graph, run(inputs(graph, 3)))


def test_a_disk_that_fills_while_a_copy_is_written_leaves_no_file(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(onnx_graphs, "save", fail)
    graph = EXPORTED[0]

    assert graph == free_batch.freed(graph, run(inputs(graph, 3)))
    assert [".lock"] == [path.name for path in cache.folder().rglob("*") if path.is_file()]
