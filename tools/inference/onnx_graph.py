"""lr_mode as an ONNX graph of standard operators: the tokens of a batch are packed, and fewer of them reach each layer.

The graph mirrors `models.packing`, `models.packed_layer` and `TFAdapLeREncoder.reduce_hard`.
Shapes: B examples of n input positions; T packed tokens; w tokens of the longest example left; L layers; H hidden size.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from onnxscript import GraphBuilder, OpBuilder

from tools.common.errors import UserError

OPSET = 23
"""The first with an operator for attention; ONNX Runtime has all of its kernels from 1.24 on."""
IR_VERSION = 10
INPUTS = ("input_ids", "attention_mask", "token_type_ids")

ACTIVATIONS: dict[str, Callable[[OpBuilder, ir.Value], ir.Value]] = {
    "gelu": lambda op, x: op.Gelu(x),
    "gelu_new": lambda op, x: op.Gelu(x, approximate="tanh"),
    "relu": lambda op, x: op.Relu(x),
    "tanh": lambda op, x: op.Tanh(x),
}
"""BERT's `hidden_act` -> its operators."""

_HIDDEN = float(np.finfo(np.float32).min)
_INT64, _FLOAT = ir.DataType.INT64, ir.DataType.FLOAT


def dense_float32(op: OpBuilder, inputs: ir.Value, kernel: np.ndarray, bias: np.ndarray, name: str) -> ir.Value:
    """A dense layer of a kernel [in, out] and a bias [out], [_, in] -> [_, out]."""
    product = op.MatMul(inputs, op.initializer(ir.tensor(kernel), f"{name}.kernel"))
    return op.Add(product, op.initializer(ir.tensor(bias), f"{name}.bias"))


def lookup_float32(op: OpBuilder, table: np.ndarray, rows: ir.Value, name: str) -> ir.Value:
    """Rows [T] of a table [_, H], [T, H]."""
    return op.Gather(op.initializer(ir.tensor(table), name), rows)


@dataclass(frozen=True)
class Arithmetic:
    """How a graph holds and applies its large weights.

    Attributes:
        dense: writes a dense layer of the encoder; its arguments are those of `dense_float32`.
        lookup: takes rows of the word embeddings; its arguments are those of `lookup_float32`.
    """

    dense: Callable = dense_float32
    lookup: Callable = lookup_float32


FLOAT32 = Arithmetic()


@dataclass
class Packing:
    """Which example each of T packed tokens belongs to; see `models.packing.Packing`.

    Attributes:
        positions: place of each token in its example's input, [T].
        lengths: tokens of each example, [B].
        starts: where each example begins, [B].
        places: 0 to w - 1, [w].
        mask: what is no padding in the padded view, bool [B, w].
        additive_mask: 0, or at padding the lowest float32, [B, w].
        padded_index: packed token for every place of the padded view, [B, w]; 0 at padding.
        packed_index: place of every packed token in the flattened padded view, [T].
    """

    positions: ir.Value
    lengths: ir.Value
    starts: ir.Value
    places: ir.Value
    mask: ir.Value
    additive_mask: ir.Value
    padded_index: ir.Value
    packed_index: ir.Value


