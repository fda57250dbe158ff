"""The arguments of the stages: one dataclass per concern; a stage inherits from those that it needs."""

from __future__ import annotations

from pathlib import Path

from tools.common.errors import UserError
from tools.common.paths import DEFAULT_BACKBONE
from tools.common.task_names import CUSTOM
from tools.data.tasks import TABLE
from tools.runtime.argument_parser import argument_group, flag
from tools.runtime.argument_types import (
    FiniteFloat,
    Fraction,
    Name,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    Seed,
    Split,
    TokenCount,
)

ALLOWED_LOSS = 0.01
"""How much worse than the best fine-tuned score a chosen AdapLeR may be (paper, section 4.2)."""

TARGET_TOLERANCE = 0.03
"""How far from its target speedup, relative to it, a model may be without a warning."""

TARGET_GAMMA = 0.05
"""Weight of the Contribution Predictors' loss when a run has a target speedup."""

PUBLISHED_THRESHOLD_RATE = 5e-4
"""Rate of eta and theta without a target."""

THRESHOLD_DISTANCE = 1.5
"""How far Adam may move a threshold in a run with a target: its rate times half of the steps."""

TARGET_PREDICTOR_RATE = 1e-3
"""Rate of the Contribution Predictors in a run with a target."""

SAME_HOLD_OUT = "as in the model's run: take this many training rows for validation"
"""Help of --HOLD_OUT where a model exists already."""

DEFAULT_MAX_LENGTH = 128
"""Tokens that an example is cut to when neither --MAX_LENGTH nor the model's directory says otherwise."""


@argument_group("task, backbone and data")
class TaskArguments:
    """Which task, backbone and data."""

    task: str = flag(f"one of: {', '.join(sorted(TABLE))}, {CUSTOM}")
    data_seed: Seed = flag("seed of the order of examples, of new weights and of dropout", 22)
    backbone: str | None = flag(
        "hub id or local directory of a BERT (default: bert-base-uncased; demo has its own)", None
    )
    backbone_name: Name | None = flag("name of the backbone's folder under directory/ (default: from --BACKBONE)", None)
    data_dir: Path | None = flag(
        "folder of local data sets, <DATA_DIR>/<task>/<split>.*; a custom task's own folder (default: the hub)",
        None,
    )
    text_columns: list[str] | None = flag("text columns of a custom task, one or two (default: text)", None)
    label_column: str = flag("label column of a custom task", "label")
    max_length: TokenCount | None = flag(
        f"most tokens of an example (default: that of --MODEL_PATH's directory, or {DEFAULT_MAX_LENGTH})",
        None,
    )


@argument_group("task, backbone and data")
class HeldOutTaskArguments(TaskArguments):
    """The same, with training rows held out."""

    hold_out: PositiveInt | None = flag(
        "take this many training rows for validation, and the published validation split for test; of sst2, whole "
        "sentences with all their phrases",
        None,
    )


@argument_group("devices and arithmetic")
class DeviceArguments:
    """Devices and arithmetic."""

    gpu: str | None = flag("index of the GPU to use, or several separated by commas (default: all)", None)
    multi_gpu: bool = flag("spread each batch over all visible devices", False)
    deterministic: bool = flag("equal seeds give bit-equal results on one machine; slower", False)


@argument_group("devices and arithmetic")
class ArithmeticArguments(DeviceArguments):
    """The same, for the stages that compute gradients; the others compute in float32, as a deployed model does."""

    mixed_precision: bool = flag("compute in bfloat16, keep the weights in float32", False)


@argument_group("rows")
class RowArguments:
    """Which rows of the data."""

    max_train_examples: PositiveInt | None = flag("train on this many examples, the same in every stage", None)
    max_eval_examples: PositiveInt | None = flag("evaluate on this many examples, the same in every stage", None)
    split_by_body: bool = flag("fnc: no article body of validation occurs in train", False)


@argument_group("batches")
class BatchArguments:
    """Batch sizes."""

    batch_size: PositiveInt = flag("examples per batch; in training, per update", 32)
    eval_batch_size: PositiveInt | None = flag("examples per batch of evaluation (default: BATCH_SIZE)", None)

    @property
    def evaluation_batch_size(self) -> int:
        return self.eval_batch_size or self.batch_size


