"""Times the loader: texts tokenised per second, in batches as in the stages and one by one, and peak memory.

Tokenises the training split of --TASK, at --MAX_LENGTH, without a cache.
"""

from __future__ import annotations

from tools.benchmarks.arguments import BackboneArguments
from tools.runtime.argument_parser import parse

if __name__ == "__main__":
    ARGUMENTS = parse([BackboneArguments], __doc__)  # before the imports that take seconds

import tempfile
import time
from pathlib import Path

import datasets

from tools.benchmarks.measurement import finish
from tools.benchmarks.memory import mebibytes_at_peak
from tools.data.loading import encode
from tools.data.rows import DataOptions, load_rows
from tools.data.tasks import get_task
from tools.results.tables import loading_table
from tools.runtime.checkpoints import load_tokenizer, resolve_backbone
from tools.runtime.program import run_program

ONE_BY_ONE = 2000
"""Texts encoded one by one; enough to know the rate."""


def benchmark(arguments: BackboneArguments) -> None:
    task = get_task(arguments.task)
    tokenizer = load_tokenizer(resolve_backbone(arguments.task, arguments.backbone))
    result = {"kind": "loading", "task": arguments.task, "max_length": arguments.max_length}
    with tempfile.TemporaryDirectory() as cache:
        datasets.config.HF_DATASETS_CACHE = Path(cache)
        megabytes_before = mebibytes_at_peak()
        start = time.perf_counter()
        rows = load_rows(task, "train", DataOptions(arguments.data_dir, arguments.max_train_examples))
        end_of_reading = time.perf_counter()
        examples = encode(rows, task, tokenizer, arguments.max_length)
        encode_seconds = time.perf_counter() - end_of_reading
        result |= {"megabytes_before": megabytes_before, "megabytes_peak": mebibytes_at_peak()}
        result |= {"examples": len(examples), "tokens": int(examples.lengths.sum())}
        result |= {"read_seconds": end_of_reading - start, "encode_seconds": encode_seconds}
        texts = list(zip(*(rows[column][:ONE_BY_ONE] for column in task.text_columns), strict=True))
    start = time.perf_counter()
    for text in texts:
        tokenizer.encode_plus(*text, truncation=True, max_length=arguments.max_length)
    result["per_second"] = len(examples) / encode_seconds
    result["one_by_one_per_second"] = len(texts) / (time.perf_counter() - start)
    finish(result, loading_table([result]), arguments.save)


if __name__ == "__main__":
    run_program(ARGUMENTS, benchmark)
