"""Dense layers and word embeddings in int8 that give an example the same bits in every batch.

Each row of activations, that is each token, has a scale of its own, so that no token depends on the others of its
batch. One scale for the whole tensor, as `onnxruntime.quantization.quantize_dynamic` takes it, would make logits and
token decisions depend on the batch. Each column of the kernel has its own scale as well, and each word its own. All are
symmetric. The sums are of integers, so their order does not matter.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import onnx_ir as ir
from onnxscript import OpBuilder

from tools.inference.onnx_graph import FLOAT32, Arithmetic, dense_float32

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


def lookup_int8(op: OpBuilder, table: np.ndarray, rows: ir.Value, name: str) -> ir.Value:
    """Rows of a table; the arguments are those of `tools.inference.onnx_graph.lookup_float32`."""
    integers, scales = quantise_columns(table.T)
    integers = op.Gather(op.initializer(ir.tensor(np.ascontiguousarray(integers.T)), name), rows)
    return op.DequantizeLinear(integers, op.Gather(op.initializer(ir.tensor(scales), f"{name}.scales"), rows), axis=0)


INT8 = Arithmetic(dense_int8, lookup_int8)
ARITHMETIC = {"float32": FLOAT32, "int8": INT8}


def int8_except(layers: Collection[int]) -> Arithmetic:
    """INT8, but with float32 in the dense products of the given layers of the encoder, counted from 0."""
    prefixes = tuple(f"layer_{layer}." for layer in layers)

    def dense(op: OpBuilder, inputs: ir.Value, kernel: np.ndarray, bias: np.ndarray, name: str) -> ir.Value:
        write = dense_float32 if name.startswith(prefixes) else dense_int8
        return write(op, inputs, kernel, bias, name)

    return Arithmetic(dense, lookup_int8)
