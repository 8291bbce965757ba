"""
Quantization of float graphs to int8, cached for the user.

Owns the recipe, with ONNX Runtime's quantizer. Must not know what runs the result; `tune` measures whether the answers are the same.

The recipe was chosen by measurement (docs/reference/models.md): per-channel int8 weights, dynamic uint8 activations, and only matrix products
with a constant. Products of two activations, as in attention, stay float: quantizing them makes a model a third slower for no gain.
Static ranges from calibration pictures were slower and less accurate.
"""

import platform
from pathlib import Path

from pixfind.models import cache
from pixfind.models.backends import onnx_graphs

_OPERATORS = ["MatMul", "Gemm"]


def int8(model: Path, published: Path | None = None) -> Path:
    """
    Return the path of an int8 graph: the one published beside the float graph, else one made from `model` on the first call.

    Raises InvalidModelFile, and what `cache.publishing` raises.
    """
    published = published or model
    own = published.with_name(f"{published.stem}_int8.onnx")
    if own.is_file():
        return own
    name = "int8.onnx" if has_vnni() else "int7.onnx"
    path = onnx_graphs.folder(model) / name
    if not path.is_file():
        with cache.locked(path.parent):
            if not path.is_file():
                _make(model, path)
    return path


def has_vnni() -> bool:
    """
    Tell whether the processor multiplies int8 without saturation.

    Without VNNI, x86 adds two products in 16 bits, which saturate with large weights; weights get 7 bits then.
    """
    if platform.machine().lower() not in {"x86_64", "amd64"}:
        return True
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        # Unknown, as on Windows: 7 bits are correct on every processor.
        return False
    return "vnni" in flags


def _make(model: Path, path: Path) -> None:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    graph = onnx_graphs.load(model)
    # This mark skips a preprocessing step of ten seconds that only static ranges need.
    graph.metadata_props.add(key="onnx.quant.pre_process", value="onnxruntime.quant")
    with cache.publishing(path) as temporary:
        quantize_dynamic(
            graph,
            temporary / path.name,
            op_types_to_quantize=_OPERATORS,
            per_channel=True,
            reduce_range=path.name == "int7.onnx",
            weight_type=QuantType.QInt8,
            extra_options={"MatMulConstBOnly": True},
        )
