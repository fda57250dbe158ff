"""Times inference: is lr_mode as fast as its FLOPs say?

With --MODEL_PATH, a trained model on its task's dev set (--TASK, --DATA_DIR), with lengths as in the data and, from
the same texts strung together, fixed ones. Without, a model of BERT-base's size with random weights whose tokens leave
by forced schedules. All variants have the same weights and take turns in one process; every speedup is against plain
BERT compiled and padded to the batch's longest example. Efficiency is the measured speedup over that of FLOPs.
The result of a model under directory/ stays in directory/results/ as well, where tools/summarize_runs.py finds it.
"""

from __future__ import annotations

from pathlib import Path

from tools.common.errors import UserError
from tools.runtime.argument_parser import argument_group, flag, parse
from tools.runtime.arguments import RowArguments


@argument_group("benchmark")
class InferenceArguments:
    model_path: Path | None = flag("AdapLeR to time (default: random weights of BERT-base's size)", None)
    task: str | None = flag("the model's task, whose dev set is timed", None)
    data_dir: Path | None = flag("folder of local data sets (default: the hub)", None)
    full: bool = flag("the whole grid; takes an hour or more", False)
    save: Path | None = flag("also write the result to this JSON file", None)

    def __post_init__(self) -> None:
        if self.model_path and not self.task:
            raise UserError("--MODEL_PATH needs --TASK, whose dev set is timed")


if __name__ == "__main__":
    ARGUMENTS = parse([InferenceArguments, RowArguments], __doc__)  # before the imports that take seconds

import tempfile

import numpy as np
import tensorflow as tf
from tqdm import tqdm
from transformers import BertConfig

from tools.benchmarks import variants
from tools.benchmarks.forced_schedule import ForcedSchedule
from tools.benchmarks.kernel_times import op_shares, product_times
from tools.benchmarks.peak_memory import peak_memory
from tools.benchmarks.timing import Timing, time_interleaved
from tools.common.atomic_files import write_json
from tools.common.paths import TaskPaths
from tools.common.provenance import provenance
from tools.data.examples import INPUTS_SPEC, Examples
from tools.data.loading import load_examples
from tools.data.tasks import get_task
from tools.flops.formulas import bert_flops
from tools.results.benchmark_tables import (
    ALONE,
    BASELINE,
    CALLED,
    COMPILED,
    EXPORTED,
    FLOOR,
    OP_BY_OP,
    PACKED,
    inference_tables,
)
from tools.runtime.checkpoints import load_saved, load_tokenizer, model_directory
from tools.runtime.run import data_options
from tools.runtime.stage import run_program

MOST_ROUNDS = 10
SECONDS_PER_RACE = 12.0
"""Enough for steady times, and little enough for the default grid to end within a quarter of an hour."""


def benchmark(arguments: InferenceArguments) -> None:
    files = [arguments.save] if arguments.save else []
    if arguments.model_path:
        directory = model_directory(arguments.model_path)
        model, run = load_saved(directory, converted=True), TaskPaths.of(directory)
        facts = {"model": directory.name, "eta_scale": model.eta_scale}
        if run:
            facts |= {"backbone": run.name, "seed": run.seed}
            files.append(run.inference)
        points = list(time_trained(arguments, model, directory))
    else:
        facts, points = {"model": "BERT-base size, forced schedules"}, list(time_forced(arguments.full))
        facts["peak_memory"] = peak_memory(batch_size=32, length=512)
        facts["products"] = product_times(BertConfig())
    result = {"kind": "inference", "task": arguments.task, **facts, **provenance(), "points": points}
    for file in files:
        write_json(file, result)
    print(inference_tables(result))


def time_trained(arguments: InferenceArguments, model, directory: Path):
    """One point a batch size and length of a trained model."""
    task = get_task(arguments.task)
    longest = model.longest_input
    dev = load_examples(
        task, "validation", load_tokenizer(str(directory)), longest, data_options(arguments.data_dir, arguments)
    )
    fixed = (64, 128, 256, 512) if arguments.full else (64, 512)
    lengths = [None, *(length for length in fixed if length <= model.config.max_position_embeddings)]
    plain = variants.plain_bert(model)
    with tempfile.TemporaryDirectory() as temporary:
        exported = variants.saved_model(model, Path(temporary) / "saved_model")
        common = {
            BASELINE: plain,
            PACKED: variants.packed_bert(model),
            COMPILED: variants.lr_mode(model),
            CALLED: variants.lr_mode_call(model),
            EXPORTED: exported,
        }
        grid = [(batch_size, length) for length in lengths for batch_size in (1, 8, 32)]
        for batch_size, length in tqdm(grid, desc="batch sizes and lengths"):
            given = common
            if batch_size == 1 or arguments.full:
                given = given | {OP_BY_OP: variants.lr_mode_op_by_op(model)}
            if length is None:
                given = given | {f"BERT, padded to {longest}": variants.padded_to(longest, plain)}
                batches = dev_batches(dev, batch_size)
            else:
                batches = strung_together(dev, batch_size, length)
            yield point(model, given, batches, length=length or "as in the data")


