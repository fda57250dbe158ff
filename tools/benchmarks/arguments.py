"""Arguments of the benchmarks."""

from __future__ import annotations

from pathlib import Path

from tools.data.tasks import TABLE
from tools.runtime.argument_parser import argument_group, flag
from tools.runtime.argument_types import NonNegativeFloat, PositiveInt, TokenCount
from tools.runtime.arguments import DEFAULT_MAX_LENGTH, SAME_HOLD_OUT


@argument_group("benchmark")
class BenchmarkArguments:
    """The task, its data, and the file of the result."""

    task: str = flag(f"one of: {', '.join(sorted(TABLE))}")
    data_dir: Path | None = flag("folder of local data sets (default: the hub)", None)
    save: Path | None = flag("also write the result to this JSON file", None)


@argument_group("benchmark")
class BackboneArguments(BenchmarkArguments):
    backbone: str | None = flag("hub id or local directory of a BERT (default: bert-base-uncased)", None)
    max_length: TokenCount = flag("most tokens of an example", DEFAULT_MAX_LENGTH)
    max_train_examples: PositiveInt | None = flag("use this many training examples (default: all)", None)


@argument_group("benchmark")
class BatchedBackboneArguments(BackboneArguments):
    batch_size: PositiveInt = flag("examples per batch", 32)


@argument_group("benchmark")
class PrecisionArguments(BenchmarkArguments):
    model_path: Path = flag("AdapLeR: a save_pretrained directory, or the .h5 file beside it")
    hold_out: PositiveInt | None = flag(SAME_HOLD_OUT, None)
    max_eval_examples: PositiveInt | None = flag("use this many validation examples (default: all)", None)
    batch_size: PositiveInt = flag("examples per batch", 32)


@argument_group("benchmark")
class InferenceArguments:
    save: Path | None = flag("also write the result to this JSON file", None)


@argument_group("benchmark")
class AlternativesArguments:
    """The comparison of an AdapLeR with its alternatives."""

    model_path: Path = flag("AdapLeR: a save_pretrained directory, or the .h5 file beside it")
    scales: list[NonNegativeFloat] = flag("further factors on eta to compare; choose them on validation", [])
    batch_size: PositiveInt = flag("texts per batch when scores are computed", 32)
    timed_texts: PositiveInt = flag("texts that are timed in batches of 32; a quarter of them in smaller batches", 256)
    save: Path | None = flag("also write the result to this JSON file", None)