@argument_group("training")
class TrainingArguments(BatchArguments):
    """The training loop."""

    acc_steps: PositiveInt = flag("cut each batch into this many micro-batches to save memory", 1)
    epochs: PositiveInt = flag("passes over the training examples", 5)
    learning_rate: PositiveFloat = flag("highest learning rate", 2e-5)
    warmup_ratio: Fraction = flag("fraction of the steps in which the rates rise from 0", 0.06)
    reshuffle: bool = flag("another order of examples each epoch (published: one order)", False)
    group_by_length: bool = flag(
        "batches of examples of similar length, which need little padding, drawn anew each epoch (published: random)",
        False,
    )
    resume: bool = flag("continue an interrupted run after its last finished epoch", False)
    initial_model_path: Path | None = flag("start from these fine-tuned .h5 weights, not from the backbone", None)


@argument_group("training")
class FineTuningArguments(TrainingArguments):
    """Stage 1."""

    clip_norm: NonNegativeFloat = flag("largest norm of the gradient; 0 does not clip, as published", 1.0)
    keep_best: PositiveInt | None = flag("keep the weights of this many best epochs (default: all)", None)


@argument_group("training")
class AdapLeRTrainingArguments(TrainingArguments):
    """Stage 3's loop."""

    learning_rate: PositiveFloat = flag("highest learning rate", 3e-5)


@argument_group("speed")
class SpeedArguments:
    """The losses and thresholds of stage 3."""

    target_speedup: PositiveFloat | None = flag(
        "train towards this FLOPs speedup, padding not counted; the run warns where thresholds of at most 1 reach less "
        "(default: as published, by GAMMA and PHI)",
        None,
    )
    gamma: NonNegativeFloat | None = flag(
        f"weight of the Contribution Predictors' loss (paper, equation 7); {TARGET_GAMMA} with a target", None
    )
    phi: NonNegativeFloat | None = flag(
        "weight of the length loss (paper, equation 8); more drops more tokens; without a target only", None
    )
    save_name: Name = flag("first part of the saved model's name", "run")
    speedup_learning_rate: PositiveFloat | None = flag(
        f"highest learning rate of eta and theta (default: {PUBLISHED_THRESHOLD_RATE:g} as published; with a target "
        f"{2 * THRESHOLD_DISTANCE:g} / steps)",
        None,
    )
    cp_learning_rate: PositiveFloat | None = flag(
        "highest learning rate of the Contribution Predictors (default: LEARNING_RATE; with a target "
        f"{TARGET_PREDICTOR_RATE:g})",
        None,
    )
    eta_init: FiniteFloat = flag("where eta starts", 0.25)
    distill: bool = flag("also learn from the logits of the best fine-tuned epoch (default with a target)", False)
    no_distill: bool = flag("learn from the labels alone (default without a target)", False)

    def __post_init__(self) -> None:
        if self.target_speedup is None and (self.gamma is None or self.phi is None):
            raise UserError("give --TARGET_SPEEDUP, or both --GAMMA and --PHI")
        if self.target_speedup is not None and self.phi is not None:
            raise UserError(
                "--PHI has no use with --TARGET_SPEEDUP; leave one of them out (where a task has a target by default, "
                "give run_files/run_task.sh --PUBLISHED)"
            )
        if self.target_speedup is not None and self.target_speedup <= 1:
            raise UserError(f"--TARGET_SPEEDUP {self.target_speedup} is not above 1")
        if self.distill and self.no_distill:
            raise UserError("--DISTILL and --NO_DISTILL exclude one another; leave one out")

    @property
    def distills(self) -> bool:
        return self.distill or (self.target_speedup is not None and not self.no_distill)

    @property
    def model_name(self) -> str:
        """The saved model's name, which holds what it was trained for."""
        if self.target_speedup is not None:
            return f"{self.save_name}_TARGET{self.target_speedup}"
        return f"{self.save_name}_GAMMA{self.gamma}_PHI{self.phi}"


@argument_group("saliencies")
class SaliencyArguments:
    """Stage 2."""

    batch_size: PositiveInt = flag("examples per batch", 32)
    split: Split = flag("which split", "train")
    resume: bool = flag("keep the saliencies that are stored already", False)


