"""Arguments that benchmarks share."""

from __future__ import annotations

from pathlib import Path

from tools.data.tasks import TABLE
from tools.runtime.argument_parser import argument_group, flag
from tools.runtime.argument_types import PositiveInt, TokenCount
from tools.runtime.arguments import DEFAULT_MAX_LENGTH


@argument_group("benchmark")
class BenchmarkArguments:
    """The task and backbone of a benchmark of training or loading."""

    _argument_group_name = "benchmark"
    task: str = flag(f"one of: {', '.join(sorted(TABLE))}")
    backbone: str | None = flag("hub id or local directory of a BERT (default: bert-base-uncased)", None)
    data_dir: Path | None = flag("folder of local data sets (default: the hub)", None)
    max_length: TokenCount = flag("most tokens of an example", DEFAULT_MAX_LENGTH)
    batch_size: PositiveInt = flag("examples per batch", 32)
    save: Path | None = flag("also write the result to this JSON file", None)
