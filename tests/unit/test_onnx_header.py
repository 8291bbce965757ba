"""What a graph says of itself, read without a library, against what the library reads."""

from pathlib import Path

import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from pixfind import errors
from pixfind.models import onnx_header
from pixfind.models.backends import runtimes

GOLDEN = Path(__file__).parents[1] / "golden"
GRAPHS = sorted(GOLDEN.rglob("*.onnx"))
NEXT = GOLDEN / "siglip2-tiny-immich-next/visual/model.onnx"


def shapes(ports: object) -> dict[str, tuple[int | None, ...]]:
    return {
        port.name: tuple(one.dim_value or None for one in port.type.tensor_type.shape.dim)
        for port in ports  # type: ignore[attr-defined]
    }


@pytest.mark.parametrize("path", GRAPHS, ids=lambda path: path.relative_to(GOLDEN).as_posix())
def test_the_header_is_what_the_library_reads(path: Path) -> None:
    model = onnx.load(path, load_external_data=False)

    found = onnx_header.read(path)

    assert model.opset_import[0].version == found.opset
    assert (shapes(model.graph.input), shapes(model.graph.output)) == (found.inputs, found.outputs)


def test_lengths_are_free_where_they_are_named_missing_or_negative(tmp_path: Path) -> None:
    ports = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["b", None, -1, 3])]
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", ports, ports)
    opsets = [helper.make_opsetid("com.microsoft", 99), helper.make_opsetid("", 18)]
    onnx.save(helper.make_model(graph, opset_imports=opsets), tmp_path / "model.onnx")

    found = onnx_header.read(tmp_path / "model.onnx")

    assert (18, {"x": (None, None, None, 3)}, False) == (found.opset, found.inputs, found.takes_one)


@pytest.mark.parametrize("data", [b"", b"not a graph", b"\x80\x04.", b"\xff" * 40])
def test_what_is_no_graph_says_nothing(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(data)

    assert onnx_header.Header(0, {}, {}) == onnx_header.read(tmp_path / "model.onnx")


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(cut=st.integers(0, 300), flip=st.integers(0, 5000), to=st.integers(0, 255))
def test_a_damaged_graph_never_ends_it(tmp_path: Path, cut: int, flip: int, to: int) -> None:
    data = bytearray(NEXT.read_bytes())
    data[flip % len(data)] = to
    path = tmp_path / "model.onnx"
    path.write_bytes(data[: len(data) - cut % len(data)])

    onnx_header._read(path, path.stat().st_size, cut * 2_000_000 + flip * 300 + to)


@pytest.mark.parametrize(
    ("library", "installed", "needed"),
    [
        ("onnxruntime", "1.22.1", "1.23"),
        ("onnxruntime", "1.9.0", "1.23"),
        ("openvino", "2025.4.1-20426-82bbf0292c5-releases/2025/4", "2026.3"),
        ("openvino", "2026.2.0-21903-52ddc073857-releases/2026/2", "2026.3"),
    ],
)
def test_a_library_that_is_too_old_for_a_graph_is_told_with_the_version_that_is_not(
    library: str, installed: str, needed: str
) -> None:
    with pytest.raises(errors.RuntimeOutdated, match=f"opset 23, which needs {library} {needed} or newer") as caught:
        runtimes.require(NEXT, library, installed)

    assert f"{library}>={needed}" in str(caught.value)


@pytest.mark.parametrize(
    ("library", "installed"),
    [("onnxruntime", "1.23.0"), ("onnxruntime", "2.0"), ("openvino", "2026.3.0-1"), ("openvino", "2027.0.0")],
)
def test_a_library_that_is_new_enough_is_used(library: str, installed: str) -> None:
    runtimes.require(NEXT, library, installed)


def test_older_graphs_need_no_newer_library() -> None:
    runtimes.require(GOLDEN / "clip-tiny/visual/model.onnx", "onnxruntime", "1.20.0")
    runtimes.require(GOLDEN / "clip-tiny/visual/model.onnx", "openvino", "2025.0.0")


def test_the_versions_that_are_installed_with_pixfind_run_all_layouts() -> None:
    text = (GOLDEN.parents[1] / "pyproject.toml").read_text(encoding="utf-8")

    for library, needed in runtimes.NEEDED.items():
        assert f'"{library}>={needed}"' in text
