"""An ONNX graph put together node by node, its weights written as they come.

Operators are those of opset 17 (https://onnx.ai/onnx/operators/) and no others, so that every provider of
every ONNX Runtime from 1.14 on runs them. In int8 only weights are small: a matrix is int8 with a scale for
each of its outputs, a table of embeddings with a scale for each row, and arithmetic is float32. Activations
are never rounded, so what a text's vector is does not depend on its batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, BinaryIO, Final, Literal

if TYPE_CHECKING:
    from typing import TypeAlias

    import numpy as np
    from numpy.typing import NDArray
    from onnx import ModelProto, TensorProto

    from patina_hooks.authoring import Vectors

    Array: TypeAlias = NDArray[np.generic]
    Attribute: TypeAlias = float | Sequence[int]

Precision = Literal["fp32", "int8"]
PRECISIONS: Final[tuple[Precision, ...]] = ("fp32", "int8")

OPSET: Final = 17
_IR_VERSION: Final = 8  # of onnx 1.12, which brought opset 17
_PAGE: Final = 4096  # where external data begins: ONNX Runtime maps it without a copy
_SMALL: Final = 1024  # bytes that stay in the graph when others are external


class OnnxGraph:
    """Nodes are added by `node`; a value is known by its name.

    data: where weights are written instead of into the graph; location: its name, as the file will say it.
    """

    def __init__(self, precision: Precision, data: BinaryIO | None = None, location: str = "") -> None:
        self._precision = precision
        self._data = data
        self._location = location
        self._nodes: list[Any] = []
        self._tensors: list[TensorProto] = []
        self._constants: dict[tuple[str, tuple[int, ...], bytes], str] = {}

    def node(self, operator: str, *inputs: str, **attributes: Attribute) -> str:
        """Add a node with one output, and give its name."""
        (output,) = self.nodes(operator, 1, *inputs, **attributes)
        return output

    def nodes(self, operator: str, outputs: int, *inputs: str, **attributes: Attribute) -> list[str]:
        """Add a node with several outputs, and give their names."""
        from onnx import helper

        name = f"{operator}_{len(self._nodes)}"
        names = [name if outputs == 1 else f"{name}_{place}" for place in range(outputs)]
        named: dict[str, Any] = {"name": name, **attributes}
        self._nodes.append(helper.make_node(operator, inputs, names, **named))
        return names

    def constant(self, value: float | Sequence[int] | Array) -> str:
        """Add a small tensor, once if equal: a float is a scalar, whole numbers are int64 [n]."""
        import numpy as np

        array = np.asarray(value, dtype=np.float32 if isinstance(value, float) else None)
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._constants:
            self._constants[key] = self._tensor(f"constant_{len(self._constants)}", array)
        return self._constants[key]

    def vector(self, name: str, values: Vectors) -> str:
        """Add a bias, or the weight of a norm: float32 in every precision."""
        return self._tensor(name, values)

    def product(self, value: str, name: str, matrix: Vectors) -> str:
        """`value` [..., in] times the transposed `matrix` [out, in], as safetensors hold a linear layer."""
        import numpy as np

        turned = np.ascontiguousarray(matrix.T)
        if self._precision == "fp32":
            return self.node("MatMul", value, self._tensor(name, turned))
        small, scales = quantise(turned, axis=0)
        inputs = (self._tensor(name, small), self._tensor(f"{name}.scale", scales.reshape(-1)))
        return self.node("MatMul", value, self.node("DequantizeLinear", *inputs, axis=1))

    def rows(self, places: str, name: str, table: Vectors) -> str:
        """Gather the rows [..., d] of `table` [n, d] at `places` [...]."""
        if self._precision == "fp32":
            return self.node("Gather", self._tensor(name, table), places)
        small, scales = quantise(table, axis=1)
        rows = self.node("Cast", self.node("Gather", self._tensor(name, small), places), to=1)
        return self.node("Mul", rows, self.node("Gather", self._tensor(f"{name}.scale", scales), places))

    def model(self, inputs: Sequence[str], value: str, width: int, facts: dict[str, str]) -> ModelProto:
        """Build the model: `inputs` int64 [batch, sequence] to last_hidden_state, which is `value`."""
        from onnx import TensorProto, helper

        axes = ["batch", "sequence"]
        output = "last_hidden_state"
        self._nodes.append(helper.make_node("Identity", [value], [output], output))
        graph = helper.make_graph(
            self._nodes,
            "patina",
            [helper.make_tensor_value_info(name, TensorProto.INT64, axes) for name in inputs],
            [helper.make_tensor_value_info(output, TensorProto.FLOAT, [*axes, width])],
            self._tensors,
        )
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=_IR_VERSION,
            producer_name="patina-export",
        )
        helper.set_model_props(model, facts)
        return model

    def _tensor(self, name: str, array: Array) -> str:
        import numpy as np
        from onnx import TensorProto, helper

        kind = helper.np_dtype_to_tensor_dtype(array.dtype)
        little = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
        tensor = TensorProto(name=name, data_type=kind, dims=array.shape)
        if self._data is None or array.nbytes < _SMALL:
            tensor.raw_data = little.tobytes()
        else:
            self._write(tensor, little, self._data)
        self._tensors.append(tensor)
        return name

    def _write(self, tensor: TensorProto, array: Array, data: BinaryIO) -> None:
        from onnx import TensorProto

        start = -(-data.tell() // _PAGE) * _PAGE
        data.write(b"\0" * (start - data.tell()))
        data.write(array.data)
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in (("location", self._location), ("offset", start), ("length", array.nbytes)):
            tensor.external_data.add(key=key, value=str(value))


def quantise(matrix: Vectors, axis: int) -> tuple[NDArray[np.int8], Vectors]:
    """int8 [n, m], and the scales, kept as [1, m] or [n, 1], by which it is the nearest to `matrix`.

    axis: the one along which a scale holds. Symmetric: zero stays zero, and -128 is not used.
    """
    import numpy as np

    largest = np.abs(matrix).max(axis=axis, keepdims=True)
    scales = np.where(largest == 0, 1, largest / 127).astype(np.float32)
    return np.rint(matrix / scales).astype(np.int8), scales
