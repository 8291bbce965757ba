"""
int8 encoders made here from the float ones, kept in the per-user cache.

Owns the recipe, with ONNX Runtime's quantiser. Must not know who runs the result. `engines` asks for the path; `tune` says whether the answers hold.

The recipe was chosen by measuring (docs/reference/models.md): weights to int8 for each output channel, activations to uint8
when they are known, and only products with a constant. Products of two activations, as in attention, stay float: to
quantise them costs a third of the speed and gains nothing. Static ranges from calibration pictures were slower and less exact.
"""

import platform
from pathlib import Path

from pixfind.models import cache
from pixfind.models.backends import onnx_graphs

_PRODUCTS = ["MatMul", "Gemm"]


def int8(model: Path, published: Path | None = None) -> Path:
    """Return an int8 graph: the one that lies beside the published float graph, else one of `model`, made on the first call."""
    published = published or model
    own = published.with_name(f"{published.stem}_int8.onnx")
    if own.is_file():
        return own
    name = "int8.onnx" if has_int8_products() else "int7.onnx"
    path = onnx_graphs.folder(model) / name
    if not path.is_file():
        with cache.locked(path.parent):
            if not path.is_file():
                _make(model, path)
    return path


def has_int8_products() -> bool:
    """
    Whether the processor multiplies int8 without saturating.

    Without such instructions x86 adds two products in 16 bits, and large weights overflow; then weights get 7 bits.
    """
    if platform.machine().lower() not in {"x86_64", "amd64"}:
        return True
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        # Unknown, as on Windows: 7 bits are right on every processor.
        return False
    return "vnni" in flags


def _make(model: Path, path: Path) -> None:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    graph = onnx_graphs.load(model)
    # Without this mark the quantiser advises a preparation that only static ranges need: ten seconds for nothing.
    graph.metadata_props.add(key="onnx.quant.pre_process", value="onnxruntime.quant")
    with cache.publishing(path) as temporary:
        quantize_dynamic(
            graph,
            temporary / path.name,
            op_types_to_quantize=_PRODUCTS,
            per_channel=True,
            reduce_range=path.name == "int7.onnx",
            weight_type=QuantType.QInt8,
            extra_options={"MatMulConstBOnly": True},
        )
