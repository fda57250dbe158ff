"""Arguments that benchmarks share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tools.data.tasks import TABLE
from tools.runtime.argument_parser import flag
from tools.runtime.argument_types import PositiveInt, TokenCount
from tools.runtime.arguments import DEFAULT_MAX_LENGTH


@dataclass(kw_only=True)
class BenchmarkArguments:
    """The task and backbone of a benchmark of training or loading."""

    _argument_group_name = "benchmark"
    task: str = flag("TASK", f"one of: {', '.join(sorted(TABLE))}")
    backbone: str | None = flag("BACKBONE", "hub id or local directory of a BERT (default: bert-base-uncased)", None)
    data_dir: Path | None = flag("DATA_DIR", "folder of local data sets (default: the hub)", None)
    max_length: TokenCount = flag("MAX_LENGTH", "most tokens of an example", DEFAULT_MAX_LENGTH)
    batch_size: PositiveInt = flag("BATCH_SIZE", "examples per batch", 32)
    save: Path | None = flag("SAVE", "also write the result to this JSON file", None)
