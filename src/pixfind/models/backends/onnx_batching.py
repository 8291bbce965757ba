"""
Rewriting graphs with a fixed batch of one to a dynamic batch.

Owns the rewriting of a loaded graph. Must not know files, caches or engines. `free_batch` tests whether the result computes the same
embeddings, so the rules here may be heuristics; a graph that they do not fit is run one input at a time.

Exporters that trace one example bake its batch of one into the graph: into the declared inputs and outputs, into targets of
Reshape, and into parts that stand beside the data of each input, such as a class token.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

BATCH = "batch"


def free(model: Any) -> None:
    """Rewrite a model from inputs [1, ...] to [batch, ...], in place; raises various errors for graphs that no rule fits."""
    graph = model.graph
    for port in (*graph.input, *graph.output):
        length = port.type.tensor_type.shape.dim
        if length and length[0].dim_value == 1:
            length[0].dim_param = BATCH
    # Shapes that were inferred for a batch of one would contradict the new ones.
    del graph.value_info[:]
    opset = next(one.version for one in model.opset_import if one.domain in {"", "ai.onnx"})
    _Rewriting(graph, opset).run()


class _Rewriting:
    """Follows the inputs through the graph and rewrites nodes that depend on a batch of one."""

    def __init__(self, graph: Any, opset: int) -> None:
        self._graph, self._opset = graph, opset
        self._constants = dict(_constants(graph))
        self._weights = {tensor.name: tensor for tensor in graph.initializer}
        self._producers = {name: node for node in graph.node for name in node.output}
        self._source = graph.input[0].name
        self._added = 0

    def run(self) -> None:
        follows = {port.name for port in self._graph.input}
        nodes = list(self._graph.node)
        for node in nodes:
            if node.op_type == "Mul":
                self._product(node)
            if not follows.intersection(node.input):
                continue
            if node.op_type == "Reshape" and node.input[0] in follows:
                self._reshape(node)
            elif node.op_type == "Concat":
                self._concat(node, follows)
            # Shapes are computed in each run, so nodes that use them adapt to the batch by themselves.
            if node.op_type != "Shape":
                follows.update(node.output)

    def _reshape(self, node: Any) -> None:
        target = self._constants.get(node.input[1])
        if target is None:
            return
        freed = _freed(target.tolist())
        for attribute in list(node.attribute):
            if attribute.name == "allowzero" and 0 in freed:
                node.attribute.remove(attribute)
        node.input[1] = self._constant(freed)

    def _concat(self, node: Any, follows: set[str]) -> None:
        """Repeat a constant for each input of the batch, such as the class token before the patches."""
        axis = next(attribute.i for attribute in node.attribute if attribute.name == "axis")
        for place, name in enumerate(node.input):
            if name in follows or axis == 0:
                continue
            value = self._evaluated(name)
            if value.shape[:1] == (1,):
                # Integers are indices for each input, of which the first is the row.
                rows = value.dtype == np.int64 and not value.any()
                make = self._row_numbers if rows else partial(self._repeated, name)
                node.input[place] = make(value.ndim, node)

    def _product(self, node: Any) -> None:
        """Replace a constant factor [0], the row index of a batch of one, by the indices of all rows."""
        for place, name in enumerate(node.input):
            value = self._constants.get(name)
            if value is not None and value.dtype == np.int64 and value.tolist() == [0]:
                node.input[place] = self._row_numbers(1, node)

    def _evaluated(self, name: str) -> Any:
        """Return the value of a tensor that depends on no input."""
        import onnx
        from onnx.reference import ReferenceEvaluator

        if name in self._weights:
            return onnx.numpy_helper.to_array(self._weights[name])
        needed, waiting = set(), [name]
        while waiting:
            one = waiting.pop()
            needed.add(one)
            waiting += [more for more in getattr(self._producers.get(one), "input", ()) if more not in needed]
        graph = onnx.helper.make_graph(
            [node for node in self._graph.node if needed.intersection(node.output)],
            "part",
            [],
            [onnx.ValueInfoProto(name=name)],
            [tensor for key, tensor in self._weights.items() if key in needed],
        )
        opsets = [onnx.helper.make_opsetid("", self._opset)]
        (value,) = ReferenceEvaluator(onnx.helper.make_model(graph, opset_imports=opsets)).run(None, {})
        return value

    def _repeated(self, name: str, rank: int, before: Any) -> str:
        ones = self._constant([1] * (rank - 1))
        target = self._insert(before, "Concat", [self._batch(before), ones], axis=0)
        return self._insert(before, "Expand", [name, target])

    def _row_numbers(self, rank: int, before: Any) -> str:
        """Add a node that computes 0, 1, 2, ... along the batch."""
        count = self._insert(before, "Squeeze", [self._batch(before)])
        rows = self._insert(before, "Range", [self._constant(0), count, self._constant(1)])
        return self._insert(before, "Reshape", [rows, self._constant([-1] + [1] * (rank - 1))])

    def _batch(self, before: Any) -> str:
        """Add nodes that compute the batch size, as [size]."""
        shape = self._insert(before, "Shape", [self._source])
        return self._insert(before, "Slice", [shape, self._constant([0]), self._constant([1])])

    def _insert(self, before: Any, kind: str, inputs: list[str], **attributes: Any) -> str:
        import onnx

        name = self._name(kind.lower())
        place = next(place for place, node in enumerate(self._graph.node) if node is before)
        self._graph.node.insert(place, onnx.helper.make_node(kind, inputs, [name], **attributes))
        return name

    def _constant(self, values: Any) -> str:
        import onnx

        name = self._name("constant")
        self._graph.initializer.append(onnx.numpy_helper.from_array(np.array(values, dtype=np.int64), name))
        return name

    def _name(self, what: str) -> str:
        self._added += 1
        return f"free_batch_{what}_{self._added}"


def _constants(graph: Any) -> Iterator[tuple[str, Any]]:
    """Yield (name, value) of small integer constants, among them the target shapes of Reshape."""
    import onnx

    for tensor in graph.initializer:
        if len(tensor.dims) <= 1 and tensor.data_type == onnx.TensorProto.INT64:
            yield tensor.name, onnx.numpy_helper.to_array(tensor)
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            yield node.output[0], onnx.numpy_helper.to_array(node.attribute[0].t)


def _freed(target: list[int]) -> list[int]:
    """Return the target shape of a Reshape for any batch size, from that for one."""
    freed = list(target)
    if 1 in target:
        # The batch size itself. Only one length may be -1; 0 copies a length from the input.
        freed[target.index(1)] = 0 if -1 in target else -1
    elif -1 not in target and 0 not in target and len(target) > 1:
        # The batch size is a factor of another length: never of the last one, the size of one embedding.
        freed[-2] = -1
    return freed
