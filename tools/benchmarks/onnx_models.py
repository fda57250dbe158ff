"""Models in ONNX Runtime: sessions to time, and plain BERT on padded batches as a user gets it, in float32 and int8."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx_ir as ir
import onnxruntime
from onnxruntime.quantization import quantize_dynamic

from tools.benchmarks.variants import RunFunction
from tools.inference.onnx_graph import INPUTS, IR_VERSION, ModelGraph


class PaddedGraph(ModelGraph):
    """Every token of a batch of B examples, padding included, runs through all layers; the only output is `logits`."""

    def build(self) -> ir.Model:
        """The finished model: inputs as `ModelGraph`'s but for eta_scale, logits [B, labels]."""
        op, embeddings = self.op, self.model.bert.embeddings
        ids, attention_mask, types = (
            self.builder.input(name, ir.DataType.INT64, ["batch", "length"]) for name in INPUTS
        )
        mask = op.Unsqueeze(op.Greater(attention_mask, 0), [1, 2])
        length = op.Shape(ids, start=1, end=2)
        words = op.Gather(self.weight(embeddings.weight, "words"), ids)
        places = op.Slice(self.weight(embeddings.position_embeddings, "positions"), [0], length, [0])
        kinds = op.Gather(self.weight(embeddings.token_type_embeddings, "types"), types)
        hidden_states = self.norm(op.Add(op.Add(words, places), kinds), embeddings.LayerNorm, "embeddings.norm")
        full_mask = op.Expand(mask, op.Concat([1, 1], length, [1], axis=0))
        for index, layer in enumerate(self.model.bert.encoder.layer):
            hidden_states = self.run_layer(f"layer_{index}", layer, hidden_states, full_mask)
        pooled = self.plain_dense(op.Gather(hidden_states, 0, axis=1), self.model.bert.pooler.dense, "pooler")
        logits = self.plain_dense(op.Tanh(pooled), self.model.classifier, "classifier")
        self.output("logits", logits, ir.DataType.FLOAT, ["batch", self.config.num_labels])
        return ir.Model(self.builder.graph, ir_version=IR_VERSION, producer_name="adapler")

    def attend(self, name: str, attention, hidden_states: ir.Value, mask: ir.Value) -> ir.Value:
        """Multi-head attention; hidden states [B, n, H], mask bool [B, 1, n, n]."""
        parts = {"query": attention.query, "key": attention.key, "value": attention.value}
        projected = [self.encoder_dense(hidden_states, layer, f"{name}.{part}") for part, layer in parts.items()]
        heads = attention.num_attention_heads
        return self.op.Attention(*projected, mask, q_num_heads=heads, kv_num_heads=heads)


def write_padded(model, directory: Path) -> dict[str, Path]:
    """Writes a plain model's graph in float32 and in int8 with one scale per tensor of activations.

    Returns:
        precision -> file.
    """
    files = {precision: directory / f"padded.{precision}.onnx" for precision in ("float32", "int8")}
    ir.save(PaddedGraph(model).build(), files["float32"])
    quantize_dynamic(files["float32"], files["int8"], op_types_to_quantize=["MatMul", "Gather"])
    return files


def onnx_session(file: Path, **options) -> onnxruntime.InferenceSession:
    """A session whose threads stop when a run ends; otherwise they would spin while the next model is timed."""
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 3
    settings.add_session_config_entry("session.force_spinning_stop", "1")
    for name, value in options.items():
        setattr(settings, name, value)
    return onnxruntime.InferenceSession(file, settings, providers=["CPUExecutionProvider"])


def onnx_run(session: onnxruntime.InferenceSession) -> RunFunction:
    """Runs a session for the outputs that are compared; `eta_scale` is the factor on eta (default: the model's)."""
    names = [output.name for output in session.get_outputs() if output.name in ("logits", "lengths")]

    def run(inputs, eta_scale: float | None = None):
        arrays = {name: np.asarray(values).astype(np.int64) for name, values in inputs.items()}
        scale = {} if eta_scale is None else {"eta_scale": np.array(eta_scale, np.float32)}
        return session.run(names, arrays | scale)

    return run
