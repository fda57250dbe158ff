"""Prints the flags of stage 1 for the smaller plain models that AdapLeR is compared with: a line a model, tabs between.

They are the backbone's first 2, 3 and 4 layers, which are written to directory/backbones/, and the whole backbone on
the first tokens of each text: as many as need 2, 3 and 5 times fewer FLOPs over the validation texts, which resemble
those of the test split more than SST-2's training phrases do.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from tools.runtime.argument_parser import parse
from tools.runtime.arguments import STAGES

if __name__ == "__main__":
    ARGUMENTS = parse(STAGES["plan_alternatives"], __doc__)  # before the imports that take seconds

import numpy as np
from transformers import BertConfig

from tools.common.errors import UserError
from tools.common.paths import TaskPaths, generated_backbone
from tools.data.loading import load_examples
from tools.data.tasks import Task
from tools.flops.comparison import config_of
from tools.flops.formulas import bert_flops
from tools.runtime.checkpoints import load_tokenizer
from tools.runtime.run import Run
from tools.runtime.stage import run_stage
from tools.training.cut_layers import cut

LAYERS = (2, 3, 4)
SPEEDUPS = (2, 3, 5)
FEWEST_TOKENS = 3
"""[CLS], a token and [SEP]."""


@dataclass(frozen=True)
class Alternative:
    """A smaller plain model of a task.

    Attributes:
        method, setting: what it is: "first layers" and "2 layers", or "first tokens" and "24 tokens".
        paths: where its files are.
        backbone: hub id or directory of its backbone.
        max_length: most tokens of an example.
    """

    method: str
    setting: str
    paths: TaskPaths
    backbone: str
    max_length: int


def plan_alternatives(run: Run) -> None:
    require_alternatives(run.task)
    for alternative in alternatives(run):
        if alternative.method == "first layers":
            cut(run.backbone, int(alternative.setting.split()[0]), generated_backbone(alternative.paths.name))
        flags = {"BACKBONE": alternative.backbone, "BACKBONE_NAME": alternative.paths.name}
        flags["MAX_LENGTH"] = alternative.max_length
        print(*(f"--{flag}\t{value}" for flag, value in flags.items()), sep="\t")


def alternatives(run: Run) -> list[Alternative]:
    """The alternatives to the AdapLeR of a run, trained or not; none has as many layers as the backbone."""
    config, name = config_of(run.backbone), run.paths.name
    every_row = replace(run.data_options, max_eval_examples=None)  # the same for training and for the comparison
    dev = load_examples(run.task, "validation", load_tokenizer(run.backbone), run.max_length, every_row)
    planned = []
    for layers in LAYERS:
        if layers < config.num_hidden_layers:
            paths = TaskPaths(f"{name}_{layers}_layers", run.paths.seed, run.paths.task)
            backbone = str(generated_backbone(paths.name))
            planned.append(Alternative("first layers", f"{layers} layers", paths, backbone, run.max_length))
    for tokens in sorted({first_tokens(config, dev.lengths, speedup) for speedup in SPEEDUPS}, reverse=True):
        paths = TaskPaths(f"{name}_first_{tokens}_tokens", run.paths.seed, run.paths.task)
        planned.append(Alternative("first tokens", f"{tokens} tokens", paths, run.backbone, tokens))
    return planned


def require_alternatives(task: Task) -> None:
    """Raises UserError for a task whose documents are cut into windows: shorter inputs are other windows."""
    if task.windowed:
        raise UserError(
            f"--TASK {task.name} cannot be compared with alternatives: its documents are cut into windows, with "
            "shorter inputs into others; give a model of another task"
        )


def first_tokens(config: BertConfig, lengths: np.ndarray, speedup: float) -> int:
    """Most tokens to which texts of these lengths, [N], can be cut to need `speedup` times fewer FLOPs; at least 3."""
    whole = bert_flops(config, lengths).sum()
    reached = [
        tokens
        for tokens in range(FEWEST_TOKENS, lengths.max())
        if whole / bert_flops(config, np.minimum(lengths, tokens)).sum() >= speedup
    ]
    return max(reached, default=FEWEST_TOKENS)


if __name__ == "__main__":
    run_stage("plan_alternatives", ARGUMENTS, plan_alternatives)
