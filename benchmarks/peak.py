"""
The processor's arithmetic: how fast it multiplies plain matrices in each precision, and how much of that a model needs.

Each product is one graph of the engine that runs the precision, [1024, 1024] times a constant [1024, 4096]: large enough to stay in the multiplication,
small enough for the cache of one core. What an engine reaches there is the peak that a model of transformers can be held to: better kernels may exist.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

_ROWS, _DEPTH, _COLUMNS = 1024, 1024, 4096
OPERATIONS = 2 * _ROWS * _DEPTH * _COLUMNS
"""of one product: each multiplication and each addition counts"""

Product = Callable[[], object]


def product(precision: str) -> Product:
    """Return a function that multiplies once, in one thread, as the engine of this precision does."""
    made = {"fp32": _onnx_float, "int8": _onnx_integer, "bf16": _openvino_bf16, "int8-openvino": _openvino_int8}
    return made[precision]()


def operations(graph: Path) -> int:
    """Return the operations of one picture in an image model: those of its products of matrices and its convolutions."""
    model = onnx.load(graph)
    for port in model.graph.input:
        port.type.tensor_type.shape.dim[0].dim_value = 1
    inferred = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    shapes = {value.name: _shape(value) for value in (*inferred.input, *inferred.value_info, *inferred.output)}
    shapes |= {value.name: list(value.dims) for value in inferred.initializer}
    return 2 * sum(_products(node, shapes) for node in inferred.node)


def _products(node: Any, shapes: dict[str, list[int]]) -> int:
    """Return the multiplications of a node: for each number that comes out, those that are added up for it."""
    if node.op_type not in {"MatMul", "Gemm", "Conv"}:
        return 0
    out, weights = shapes[node.output[0]], shapes[node.input[1]]
    turned = any(attribute.name == "transB" and attribute.i for attribute in node.attribute)
    added = {"MatMul": weights[-2:-1], "Gemm": weights[1:] if turned else weights[:1], "Conv": weights[1:]}
    return int(np.prod(out) * np.prod(added[node.op_type]))


def _shape(value: Any) -> list[int]:
    # A length that is not known can only be that of the batch.
    return [length.dim_value or 1 for length in value.type.tensor_type.shape.dim]


def _onnx_float() -> Product:
    return _run_onnx("MatMul", _float(_ROWS, _DEPTH), _float(_DEPTH, _COLUMNS), TensorProto.FLOAT)


def _onnx_integer() -> Product:
    """Unsigned by signed bytes, as ONNX Runtime's int8 models multiply."""
    random = np.random.default_rng(0)
    rows = random.integers(0, 256, (_ROWS, _DEPTH), dtype=np.uint8)
    weights = random.integers(-64, 64, (_DEPTH, _COLUMNS), dtype=np.int8)
    return _run_onnx("MatMulInteger", rows, weights, TensorProto.INT32)


def _run_onnx(operator: str, rows: Any, weights: Any, result: int) -> Product:
    import onnxruntime

    ports = [
        helper.make_tensor_value_info(name, kind, shape)
        for name, kind, shape in (
            ("rows", helper.np_dtype_to_tensor_dtype(rows.dtype), rows.shape),
            ("result", result, (_ROWS, _COLUMNS)),
        )
    ]
    node = helper.make_node(operator, ["rows", "weights"], ["result"])
    graph = helper.make_graph([node], "product", ports[:1], ports[1:], [numpy_helper.from_array(weights, "weights")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), settings, providers=["CPUExecutionProvider"])
    return lambda: session.run(None, {"rows": rows})


def _openvino_bf16() -> Product:
    return _run_openvino("bf16", lambda values: values)


def _openvino_int8() -> Product:
    """Both sides quantised to 256 steps, as NNCF marks them."""
    from openvino import opset13

    def quantised(values: Any) -> Any:
        low, high = (np.array(limit, np.float32) for limit in (-4, 4 * 127 / 128))
        return opset13.fake_quantize(values, low, high, low, high, 256)

    return _run_openvino("f32", quantised)


def _run_openvino(hint: str, mark: Callable[[Any], Any]) -> Product:
    import openvino
    from openvino import opset13

    rows = opset13.parameter([_ROWS, _DEPTH], np.float32)
    weights = opset13.constant(_float(_DEPTH, _COLUMNS))
    model = openvino.Model([opset13.matmul(mark(rows), mark(weights), False, False)], [rows])
    hints = {"INFERENCE_PRECISION_HINT": hint, "INFERENCE_NUM_THREADS": 1, "ENABLE_CPU_PINNING": False}
    request = openvino.Core().compile_model(model, "CPU", hints).create_infer_request()
    request.get_input_tensor().data[:] = _float(_ROWS, _DEPTH)
    return request.infer


def _float(rows: int, columns: int) -> Any:
    return np.random.default_rng(0).normal(size=(rows, columns)).astype(np.float32)