def time_forced(full: bool):
    """One point a batch size, length and forced FLOPs speedup of a model of BERT-base's size."""
    forced = ForcedSchedule(BertConfig())
    model = forced.model
    given = {
        BASELINE: variants.plain_bert(model),
        PACKED: variants.packed_bert(model),
        COMPILED: variants.lr_mode(model),
        CALLED: variants.lr_mode_call(model),
    }
    shapes = [(1, 64), (1, 128), (1, 256), (1, 512), (8, 64), (8, 256), (32, 64), (32, 128)]
    shapes += [(8, 128), (8, 512), (32, 256), (32, 512)] if full else []
    speedups = (1, 1.5, 2, 3, 5, 7) if full else (1, 1.5, 3, 7)
    rng = np.random.default_rng(0)
    for batch_size, length in tqdm(shapes, desc="shapes"):
        lengths = rng.integers(length // 2, length + 1, batch_size)
        lengths[0] = length
        batch = random_batch(lengths, rng)
        padding = bert_flops(model.config, np.full(batch_size, length)).sum() / bert_flops(model.config, lengths).sum()
        for speedup in speedups:
            forced.aim_at(speedup / padding, lengths)
            runs = given | {ALONE: variants.layers_alone(model, _sizes(model, batch).left)}
            if batch_size == 1:
                runs |= {FLOOR: variants.padded_to(2, given[BASELINE])}
            with tempfile.TemporaryDirectory() as temporary:
                if full:
                    exported = variants.saved_model(model, Path(temporary) / "saved_model")
                    runs |= {OP_BY_OP: variants.lr_mode_op_by_op(model), EXPORTED: exported}
                timed = point(model, runs, [batch], length=length, forced_speedup=speedup)
            yield timed | {"ops": op_shares(given[COMPILED].run, batch)}


def point(model, given: dict, batches: list[dict], **facts) -> dict:
    """Races the variants on the batches.

    Returns:
        the facts, and of each variant p50 and p95 latency [s], examples per second, the measured speedup (median,
        lowest and highest of the rounds), that of FLOPs, and efficiency.
    """
    runs = {name: variant.run for name, variant in given.items()}
    desc = f"batch {batches[0]['input_ids'].shape[0]}, length {facts['length']}"
    times = time_interleaved(runs, batches, MOST_ROUNDS, desc, SECONDS_PER_RACE)
    sizes = [_sizes(model, batch) for batch in batches]
    flops = {name: sum(variant.flops(model.config, one) for one in sizes) for name, variant in given.items()}
    examples = sum(batch["input_ids"].shape[0] for batch in batches)
    values = {name: _values(times[name], times[BASELINE], flops[BASELINE] / flops[name], examples) for name in given}
    return {
        "batch_size": batches[0]["input_ids"].shape[0],
        **facts,
        "rounds": len(times[BASELINE].seconds),
        "variants": values,
    }


def _values(time: Timing, baseline: Timing, flops_speedup: float, examples: int) -> dict:
    speedup = time.ratio(baseline)
    return {
        "p50": time.latency(50),
        "p95": time.latency(95),
        "examples_per_second": examples / time.total,
        "speedup": speedup,
        "flops_speedup": flops_speedup,
        "efficiency": speedup[0] / flops_speedup,
    }


def _sizes(model, batch: dict) -> variants.Sizes:
    left = np.stack(model(batch, lr_mode=True).lengths, axis=1)
    return variants.Sizes(batch["attention_mask"].numpy().sum(axis=1), left, batch["input_ids"].shape[1])


def dev_batches(dev: Examples, batch_size: int) -> list[dict]:
    """Up to 128 dev examples in their own order."""
    chosen = dev.take(np.arange(min(len(dev), 128)))
    return [inputs for inputs, _ in chosen.batches(batch_size)]


def strung_together(dev: Examples, batch_size: int, length: int) -> list[dict]:
    """One batch of inputs of exactly `length` tokens: [CLS], dev texts one after the other, [SEP]."""
    cls, sep = int(dev.input_ids[0][0]), int(dev.input_ids[0][-1])
    inner = np.concatenate([row[1:-1] for row in dev.input_ids.to_list()]).astype(np.int32)
    ids = np.resize(inner, (batch_size, length))
    ids[:, 0], ids[:, -1] = cls, sep
    return [_as_inputs(ids, np.ones_like(ids))]


def random_batch(lengths: np.ndarray, rng: np.random.Generator) -> dict:
    """Random token ids, padded to the longest."""
    ids = rng.integers(1000, 30000, (len(lengths), lengths.max()))
    return _as_inputs(ids, np.arange(lengths.max()) < lengths[:, np.newaxis])


def _as_inputs(ids: np.ndarray, mask: np.ndarray) -> dict:
    arrays = dict(zip(INPUTS_SPEC, (ids * mask, 0 * ids, mask), strict=True))
    return {name: tf.constant(values, tf.int32) for name, values in arrays.items()}


if __name__ == "__main__":
    run_program(ARGUMENTS, benchmark)
