"""Compares AdapLeR with what a user would pick instead: score, latency, memory, start-up time and file size.

Times in turns, in one process and on the same texts: the fine-tuned BERT and the AdapLeR in TensorFlow and in ONNX
Runtime, and smaller plain models that run_files/train_alternatives.sh trained, in ONNX Runtime. MODEL_PATH is an
AdapLeR under directory/; the other flags are those of its run. Plain models in int8 have one scale per tensor of
activations, as ONNX Runtime's quantize_dynamic makes them. Texts are tokenised beforehand. Scores are those of the test
split.
"""

from __future__ import annotations

from tools.benchmarks.arguments import AlternativesArguments
from tools.runtime.argument_parser import parse
from tools.runtime.arguments import HeldOutTaskArguments, RowArguments

if __name__ == "__main__":
    ARGUMENTS = parse([AlternativesArguments, HeldOutTaskArguments, RowArguments], __doc__)  # before slow imports

import functools
import json
import os
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import tensorflow as tf
from tqdm import tqdm

from tools.benchmarks.contenders import ONNX, TENSORFLOW, Contender, make_contenders
from tools.benchmarks.first_answer import measure
from tools.benchmarks.measurement import finish, time_interleaved, time_ratio
from tools.data.examples import Examples
from tools.data.loading import load_examples
from tools.data.rows import load_rows
from tools.evaluation.intervals import paired_difference
from tools.evaluation.metrics import SAME_ROUNDED_VALUE, same_answers, score
from tools.flops.formulas import bert_flops
from tools.results.alternatives import SIZES, table, timed_texts
from tools.runtime.checkpoints import load_tokenizer, model_directory, weights_checksum
from tools.runtime.program import run_program
from tools.runtime.run import Run
from tools.training.plan_alternatives import require_alternatives

BATCH_SIZES = tuple(map(int, SIZES))
LONGEST_FIXED = 128
DIAL = (0.5, 0.75, 1.0, 1.25, 1.5)
ROUNDS = 5
SECONDS_PER_SIZE = 60.0


class Splits:
    """The task's examples, loaded once for each split and longest input."""

    def __init__(self, run: Run):
        self.run, self.loaded = run, {}
        self.tokenizer = load_tokenizer(str(model_directory(run.arguments.model_path)))

    def __call__(self, split: str, max_length: int | None = None) -> Examples:
        """The examples of a split, cut to `max_length` tokens (default: the run's).

        Raises:
            UserError: its labels are hidden.
        """
        run, key = self.run, (split, max_length or self.run.max_length)
        if key not in self.loaded:
            examples = load_examples(run.task, split, self.tokenizer, key[1], run.data_options)
            examples.require_labels(f"a score on {split} (--HOLD_OUT takes the published validation split for test)")
            self.loaded[key] = examples
        return self.loaded[key]


def benchmark(arguments: AlternativesArguments) -> None:
    """Writes and prints the comparison.

    Raises:
        UserError: the task has windows or hidden labels, or a model or data set cannot be read.
    """
    run = Run.of("alternatives", arguments)
    require_alternatives(run.task)
    splits, directory = Splits(run), model_directory(arguments.model_path)
    result = {
        **{"kind": "alternatives", "task": run.task.name, "metric": run.task.primary_metric},
        **{"backbone": run.paths.name, "seed": run.paths.seed},
        **{"model": directory.name, "weights": weights_checksum(directory)},
        "examples": {split: len(splits(split)) for split in ("validation", "test")},
    }
    with tempfile.TemporaryDirectory(prefix="adapler-alternatives-") as exported:
        contenders, not_trained = make_contenders(run, Path(exported))
        command = f"run_files/train_alternatives.sh {run.task.name} {run.paths.seed}"
        for name, reason in not_trained.items():
            print(f"{name} is left out: {reason}; {command}, with the flags of the compared run, trains it")
        result["settings"] = settings(run, not_trained)
        result["points"] = points(run, contenders, splits, write_texts(run, Path(exported) / "texts.json"))
        result["fixed_lengths"] = fixed_lengths(contenders, splits("validation"))
        by_name = {contender.name: contender for contender in contenders}
        names = f"{TENSORFLOW}, float32", f"{ONNX}, float32", f"{ONNX}, int8"
        adapler = [by_name[f"AdapLeR, {name}"] for name in names]
        result["agreement"] = agreement(run, adapler, splits("validation"))
        result["dial"] = dial(run, adapler[-1], splits("validation"))
    finish(result, table(result), arguments.save)


