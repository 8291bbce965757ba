"""The names of external data, read from graphs of all shapes and from files that are none."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from pixfind.models import external_data

GRAPH = Path(__file__).parents[1] / "golden" / "clip-tiny" / "visual" / "model.onnx"


def outside(name: str, location: str) -> TensorProto:
    tensor = helper.make_tensor(name, TensorProto.FLOAT, [2], np.zeros(2, np.float32).tobytes(), raw=True)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("offset", "0"), ("location", location), ("length", "8")):
        tensor.external_data.add(key=key, value=value)
    return tensor


def written(path: Path) -> Path:
    """A graph with external data in its weights, in a constant, and in a branch of a branch."""
    constant = helper.make_node("Constant", [], ["c"], value=outside("c", "constant.bin"))
    branch = helper.make_graph([constant], "branch", [], [], [outside("b", "deep/branch.bin")])
    node = helper.make_node("If", ["x"], ["y"], then_branch=branch, else_branch=branch)
    graph = helper.make_graph([node], "g", [], [], [outside("w", "weights.bin"), outside("v", "weights.bin")])
    onnx.save(helper.make_model(graph), path)
    return path


def test_every_place_of_a_graph_that_can_name_a_file_is_looked_at(tmp_path: Path) -> None:
    assert ("constant.bin", "deep/branch.bin", "weights.bin") == external_data.locations(
        written(tmp_path / "model.onnx")
    )


def test_a_graph_that_keeps_all_in_itself_names_none() -> None:
    assert () == external_data.locations(GRAPH)


@pytest.mark.parametrize("data", [b"", b"not a graph", b"\x80\x04.", b"\xff" * 40])
def test_what_is_no_graph_names_none(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "model.onnx").write_bytes(data)

    assert () == external_data.locations(tmp_path / "model.onnx")


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(cut=st.integers(0, 500), flip=st.integers(0, 500), to=st.integers(0, 255))
def test_a_damaged_graph_never_ends_it(tmp_path: Path, cut: int, flip: int, to: int) -> None:
    data = bytearray(written(tmp_path / "whole.onnx").read_bytes())
    data[flip % len(data)] = to
    path = tmp_path / "model.onnx"
    path.unlink(missing_ok=True)
    path.write_bytes(data[: len(data) - cut % len(data)])

    found = external_data._locations(path, path.stat().st_size, cut * 1000 + flip * 3 + to)

    assert all(isinstance(name, str) for name in found)
