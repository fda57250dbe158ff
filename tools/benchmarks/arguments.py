"""Arguments of the benchmarks."""

from __future__ import annotations

from pathlib import Path

from tools.common.errors import UserError
from tools.data.tasks import TABLE
from tools.runtime.argument_parser import argument_group, flag
from tools.runtime.argument_types import PositiveInt, TokenCount
from tools.runtime.arguments import DEFAULT_MAX_LENGTH


@argument_group("benchmark")
class BenchmarkArguments:
    """The task, its data, and the file of the result."""

    _argument_group_name = "benchmark"
    task: str = flag("TASK", f"one of: {', '.join(sorted(TABLE))}")
    data_dir: Path | None = flag("DATA_DIR", "folder of local data sets (default: the hub)", None)
    save: Path | None = flag("SAVE", "also write the result to this JSON file", None)


@dataclass(kw_only=True)
class BackboneArguments(BenchmarkArguments):
    backbone: str | None = flag("BACKBONE", "hub id or local directory of a BERT (default: bert-base-uncased)", None)
    max_length: TokenCount = flag("MAX_LENGTH", "most tokens of an example", DEFAULT_MAX_LENGTH)
    batch_size: PositiveInt = flag("BATCH_SIZE", "examples per batch", 32)


@dataclass(kw_only=True)
class PrecisionArguments(BenchmarkArguments):
    model_path: Path = flag("MODEL_PATH", "AdapLeR: a save_pretrained directory, or the .h5 file beside it")
    batch_size: PositiveInt = flag("BATCH_SIZE", "examples per batch", 32)


@dataclass(kw_only=True)
class InferenceArguments(BenchmarkArguments):
    task: str | None = flag("TASK", "the model's task; its dev set is timed", None)
    model_path: Path | None = flag("MODEL_PATH", "AdapLeR to time (default: random weights of BERT-base's size)", None)
    full: bool = flag("FULL", "measure the whole grid; takes an hour or more", False)

    def __post_init__(self) -> None:
        if self.model_path and not self.task:
            raise UserError(f"--MODEL_PATH {self.model_path} needs --TASK, because the task's dev set is timed")
