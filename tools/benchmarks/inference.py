"""Times inference: is lr_mode as fast as its FLOPs say?

With --MODEL_PATH, times a trained model on its task's dev set (--TASK, --DATA_DIR): with the lengths of the data, and
with fixed lengths made of the same texts strung together. Without it, times a model of BERT-base's size with random
weights that drops tokens by forced schedules. All variants have the same weights and take turns in one process. Every
speedup is against plain BERT, compiled and padded to the batch's longest example. Efficiency is the measured speedup
divided by that of FLOPs. The result of a model under directory/ is also written to directory/results/.
"""

from __future__ import annotations

from tools.benchmarks.arguments import InferenceArguments
from tools.runtime.argument_parser import parse
from tools.runtime.arguments import RowArguments

if __name__ == "__main__":
    ARGUMENTS = parse([InferenceArguments, RowArguments], __doc__)  # before the imports that take seconds

import itertools
from collections.abc import Iterator

import numpy as np
import tensorflow as tf
from tqdm import tqdm
from transformers import BertConfig

from tools.benchmarks.forced_schedule import ForcedSchedule, peak_memory, random_batch
from tools.benchmarks.measurement import finish, op_shares, product_times, time_interleaved, time_ratio
from tools.benchmarks.variants import Variant, make_variants, packed_bert, padded_to, saved_model, tokens_per_layer
from tools.common.paths import TaskPaths
from tools.data.examples import Examples
from tools.data.loading import load_examples
from tools.data.tasks import get_task
from tools.flops.formulas import bert_flops
from tools.results.benchmark_tables import ALONE, BASELINE, COMPILED, EXPORTED, FLOOR, OP_BY_OP, inference_tables
from tools.runtime.checkpoints import load_saved, load_tokenizer, model_directory
from tools.runtime.run import data_options
from tools.runtime.stage import run_program

MOST_ROUNDS = 10
SECONDS_PER_POINT = 12.0
"""Enough for steady times, and little enough for the default grid to end within a quarter of an hour."""
MOST_DEV_EXAMPLES = 128


def benchmark(arguments: InferenceArguments) -> None:
    result, files = {"kind": "inference", "task": arguments.task}, [arguments.save]
    if arguments.model_path:
        directory = model_directory(arguments.model_path)
        model, paths = load_saved(directory, converted=True), TaskPaths.of(directory)
        task, options = get_task(arguments.task), data_options(arguments.data_dir, arguments)
        dev = load_examples(task, "validation", load_tokenizer(str(directory)), model.longest_input, options)
        result |= {"model": directory.name, "eta_scale": model.eta_scale}
        if paths:
            result |= {"backbone": paths.name, "seed": paths.seed}
            files.append(paths.inference)
        result["points"] = list(time_trained(model, dev, arguments.full))
    else:
        result |= {"model": "BERT-base size, forced schedules", "points": list(time_forced(arguments.full))}
        result |= {"peak_memory": peak_memory(batch_size=32, length=512), "products": product_times(BertConfig())}
    finish(result, inference_tables(result), *files)


def time_trained(model, dev: Examples, full: bool) -> Iterator[dict]:
    """Times a trained model on dev examples; yields a point for each batch size and length."""
    lengths = (64, 128, 256, 512) if full else (64, 512)
    lengths = [length for length in lengths if length <= model.config.max_position_embeddings]
    variants = make_variants(model) | {EXPORTED: saved_model(model)}
    fully_padded = {f"BERT, padded to {model.longest_input}": padded_to(model.longest_input, variants[BASELINE])}
    grid = list(itertools.product(["as in the data", *lengths], (1, 8, 32)))
    for length, batch_size in tqdm(grid, desc="batch sizes and lengths"):
        if length == "as in the data":
            examples = dev.take(np.arange(min(len(dev), MOST_DEV_EXAMPLES)))
            batches, chosen = [inputs for inputs, _ in examples.batches(batch_size)], variants | fully_padded
        else:
            batches, chosen = [strung_together(dev, batch_size, length)], dict(variants)
        if batch_size > 1 and not full:
            del chosen[OP_BY_OP]
        yield time_point(model, chosen, batches, length=length)