def settings(run: Run, not_trained: dict[str, str]) -> dict:
    """What the numbers depend on, beside the machine; `not_trained` has the reason for each missing alternative."""
    return {
        "max_length": run.max_length,
        "batch_size": run.arguments.batch_size,
        "timed_texts": run.arguments.timed_texts,
        "hold_out": run.arguments.hold_out,
        "threads": f"default of both engines, which is one per core: {os.cpu_count()}",
        "onnxruntime": onnxruntime.__version__,
        "not_trained": not_trained,
    }


def points(run: Run, contenders: list[Contender], splits: Splits, texts: Path) -> list[dict]:
    """One entry a contender, as in the result file; `texts` are those of `write_texts`."""
    before, _, whole = contenders[0].predict(splits("test"), run.arguments.batch_size)
    scored = [scores(run, contender, splits, before, whole) for contender in tqdm(contenders, desc="scores")]
    times, texts_of = {}, {}
    for size in BATCH_SIZES:
        count = timed_texts(run.arguments.timed_texts, str(size))
        times[size], texts_of[size] = time_batches(contenders, splits, size, count)
    for point, contender in zip(scored, tqdm(contenders, desc="starts"), strict=True):
        point |= latencies({size: (seconds[contender.name], texts_of[size]) for size, seconds in times.items()})
        plain = f"BERT, {contender.engine}, {contender.precision}"
        point["gains"] = gains({size: (seconds[plain], seconds[contender.name]) for size, seconds in times.items()})
        point |= measure(contender.engine, contender.precision, contender.model, contender.tokenizer, texts)
        point["file_mb"] = contender.megabytes
    return scored


def scores(run: Run, contender: Contender, splits: Splits, before: np.ndarray, whole: np.ndarray) -> dict:
    """FLOPs speedup and score on test, and the difference from the fine-tuned model's with its 95 % interval.

    Args:
        before, whole: logits [N, labels] and FLOPs [N] of the fine-tuned model in TensorFlow, in float32.
    """
    metric, test = run.task.primary_metric, splits("test", contender.max_length)
    logits, _, flops = contender.predict(test, run.arguments.batch_size)
    return {
        **contender.labels,
        "flops_speedup": float(whole.sum() / flops.sum()),
        "score": score([metric], test.labels, logits)[metric],
        **paired_difference(metric, test.labels, before, logits),
    }


