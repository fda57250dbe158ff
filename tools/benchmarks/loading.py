"""Times the loader: texts tokenised a second, in batches as the stages do it and one by one, and peak memory.

Tokenises the training split of --TASK at --MAX_LENGTH in a process of its own, with nothing cached.
"""

from __future__ import annotations

from pathlib import Path

from tools.benchmarks.arguments import BenchmarkArguments
from tools.runtime.argument_parser import parse
from tools.runtime.arguments import RowArguments

if __name__ == "__main__":
    ARGUMENTS = parse([BenchmarkArguments, RowArguments], __doc__)  # before the imports that take seconds

import multiprocessing
import tempfile
import time

import datasets

from tools.benchmarks.peak_memory import megabytes_at_peak
from tools.common.atomic_files import write_json
from tools.common.provenance import provenance
from tools.data.loading import encode
from tools.data.rows import load_rows
from tools.data.tasks import get_task
from tools.results.tables import loading_table
from tools.runtime.checkpoints import load_tokenizer, resolve_backbone
from tools.runtime.run import data_options
from tools.runtime.stage import run_program

ONE_BY_ONE = 2000
"""Texts encoded one by one; enough to know the rate."""


def benchmark(arguments: BenchmarkArguments) -> None:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        measured = pool.apply(measure, (arguments,))
    facts = {"task": arguments.task, "max_length": arguments.max_length}
    result = {"kind": "loading", **facts, **measured, **provenance()}
    if arguments.save:
        write_json(arguments.save, result)
    print(loading_table([result]))


def measure(arguments: BenchmarkArguments) -> dict:
    """Texts, tokens, seconds of each step, and megabytes of memory before and at the peak."""
    with tempfile.TemporaryDirectory() as cache:
        datasets.config.HF_DATASETS_CACHE = Path(cache)
        return _measure(arguments)


def _measure(arguments: BenchmarkArguments) -> dict:
    task = get_task(arguments.task)
    tokenizer = load_tokenizer(resolve_backbone(arguments.task, arguments.backbone))
    before = megabytes_at_peak()
    start = time.perf_counter()
    rows = load_rows(task, "train", data_options(arguments.data_dir, arguments))
    read = time.perf_counter()
    examples = encode(rows, task, tokenizer, arguments.max_length)
    encoded = time.perf_counter()
    peak = megabytes_at_peak()
    first = rows.select(range(min(ONE_BY_ONE, len(rows))))
    texts = list(zip(*(first[column][:] for column in task.text_columns), strict=True))
    one_by_one = time.perf_counter()
    for text in texts:
        tokenizer.encode_plus(*text, truncation=True, max_length=arguments.max_length)
    return {
        "examples": len(examples),
        "tokens": int(examples.lengths.sum()),
        "read_seconds": read - start,
        "encode_seconds": encoded - read,
        "per_second": len(examples) / (encoded - read),
        "one_by_one_per_second": len(texts) / (time.perf_counter() - one_by_one),
        "megabytes_before": before,
        "megabytes_peak": peak,
    }


if __name__ == "__main__":
    run_program(ARGUMENTS, benchmark)