def time_forced(full: bool) -> Iterator[dict]:
    """Times a model of BERT-base's size; yields a point for each batch size, length and forced FLOPs speedup."""
    forced = ForcedSchedule(BertConfig())
    model, config = forced.model, forced.model.config
    variants = make_variants(model)
    shapes = [(1, 64), (1, 128), (1, 256), (1, 512), (8, 64), (8, 256), (32, 64), (32, 128)]
    shapes += [(8, 128), (8, 512), (32, 256), (32, 512)] if full else []
    rng = np.random.default_rng(0)
    for batch_size, length in tqdm(shapes, desc="shapes"):
        lengths = rng.integers(length // 2, length + 1, batch_size)
        lengths[0] = length
        batch = random_batch(lengths, rng)
        padding = batch_size * bert_flops(config, length) / bert_flops(config, lengths).sum()
        for speedup in (1, 1.5, 2, 3, 5, 7) if full else (1, 1.5, 3, 7):
            forced.set_speedup(speedup / padding, lengths)
            chosen = variants | {ALONE: packed_bert(model, tokens_per_layer(model, batch)[:, 1:])}
            if batch_size == 1:
                chosen[FLOOR] = padded_to(2, variants[BASELINE])
            if full:
                chosen[EXPORTED] = saved_model(model)
            else:
                del chosen[OP_BY_OP]
            point = time_point(model, chosen, [batch], length=length, forced_speedup=speedup)
            yield point | {"ops": op_shares(variants[COMPILED].run, batch)}


def time_point(model, variants: dict[str, Variant], batches: list[dict], **settings) -> dict:
    """Times the variants on the batches.

    Returns:
        the batch size, the settings (at least `length`), the number of rounds, and for each variant p50 and p95 latency
        [s], examples per second, the measured speedup (median, lowest and highest of the rounds), the FLOPs speedup,
        and efficiency.
    """
    batch_size = len(batches[0]["input_ids"])
    functions = {name: variant.run for name, variant in variants.items()}
    desc = f"batch {batch_size}, length {settings['length']}"
    times = time_interleaved(functions, batches, MOST_ROUNDS, desc, SECONDS_PER_POINT)
    tokens = [tokens_per_layer(model, batch) for batch in batches]
    flops = {}
    for name, variant in variants.items():
        flops[name] = sum(float(variant.flops(model.config, batch).sum()) for batch in tokens)
    values = {}
    for name, seconds in times.items():
        speedup, flops_speedup = time_ratio(times[BASELINE], seconds), flops[BASELINE] / flops[name]
        values[name] = {
            "p50": float(np.percentile(seconds, 50)),
            "p95": float(np.percentile(seconds, 95)),
            "examples_per_second": sum(map(len, tokens)) / float(np.median(seconds.sum(axis=1))),
            "speedup": speedup,
            "flops_speedup": flops_speedup,
            "efficiency": speedup[0] / flops_speedup,
        }
    return {"batch_size": batch_size, **settings, "rounds": len(times[BASELINE]), "variants": values}


def strung_together(dev: Examples, batch_size: int, length: int) -> dict[str, tf.Tensor]:
    """Inputs of exactly `length` tokens: [CLS], dev texts one after the other, [SEP]."""
    texts = np.concatenate([row[1:-1] for row in dev.input_ids.to_list()])
    ids = np.resize(texts, (batch_size, length)).astype(np.int32)
    ids[:, 0], ids[:, -1] = dev.input_ids[0][0], dev.input_ids[0][-1]
    return {"input_ids": tf.constant(ids), "token_type_ids": tf.zeros_like(ids), "attention_mask": tf.ones_like(ids)}


if __name__ == "__main__":
    run_program(ARGUMENTS, benchmark)