def time_batches(
    contenders: list[Contender], splits: Splits, batch_size: int, count: int
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Times every contender on the first `count` test texts, in their order.

    Returns:
        name -> seconds of each batch, [rounds, batches]; and the number of texts of each batch, [batches].
    """
    batches = {}
    for length in {contender.max_length for contender in contenders}:
        test = splits("test", length)
        first = test.take(np.arange(min(len(test), count)))
        batches[length] = [inputs for inputs, _ in first.batches(batch_size)]
    sizes = np.array([len(inputs["input_ids"]) for inputs in batches[contenders[0].max_length]])
    functions = {
        contender.name: lambda number, contender=contender: contender.run(batches[contender.max_length][number])
        for contender in contenders
    }
    times = time_interleaved(functions, range(len(sizes)), ROUNDS, f"batches of {batch_size}", SECONDS_PER_SIZE)
    return times, sizes


def latencies(times: dict[int, tuple[np.ndarray, np.ndarray]]) -> dict:
    """Milliseconds per text, p50 and p99 of the batches, and texts per second of the median round, by batch size.

    Args:
        times: batch size -> seconds of each batch, [rounds, batches], and its number of texts, [batches].
    """
    milliseconds, texts_per_second = {}, {}
    for size, (seconds, texts) in times.items():
        p50, p99 = 1000 * np.percentile(seconds / texts, [50, 99])
        milliseconds[str(size)] = {"p50": float(p50), "p99": float(p99)}
        texts_per_second[str(size)] = float(texts.sum() / np.median(seconds.sum(axis=1)))
    return {"milliseconds": milliseconds, "texts_per_second": texts_per_second}


def gains(seconds: dict[int, tuple[np.ndarray, np.ndarray]]) -> dict[str, dict[str, float]]:
    """How many times as fast a model is as plain BERT on its engine, by batch size: median and extremes of the rounds.

    Args:
        seconds: batch size -> seconds of each batch for plain BERT and for the model, [rounds, batches] each.
    """
    return {
        str(size): dict(zip(("median", "lowest", "highest"), time_ratio(plain, ours), strict=True))
        for size, (plain, ours) in seconds.items()
    }


def write_texts(run: Run, file: Path) -> Path:
    """Writes the first texts of the test split, one batch of the largest size, as a predictor takes them."""
    rows = load_rows(run.task, "test", run.data_options)
    rows = rows.select(range(min(len(rows), max(BATCH_SIZES))))
    columns = [rows[column][:] for column in run.task.text_columns]
    file.write_text(json.dumps(columns[0] if len(columns) == 1 else list(zip(*columns, strict=True))), encoding="utf-8")
    return file


def fixed_lengths(contenders: list[Contender], dev: Examples) -> list[dict]:
    """Milliseconds per text of the main contenders on batches without padding."""
    chosen = {contender.name: contender for contender in contenders if contender.is_main}
    tokens = min(LONGEST_FIXED, min(contender.max_length for contender in chosen.values()))
    points = []
    for batch_size in BATCH_SIZES:
        batch = strung_together(dev, batch_size, tokens)
        functions = {name: contender.run for name, contender in chosen.items()}
        seconds = time_interleaved(functions, [batch], 2 * ROUNDS, f"{batch_size} x {tokens} tokens", SECONDS_PER_SIZE)
        for name, values in seconds.items():
            labels = {key: value for key, value in chosen[name].labels.items() if key != "setting"}
            milliseconds = 1000 * float(np.median(values)) / batch_size
            points.append({**labels, "batch": batch_size, "tokens": tokens, "milliseconds": milliseconds})
    return points


def strung_together(dev: Examples, batch_size: int, length: int) -> dict[str, tf.Tensor]:
    """Inputs of exactly `length` tokens: [CLS], dev texts one after the other, [SEP]."""
    texts = np.concatenate([row[1:-1] for row in dev.input_ids.to_list()])
    ids = np.resize(texts, (batch_size, length)).astype(np.int32)
    ids[:, 0], ids[:, -1] = dev.input_ids[0][0], dev.input_ids[0][-1]
    return {"input_ids": tf.constant(ids), "token_type_ids": tf.zeros_like(ids), "attention_mask": tf.ones_like(ids)}


def agreement(run: Run, adapler: list[Contender], dev: Examples) -> dict:
    """How far ONNX Runtime answers as TensorFlow's lr_mode on dev, and what int8 costs there.

    Args:
        adapler: the AdapLeR in TensorFlow, in ONNX Runtime in float32, and there in int8.

    Returns:
        by precision; `labels` is the share of the examples with the same answer (`same_answers`).
    """
    (expected, tokens, _), (float32, float32_tokens, _), (int8, _, _) = (
        contender.predict(dev, run.arguments.batch_size) for contender in adapler
    )

    return {
        "float32": {
            "labels": float(same_answers(expected, float32).mean()),
            "lengths": float((tokens == float32_tokens).all(axis=1).mean()),
            "largest_logit_difference": float(np.abs(float32 - expected).max()),
        },
        "int8": {
            "labels": float(same_answers(expected, int8, SAME_ROUNDED_VALUE).mean()),
            **paired_difference(run.task.primary_metric, dev.labels, float32, int8),
        },
    }


def dial(run: Run, adapler: Contender, dev: Examples) -> list[dict]:
    """Dev score, FLOPs speedup and milliseconds per text in batches of 32 at several factors on eta."""
    first = dev.take(np.arange(min(len(dev), run.arguments.timed_texts)))
    batches = [inputs for inputs, _ in first.batches(max(BATCH_SIZES))]
    functions = {scale: functools.partial(adapler.run, eta_scale=scale) for scale in DIAL}
    seconds = time_interleaved(functions, batches, ROUNDS, "eta_scale", SECONDS_PER_SIZE)
    curve, metric = [], run.task.primary_metric
    for scale, function in functions.items():
        logits, tokens, flops = replace(adapler, run=function).predict(dev, run.arguments.batch_size)
        curve.append(
            {
                "eta_scale": scale,
                "flops_speedup": float(bert_flops(adapler.config, tokens[:, 0]).sum() / flops.sum()),
                "score": score([metric], dev.labels, logits)[metric],
                "milliseconds": 1000 * float(np.median(seconds[scale].sum(axis=1))) / len(first),
            }
        )
    return curve


if __name__ == "__main__":
    run_program(ARGUMENTS, benchmark)
