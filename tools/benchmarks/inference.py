"""Times BERT-base's size with random weights: does dropping tokens save as much time as FLOPs?

No data is needed: the thresholds are set so that random inputs take a given FLOPs speedup. Plain BERT and lr_mode in
TensorFlow, and in ONNX Runtime plain BERT (padded; in int8 with one scale per tensor), packed BERT without predictors
and the exported lr_mode take turns in one process. Inputs have no padding. Where a goal is missed, ONNX Runtime's
profile of that point is stored.
"""

from __future__ import annotations

from tools.benchmarks.arguments import InferenceArguments
from tools.runtime.argument_parser import parse

if __name__ == "__main__":
    ARGUMENTS = parse([InferenceArguments], __doc__)  # before the imports that take seconds

import functools
import json
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import onnx_ir
import tensorflow as tf
import tf_keras as keras
from tqdm import tqdm
from transformers import BertConfig

from models import TFAdapLeRForSequenceClassification
from tools.benchmarks.measurement import finish, time_interleaved
from tools.benchmarks.onnx_models import onnx_run, onnx_session, write_padded
from tools.benchmarks.variants import RunFunction, lr_mode_graph, plain_graph
from tools.flops.formulas import adapler_flops, bert_flops
from tools.inference.onnx_graph import ModelGraph
from tools.inference.onnx_quantisation import ARITHMETIC
from tools.results import benchmark_tables as tables
from tools.runtime.program import run_program

GRID = [(1, 64, (1, 5)), *((*shape, (1, 3, 6.7)) for shape in ((1, 256), (8, 256), (32, 64)))]
"""Batch size, tokens of each example, FLOPs speedups."""
ROUNDS = 7
SECONDS_PER_POINT = 45.0
SPREAD = 1.5
"""Standard deviation of a predictor's scores."""
HALVINGS = 12
PROFILED_RUNS = 3


def benchmark(arguments: InferenceArguments) -> None:
    with tempfile.TemporaryDirectory(prefix="adapler-inference-") as directory:
        models = RandomModels(BertConfig(), Path(directory))
        points = [
            models.time(random_batch(batch_size, length, models.config.vocab_size), speedup)
            for batch_size, length, speedups in tqdm(GRID, desc="shapes")
            for speedup in speedups
        ]
    result = {"kind": "inference", "task": None, "model": "BERT-base size, random weights", "points": points}
    finish(result, tables.inference_tables(result), arguments.save)