@argument_group("evaluation")
class EvaluationArguments(BatchArguments):
    """Stage 4."""

    model_path: Path = flag(".h5 weights or a save_pretrained directory")
    split: Split | None = flag("which split (default: all but train)", None)
    lr_model: bool = flag("the .h5 weights are an AdapLeR's", False)
    check_lr_mode: bool = flag("compare lr_mode with the batched evaluation on validation", False)
    as_published_flops: bool = flag(
        "also print the speedup as the published code counted it (BERT-base; too high)", False
    )
    flops_pickle: bool = flag("also write FLOPs per example as the published code did, pickled", False)


@argument_group("predictions")
class GlueArguments(BatchArguments):
    """GLUE predictions."""

    model_path: Path = flag(".h5 weights or a save_pretrained directory")
    split: Split | None = flag("which split (default: every test split)", None)
    lr_model: bool = flag("the .h5 weights are an AdapLeR's", False)
    submission: bool = flag("also write the GLUE server's file, and its zip once the files of all tasks exist", False)


@argument_group("attentions")
class AttentionArguments:
    """Stored attentions."""

    batch_size: PositiveInt = flag("examples per batch", 32)
    split: Split = flag("which split", "train")
    epoch: PositiveInt | None = flag("which epoch of stage 1 (default: the best on dev)", None)
    rollout: bool = flag("attention rollout instead of each layer's own attention", False)
    only_last_layer: bool = flag("store only the last layer's", False)


@argument_group("rationales")
class RationaleArguments:
    """The comparison with human rationales."""

    model_path: Path = flag("AdapLeR: .h5 weights or a save_pretrained directory")
    batch_size: PositiveInt = flag("examples per batch", 32)
    split: Split = flag("which split", "test")
    epoch: PositiveInt | None = flag("which epoch of stage 1 (default: the best on dev)", None)
    save: Path | None = flag("also write the results to this JSON file", None)


@argument_group("eta_scale")
class EtaScaleArguments(BatchArguments):
    """The choice of eta_scale."""

    model_path: Path = flag("AdapLeR: a save_pretrained directory, or the .h5 file beside it")
    max_loss: FiniteFloat = flag("largest loss of dev score allowed; 0.01 is one point", ALLOWED_LOSS)
    scales: list[NonNegativeFloat] = flag(
        "factors on eta to try", [0.0, 0.25, 0.5, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.35, 1.5, 2.0, 3.0]
    )


@argument_group("models")
class ModelChoiceArguments:
    """The models to compare."""

    model_paths: list[Path] = flag("directories of the models, each with its chosen eta_scale")


@argument_group("summary")
class SummaryArguments:
    """The summary of a run."""

    model_path: Path = flag("AdapLeR of stage 3: .h5 weights, or the save_pretrained directory beside them")
    save: Path | None = flag("also write the summary to this JSON file", None)


@argument_group("FLOPs")
class FlopsArguments:
    """The FLOPs of a backbone."""

    backbone: str = flag("hub id, local directory or config.json of a BERT", DEFAULT_BACKBONE)
    lengths: list[PositiveInt] = flag("tokens of an example", [2, 16, 64, 128, 512])


STAGES: dict[str, list[type]] = {
    "fine_tune": [HeldOutTaskArguments, RowArguments, FineTuningArguments, ArithmeticArguments],
    "plan_alternatives": [HeldOutTaskArguments, RowArguments, DeviceArguments],
    "store_saliencies": [HeldOutTaskArguments, RowArguments, SaliencyArguments, ArithmeticArguments],
    "train_adapler": [
        HeldOutTaskArguments,
        RowArguments,
        AdapLeRTrainingArguments,
        SpeedArguments,
        ArithmeticArguments,
    ],
    "choose_eta_scale": [HeldOutTaskArguments, RowArguments, EtaScaleArguments, DeviceArguments],
    "evaluate": [HeldOutTaskArguments, RowArguments, EvaluationArguments, DeviceArguments],
    "glue_prediction": [TaskArguments, RowArguments, GlueArguments, DeviceArguments],
    "store_attentions": [HeldOutTaskArguments, RowArguments, AttentionArguments, DeviceArguments],
    "evaluate_rationales": [HeldOutTaskArguments, RowArguments, RationaleArguments, DeviceArguments],
    "choose_model": [HeldOutTaskArguments, ModelChoiceArguments, DeviceArguments],
    "summarize": [HeldOutTaskArguments, SummaryArguments, DeviceArguments],
}
"""Stage -> the groups of arguments that it takes. A stage has a task, and its own folder under directory/."""