class ModelGraph:
    """The graph of a TFAdapLeRForSequenceClassification, converted or not.

    Args:
        model: the model.
        arithmetic: how large weights are held.
        with_contributions: whether `contributions` is among the outputs.

    Raises:
        UserError: the model's activation is not among ACTIVATIONS.
    """

    def __init__(self, model, arithmetic: Arithmetic = FLOAT32, with_contributions: bool = False):
        self.model, self.config, self.arithmetic = model, model.config, arithmetic
        self.with_contributions = with_contributions and model.is_adapler
        if self.config.hidden_act not in ACTIVATIONS:
            raise UserError(
                f"the activation '{self.config.hidden_act}' cannot be exported; known are {', '.join(ACTIVATIONS)}"
            )
        self.activation = ACTIVATIONS[self.config.hidden_act]
        self.builder = GraphBuilder(ir.Graph([], [], nodes=[], opset_imports={"": OPSET}, name="adapler"))
        self.op = self.builder.op

    def build(self) -> ir.Model:
        """The finished model.

        Its inputs are INPUTS, int64 [B, n], and of a converted model eta_scale, a float32 scalar. Its outputs are
        logits [B, labels], lengths [B, L], kept_positions [B, L, n] and, if asked for, contributions [B, L, n].
        """
        op = self.op
        inputs = [self.builder.input(name, _INT64, ["batch", "length"]) for name in INPUTS]
        hidden_states, packing = self.embed(*inputs)
        length = op.Shape(inputs[0], start=1, end=2)
        etas = self.thresholds() if self.model.is_adapler else None
        lengths, kept_positions, contributions = [], [], []
        for index, layer in enumerate(self.model.bert.encoder.layer):
            if etas is not None:
                shares = self.contributions(index, hidden_states, packing)
                if self.with_contributions:
                    contributions.append(self.at_input_positions(shares, packing, inputs[0]))
                kept = self.hard_keep(shares, op.Gather(etas, index), packing)
                hidden_states, packing = self.keep(hidden_states, kept, packing)
            hidden_states = self.run_layer(f"layer_{index}", layer, hidden_states, packing)
            lengths.append(packing.lengths)
            kept_positions.append(self.padded_positions(packing, length))
        pooled = self.plain_dense(op.Gather(hidden_states, packing.starts), self.model.bert.pooler.dense, "pooler")
        logits = self.plain_dense(op.Tanh(pooled), self.model.classifier, "classifier")
        self.output("logits", logits, _FLOAT, ["batch", self.config.num_labels])
        self.output("lengths", self.stack(lengths), _INT64, ["batch", len(lengths)])
        self.output("kept_positions", self.stack(kept_positions), _INT64, ["batch", len(lengths), "length"])
        if self.with_contributions:
            self.output("contributions", self.stack(contributions), _FLOAT, ["batch", len(lengths), "length"])
        return ir.Model(self.builder.graph, ir_version=IR_VERSION, producer_name="adapler")

    def thresholds(self) -> ir.Value:
        """eta as the removal uses it, [L]; adds the input `eta_scale`."""
        op, default = self.op, np.float32(self.model.eta_scale)
        scale = self.builder.input("eta_scale", const_value=ir.tensor(default, name="eta_scale"))
        eta = op.initializer(ir.tensor(self.model.bert.encoder.eta.numpy()), "eta")
        return op.Clip(op.Mul(eta, scale), 0.0, 1.0)

    def embed(self, ids: ir.Value, attention_mask: ir.Value, types: ir.Value) -> tuple[ir.Value, Packing]:
        """Embeddings of the visible tokens, [T, H], and their packing.

        Position 0 counts as visible: otherwise, an example without a token would take the next one's place.
        """
        op, embeddings = self.op, self.model.bert.embeddings
        is_first = op.Equal(op.Range(0, op.Gather(op.Shape(ids), 1), 1), 0)
        visible = op.Or(op.Greater(attention_mask, 0), is_first)
        coordinates = op.NonZero(visible)
        positions = op.Gather(coordinates, 1)
        packing = self.pack(positions, op.ReduceSum(op.Cast(visible, to=_INT64), [1], keepdims=0))
        coordinates = op.Transpose(coordinates, perm=[1, 0])
        words = self.arithmetic.lookup(op, embeddings.weight.numpy(), op.GatherND(ids, coordinates), "words")
        places = op.Gather(self.weight(embeddings.position_embeddings, "positions"), positions)
        kinds = op.Gather(self.weight(embeddings.token_type_embeddings, "types"), op.GatherND(types, coordinates))
        return self.norm(op.Add(op.Add(words, places), kinds), embeddings.LayerNorm, "embeddings.norm"), packing

    def pack(self, positions: ir.Value, lengths: ir.Value) -> Packing:
        """The packing of B examples whose tokens follow one another."""
        op = self.op
        starts = op.Sub(op.CumSum(lengths, 0), lengths)
        places = op.Range(0, op.ReduceMax(lengths, keepdims=0), 1)
        mask = op.Less(places, op.Unsqueeze(lengths, [1]))
        return Packing(
            positions=positions,
            lengths=lengths,
            starts=starts,
            places=places,
            mask=mask,
            additive_mask=op.Where(mask, 0.0, _HIDDEN),
            padded_index=op.Where(mask, op.Add(places, op.Unsqueeze(starts, [1])), 0),
            packed_index=op.Squeeze(op.NonZero(op.Reshape(mask, [-1])), [0]),
        )

    def contributions(self, index: int, hidden_states: ir.Value, packing: Packing) -> ir.Value:
        """Share of each token in the prediction, [B, w], 0 at padding; the predictor stays in float32."""
        op, predictor = self.op, self.model.bert.encoder.contribution_predictors[index]
        units = self.activation(op, self.plain_dense(hidden_states, predictor.hidden, f"predictor_{index}.hidden"))
        scores = op.Squeeze(self.plain_dense(units, predictor.score, f"predictor_{index}.score"), [1])
        return op.Softmax(op.Add(op.Gather(scores, packing.padded_index), packing.additive_mask))

    def hard_keep(self, shares: ir.Value, eta: ir.Value, packing: Packing) -> ir.Value:
        """Which tokens stay, bool [B, w]: [CLS] and every contribution of at least eta / N."""
        op = self.op
        delta = op.Div(eta, op.Cast(op.Unsqueeze(packing.lengths, [1]), to=_FLOAT))
        return op.And(op.Or(op.GreaterOrEqual(shares, delta), op.Equal(packing.places, 0)), packing.mask)

    def keep(self, hidden_states: ir.Value, kept: ir.Value, packing: Packing) -> tuple[ir.Value, Packing]:
        """The hidden states of the tokens that stay, and their packing; kept is bool [B, w]."""
        op = self.op
        tokens = op.Compress(op.Reshape(packing.padded_index, [-1]), op.Reshape(kept, [-1]))
        lengths = op.ReduceSum(op.Cast(kept, to=_INT64), [1], keepdims=0)
        return op.Gather(hidden_states, tokens), self.pack(op.Gather(packing.positions, tokens), lengths)

    def run_layer(self, name: str, layer, hidden_states: ir.Value, packing: Packing) -> ir.Value:
        """One BERT layer on packed tokens, [T, H] -> [T, H]."""
        attention = layer.attention
        context = self.attend(f"{name}.attention", attention.self_attention, hidden_states, packing)
        attended = self.add_and_norm(f"{name}.attention.output", attention.dense_output, context, hidden_states)
        units = self.encoder_dense(attended, layer.intermediate.dense, f"{name}.intermediate")
        return self.add_and_norm(f"{name}.output", layer.bert_output, self.activation(self.op, units), attended)

    def attend(self, name: str, attention, hidden_states: ir.Value, packing: Packing) -> ir.Value:
        """Multi-head attention; only here are the tokens padded, to the longest example left."""
        op, heads, size = self.op, attention.num_attention_heads, attention.attention_head_size
        parts = (attention.query, attention.key, attention.value)
        kernel = np.concatenate([part.kernel.numpy() for part in parts], axis=1)
        bias = np.concatenate([part.bias.numpy() for part in parts])
        projected = self.arithmetic.dense(op, hidden_states, kernel, bias, f"{name}.query_key_value")
        query, key, value = op.Split(op.Gather(projected, packing.padded_index), axis=2, num_outputs=3, _outputs=3)
        mask_shape = op.Concat([1, 1], op.Shape(packing.places), [1], axis=0)
        mask = op.Expand(op.Unsqueeze(packing.additive_mask, [1, 2]), mask_shape)
        context = op.Attention(query, key, value, mask, q_num_heads=heads, kv_num_heads=heads)
        return op.Gather(op.Reshape(context, [-1, heads * size]), packing.packed_index)

    def add_and_norm(self, name: str, block, inputs: ir.Value, residual: ir.Value) -> ir.Value:
        """The end of a BERT block, [T, _] -> [T, H]."""
        outputs = self.op.Add(self.encoder_dense(inputs, block.dense, f"{name}.dense"), residual)
        return self.norm(outputs, block.LayerNorm, f"{name}.norm")

    def norm(self, inputs: ir.Value, layer, name: str) -> ir.Value:
        scale, bias = self.weight(layer.gamma, f"{name}.scale"), self.weight(layer.beta, f"{name}.bias")
        return self.op.LayerNormalization(inputs, scale, bias, axis=-1, epsilon=self.config.layer_norm_eps)

    def encoder_dense(self, inputs: ir.Value, layer, name: str) -> ir.Value:
        return self.arithmetic.dense(self.op, inputs, layer.kernel.numpy(), layer.bias.numpy(), name)

    def plain_dense(self, inputs: ir.Value, layer, name: str) -> ir.Value:
        return dense_float32(self.op, inputs, layer.kernel.numpy(), layer.bias.numpy(), name)

    def weight(self, variable, name: str) -> ir.Value:
        return self.op.initializer(ir.tensor(variable.numpy()), name)

    def padded_positions(self, packing: Packing, length: ir.Value) -> ir.Value:
        """Input positions of an example's tokens, then -1: [B, n]."""
        op = self.op
        positions = op.Where(packing.mask, op.Gather(packing.positions, packing.padded_index), -1)
        missing = op.Sub(length, op.Shape(packing.places))
        return op.Pad(positions, op.Concat([0, 0, 0], missing, axis=0), -1)

    def at_input_positions(self, values: ir.Value, packing: Packing, ids: ir.Value) -> ir.Value:
        """Values of the padded view [B, w], 0 at padding, at the places of their tokens in the input: [B, n]."""
        op = self.op
        zeros = op.ConstantOfShape(op.Shape(ids), value=ir.tensor([0.0], _FLOAT))
        positions = op.Gather(packing.positions, packing.padded_index)
        return op.ScatterElements(zeros, positions, values, axis=1, reduction="add")

    def stack(self, layers: list[ir.Value]) -> ir.Value:
        """L values [B, ...] as one [B, L, ...]."""
        return self.op.Concat(*[self.op.Unsqueeze(layer, [1]) for layer in layers], axis=1)

    def output(self, name: str, value: ir.Value, dtype: ir.DataType, shape: list) -> None:
        value.type, value.shape = ir.TensorType(dtype), ir.Shape(shape)
        self.builder.add_output(value, name)
