"""Dense layers in int8 that give an example the same bits in every batch.

Each row of activations, that is each token, has a scale of its own, so that no token depends on the others of its
batch. One scale for the whole tensor, as `onnxruntime.quantization.quantize_dynamic` takes it, would make logits and
token decisions depend on the batch. Each column of the kernel has its own scale as well. Both are symmetric. The sums
are of integers, so their order does not matter.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

import numpy as np
import onnx_ir as ir
from onnxscript import OpBuilder

from tools.inference.onnx_graph import dense_float32

HIGHEST = 127
ZERO_POINT = np.uint8(128)
"""Activations are unsigned: ONNX Runtime's kernels for two signed operands are many times slower."""

_SMALLEST = float(np.finfo(np.float32).tiny)


def quantise_columns(kernel: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Kernel [in, out] -> int8 [in, out] and scales float32 [out], whose product is about the kernel."""
    scales = np.maximum(np.abs(kernel).max(axis=0), _SMALLEST * HIGHEST) / np.float32(HIGHEST)
    return np.round(kernel / scales).astype(np.int8), scales.astype(np.float32)


def dense_int8(op: OpBuilder, inputs: ir.Value, kernel: np.ndarray, bias: np.ndarray, name: str) -> ir.Value:
    """A dense layer [T, in] -> [T, out]; the arguments are those of `tools.inference.onnx_graph.dense_float32`."""
    integers, column_scales = quantise_columns(kernel)
    highest = op.Max(op.ReduceMax(inputs, [1], keepdims=0), op.Neg(op.ReduceMin(inputs, [1], keepdims=0)))
    row_scales = op.Max(op.Mul(highest, 1 / HIGHEST), _SMALLEST)
    zero_points = op.Expand(op.Constant(value=ir.tensor(ZERO_POINT)), op.Shape(row_scales))
    quantised = op.QuantizeLinear(inputs, row_scales, zero_points, axis=0)
    product = op.MatMulInteger(
        quantised, op.initializer(ir.tensor(integers), f"{name}.kernel"), op.Constant(value=ir.tensor(ZERO_POINT))
    )
    scaled = op.DequantizeLinear(product, row_scales, axis=0)
    scaled = op.Mul(scaled, op.initializer(ir.tensor(column_scales), f"{name}.scales"))
    return op.Add(scaled, op.initializer(ir.tensor(bias), f"{name}.bias"))


def dense_int8_except(layers: Collection[int]) -> Callable:
    """`dense_int8`, and `dense_float32` in the given layers of the encoder, counted from 0."""
    prefixes = tuple(f"layer_{layer}." for layer in layers)
    return lambda op, inputs, kernel, bias, name: (dense_float32 if name.startswith(prefixes) else dense_int8)(
        op, inputs, kernel, bias, name
    )
