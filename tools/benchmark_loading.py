"""Times the loader: texts tokenised a second, in batches as the stages do it and one by one, and peak memory.

Tokenises the training split of --TASK at --MAX_LENGTH in a process of its own, with nothing cached.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import datasets

from tools.checkpoints import load_tokenizer, resolve_backbone
from tools.data import encode, load_rows
from tools.files import write_json
from tools.peak_memory import megabytes_at_peak
from tools.result_tables import loading_table
from tools.run_record import provenance
from tools.runtime import data_options, run_program, task_of

ONE_BY_ONE = 2000
"""Texts encoded one by one; enough to know the rate."""


def benchmark(settings: argparse.Namespace) -> None:
    settings.backbone = resolve_backbone(settings.task, settings.backbone)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        measured = pool.apply(measure, (settings,))
    facts = {"task": settings.task, "max_length": settings.max_length}
    result = {"kind": "loading", **facts, **measured, **provenance()}
    if settings.save:
        write_json(settings.save, result)
    print(loading_table([result]))


def measure(settings: argparse.Namespace) -> dict:
    """Texts, tokens, seconds of each step, and megabytes of memory before and at the peak."""
    with tempfile.TemporaryDirectory() as cache:
        datasets.config.HF_DATASETS_CACHE = Path(cache)
        return _measure(settings)


def _measure(settings: argparse.Namespace) -> dict:
    task, tokenizer = task_of(settings), load_tokenizer(settings.backbone)
    before = megabytes_at_peak()
    start = time.perf_counter()
    rows = load_rows(task, "train", data_options(settings))
    read = time.perf_counter()
    examples = encode(rows, task, tokenizer, settings.max_length)
    encoded = time.perf_counter()
    peak = megabytes_at_peak()
    first = rows.select(range(min(ONE_BY_ONE, len(rows))))
    texts = list(zip(*(first[column][:] for column in task.text_columns), strict=True))
    one_by_one = time.perf_counter()
    for text in texts:
        tokenizer.encode_plus(*text, truncation=True, max_length=settings.max_length)
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
    run_program("benchmark_loading", __doc__, benchmark)