class RandomModels:
    """One BERT of random weights in every form that is timed; its predictors drop tokens of random inputs.

    Args:
        directory: where the ONNX files are written.
    """

    def __init__(self, config: BertConfig, directory: Path):
        keras.utils.set_random_seed(0)
        self.config = config
        model = TFAdapLeRForSequenceClassification(config)
        model.build_in_name_scope()
        self.runs: dict[str, RunFunction] = {tables.PLAIN: plain_graph(model)}
        for precision, file in write_padded(model, directory).items():
            self.runs[tables.PADDED[precision]] = onnx_run(onnx_session(file))
        for precision in ARITHMETIC:
            file = write_graph(model, precision, directory / f"packed.{precision}.onnx")
            self.runs[tables.PACKED[precision]] = onnx_run(onnx_session(file))
        model.to_AdapLeR()
        spread_scores(model)
        self.runs[tables.LR_MODE] = lr_mode_graph(model)
        self.dropping = {
            precision: write_graph(model, precision, directory / f"dropping.{precision}.onnx")
            for precision in ARITHMETIC
        }
        for precision, file in self.dropping.items():
            self.runs[tables.DROPPING[precision]] = onnx_run(onnx_session(file))

    def time(self, batch: dict[str, np.ndarray], speedup: float) -> dict:
        """Times every form on one batch at about this FLOPs speedup; 1 drops nothing.

        Returns:
            the point as `tools.results.benchmark_tables` takes it; with the profile of int8 if it misses a goal.
        """
        scale = self.scale_for(batch, speedup)
        is_dropping = {name: name in (tables.LR_MODE, *tables.DROPPING.values()) for name in self.runs}
        functions = {
            name: functools.partial(run, eta_scale=scale) if is_dropping[name] else run
            for name, run in self.runs.items()
        }
        batch_size, length = batch["input_ids"].shape
        desc = f"{batch_size} x {length} tokens, {speedup:g}x"
        seconds = time_interleaved(functions, [batch], ROUNDS, desc, SECONDS_PER_POINT)
        whole = batch_size * bert_flops(self.config, length)
        variants = {}
        for name, values in seconds.items():
            flops = self.flops(batch, functions[name](batch)[1]) if is_dropping[name] else whole
            variants[name] = {"milliseconds": 1000 * float(np.median(values)), "flops_speedup": float(whole / flops)}
        point = {"batch_size": batch_size, "length": length, "forced_speedup": speedup, "eta_scale": scale}
        point |= {"rounds": len(values), "variants": variants}
        if tables.missed(point):
            point["profile"] = operator_shares(self.dropping["int8"], batch, scale)
        return point

    def scale_for(self, batch: dict[str, np.ndarray], speedup: float) -> float:
        """The eta_scale that comes nearest to the FLOPs speedup on a batch, by bisection from 0 to 1."""
        if speedup == 1:
            return 0.0
        batch_size, length = batch["input_ids"].shape
        whole, low, high, reached = batch_size * bert_flops(self.config, length), 0.0, 1.0, {}
        for _ in range(HALVINGS):
            scale = (low + high) / 2
            _, lengths = self.runs[tables.DROPPING["float32"]](batch, eta_scale=scale)
            reached[scale] = whole / self.flops(batch, lengths)
            low, high = (scale, high) if reached[scale] < speedup else (low, scale)
        return min(reached, key=lambda scale: abs(reached[scale] - speedup))

    def flops(self, batch: dict[str, np.ndarray], lengths: np.ndarray) -> float:
        """FLOPs of lr_mode on a batch; lengths are [batch, layers]."""
        tokens = batch["attention_mask"].sum(axis=1)
        return float(adapler_flops(self.config, np.column_stack([tokens, lengths])).sum())


def spread_scores(model: TFAdapLeRForSequenceClassification) -> None:
    """Scales a converted model's predictors so that scores differ between tokens, and sets eta to 1."""
    inputs = tf.random.stateless_normal([1000, model.config.hidden_size], [0, 0])
    for predictor in model.bert.encoder.contribution_predictors:
        kernel = predictor.score.kernel
        kernel.assign(kernel * SPREAD / tf.math.reduce_std(predictor(inputs)))
    model.bert.encoder.eta.assign(tf.ones_like(model.bert.encoder.eta))


def random_batch(batch_size: int, length: int, vocabulary: int) -> dict[str, np.ndarray]:
    """Inputs of random token ids without padding, int32 [batch_size, length]."""
    ids = np.random.default_rng(0).integers(0, vocabulary, (batch_size, length), dtype=np.int32)
    return {"input_ids": ids, "token_type_ids": np.zeros_like(ids), "attention_mask": np.ones_like(ids)}


def write_graph(model, precision: str, file: Path) -> Path:
    """Writes the exporter's graph of a model."""
    onnx_ir.save(ModelGraph(model, ARITHMETIC[precision]).build(), file)
    return file


def operator_shares(file: Path, batch: dict[str, np.ndarray], eta_scale: float) -> dict[str, float]:
    """Share of each operator in the time of all operators, by ONNX Runtime's profiler, in descending order."""
    prefix = str(file.with_suffix(""))
    session = onnx_session(file, enable_profiling=True, profile_file_prefix=prefix)
    for _ in range(PROFILED_RUNS):
        onnx_run(session)(batch, eta_scale=eta_scale)
    microseconds = Counter()
    for event in json.loads(Path(session.end_profiling()).read_text()):
        if event["cat"] == "Node" and event["name"].endswith("_kernel_time"):
            microseconds[event["args"]["op_name"]] += event["dur"]
    return {operator: duration / microseconds.total() for operator, duration in microseconds.most_common()}


if __name__ == "__main__":
    run_program(ARGUMENTS, benchmark)
