"""The arguments of the stages: one dataclass per concern, one container of them per stage."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tools.common.errors import UserError
from tools.common.paths import DEFAULT_BACKBONE
from tools.data.tasks import CUSTOM, TABLE
from tools.runtime.argument_parser import flag
from tools.runtime.argument_types import (
    FiniteFloat,
    Fraction,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    Split,
    TokenCount,
)

ALLOWED_LOSS = 0.01
"""How much worse than the best fine-tuned score a chosen AdapLeR may be (paper, section 4.2)."""

DEFAULT_MAX_LENGTH = 128
"""Tokens that an example is cut to when neither --MAX_LENGTH nor the model's directory says otherwise."""


@dataclass(kw_only=True)
class TaskArguments:
    """Which task, backbone and data."""

    _argument_group_name = "task, backbone and data"
    task: str = flag("TASK", f"one of: {', '.join(sorted(TABLE))}, {CUSTOM}")
    data_seed: NonNegativeInt = flag("DATA_SEED", "seed of the order of examples, of new weights and of dropout", 22)
    backbone: str | None = flag(
        "BACKBONE", "hub id or local directory of a BERT (default: bert-base-uncased; demo has its own)", None
    )
    backbone_name: str | None = flag(
        "BACKBONE_NAME", "name of the backbone's folder under directory/ (default: from --BACKBONE)", None
    )
    data_dir: Path | None = flag(
        "DATA_DIR", "folder of local data sets, <DATA_DIR>/<task>/<split>.* (default: the hub)", None
    )
    text_columns: list[str] | None = flag(
        "TEXT_COLUMNS", "text columns of a custom task, one or two (default: text)", None
    )
    label_column: str = flag("LABEL_COLUMN", "label column of a custom task", "label")
    max_length: TokenCount | None = flag(
        "MAX_LENGTH",
        f"most tokens of an example (default: that of --MODEL_PATH's directory, or {DEFAULT_MAX_LENGTH})",
        None,
    )


@dataclass(kw_only=True)
class HeldOutTaskArguments(TaskArguments):
    """The same, with training rows held out."""

    hold_out: PositiveInt | None = flag(
        "HOLD_OUT",
        "take this many training rows for validation, and the published validation split for test; of sst2, whole "
        "sentences with all their phrases",
        None,
    )


@dataclass(kw_only=True)
class DeviceArguments:
    """Devices and arithmetic."""

    _argument_group_name = "devices and arithmetic"
    gpu: str | None = flag("GPU", "index of the GPU to use, or several separated by commas (default: all)", None)
    multi_gpu: bool = flag("MULTI_GPU", "spread each batch over all visible devices", False)
    deterministic: bool = flag("DETERMINISTIC", "equal seeds give bit-equal results on one machine; slower", False)
    mixed_precision: bool = flag("MIXED_PRECISION", "compute in bfloat16, keep the weights in float32", False)


@dataclass(kw_only=True)
class RowArguments:
    """Which rows of the data."""

    _argument_group_name = "rows"
    max_train_examples: PositiveInt | None = flag(
        "MAX_TRAIN_EXAMPLES", "train on this many examples, the same in every stage", None
    )
    max_eval_examples: PositiveInt | None = flag(
        "MAX_EVAL_EXAMPLES", "evaluate on this many examples, the same in every stage", None
    )
    split_by_body: bool = flag("SPLIT_BY_BODY", "fnc: no article body of validation occurs in train", False)


@dataclass(kw_only=True)
class BatchArguments:
    """Batch sizes."""

    _argument_group_name = "batches"
    batch_size: PositiveInt = flag("BATCH_SIZE", "examples per batch; in training, per update", 32)
    eval_batch_size: PositiveInt | None = flag(
        "EVAL_BATCH_SIZE", "examples per batch of evaluation (default: BATCH_SIZE)", None
    )

    @property
    def evaluation_batch_size(self) -> int:
        return self.eval_batch_size or self.batch_size


@dataclass(kw_only=True)
class TrainingArguments(BatchArguments):
    """The training loop."""

    _argument_group_name = "training"
    acc_steps: PositiveInt = flag("ACC_STEPS", "cut each batch into this many micro-batches to save memory", 1)
    epochs: PositiveInt = flag("EPOCHS", "passes over the training examples", 5)
    learning_rate: PositiveFloat = flag("LEARNING_RATE", "highest learning rate", 2e-5)
    warmup_ratio: Fraction = flag("WARMUP_RATIO", "fraction of the steps in which the rates rise from 0", 0.06)
    reshuffle: bool = flag("RESHUFFLE", "another order of examples each epoch (published: one order)", False)
    group_by_length: bool = flag(
        "GROUP_BY_LENGTH", "batches of examples of similar length, with little padding (published: random)", False
    )
    resume: bool = flag("RESUME", "continue an interrupted run after its last finished epoch", False)
    initial_model_path: Path | None = flag(
        "INITIAL_MODEL_PATH", "start from these fine-tuned .h5 weights, not from the backbone", None
    )

    def __post_init__(self) -> None:
        if self.reshuffle and self.group_by_length:
            raise UserError("--RESHUFFLE and --GROUP_BY_LENGTH exclude one another; leave one out")


@dataclass(kw_only=True)
class FineTuningArguments(TrainingArguments):
    """Stage 1."""

    keep_best: PositiveInt | None = flag("KEEP_BEST", "delete the weights of all but this many best epochs", None)


@dataclass(kw_only=True)
class AdapLeRTrainingArguments(TrainingArguments):
    """Stage 3's loop."""

    learning_rate: PositiveFloat = flag("LEARNING_RATE", "highest learning rate", 3e-5)


@dataclass(kw_only=True)
class SpeedArguments:
    """The losses and thresholds of stage 3."""

    _argument_group_name = "speed"
    gamma: NonNegativeFloat = flag("GAMMA", "weight of the Contribution Predictors' loss (paper, equation 7)")
    phi: NonNegativeFloat = flag("PHI", "weight of the length loss (paper, equation 8); more drops more tokens")
    save_name: str = flag("SAVE_NAME", "first part of the saved model's name", "run")
    speedup_learning_rate: PositiveFloat = flag(
        "SPEEDUP_LEARNING_RATE",
        "highest learning rate of eta and theta; short runs need 2e-3 to 1e-2, because a step moves a threshold by at "
        "most this much",
        5e-4,
    )
    cp_learning_rate: PositiveFloat | None = flag(
        "CP_LEARNING_RATE", "highest learning rate of the Contribution Predictors (default: LEARNING_RATE)", None
    )
    eta_init: FiniteFloat = flag("ETA_INIT", "where eta starts", 0.25)


@dataclass(kw_only=True)
class SaliencyArguments:
    """Stage 2."""

    _argument_group_name = "saliencies"
    batch_size: PositiveInt = flag("BATCH_SIZE", "examples per batch", 32)
    split: Split = flag("SPLIT", "which split", "train")
    resume: bool = flag("RESUME", "keep the saliencies that are stored already", False)


@dataclass(kw_only=True)
class EvaluationArguments(BatchArguments):
    """Stage 4."""

    _argument_group_name = "evaluation"
    model_path: Path = flag("MODEL_PATH", ".h5 weights or a save_pretrained directory")
    split: Split | None = flag("SPLIT", "which split (default: all but train)", None)
    lr_model: bool = flag("LR_MODEL", "the .h5 weights are an AdapLeR's", False)
    check_lr_mode: bool = flag("CHECK_LR_MODE", "compare lr_mode with the batched evaluation on validation", False)
    as_published_flops: bool = flag(
        "AS_PUBLISHED_FLOPS", "also print the speedup as the published code counted it (BERT-base; too high)", False
    )
    flops_pickle: bool = flag("FLOPS_PICKLE", "also write FLOPs per example as the published code did, pickled", False)


@dataclass(kw_only=True)
class GlueArguments(BatchArguments):
    """GLUE predictions."""

    _argument_group_name = "predictions"
    model_path: Path = flag("MODEL_PATH", ".h5 weights or a save_pretrained directory")
    split: Split | None = flag("SPLIT", "which split (default: every test split)", None)
    lr_model: bool = flag("LR_MODEL", "the .h5 weights are an AdapLeR's", False)
    submission: bool = flag(
        "SUBMISSION", "also write the GLUE server's file, and its zip once the files of all tasks exist", False
    )


@dataclass(kw_only=True)
class AttentionArguments:
    """Stored attentions."""

    _argument_group_name = "attentions"
    batch_size: PositiveInt = flag("BATCH_SIZE", "examples per batch", 32)
    split: Split = flag("SPLIT", "which split", "train")
    epoch: PositiveInt | None = flag("EPOCH", "which epoch of stage 1 (default: the best on dev)", None)
    rollout: bool = flag("ROLLOUT", "attention rollout instead of each layer's own attention", False)
    only_last_layer: bool = flag("ONLY_LAST_LAYER", "store only the last layer's", False)


@dataclass(kw_only=True)
class RationaleArguments:
    """The comparison with human rationales."""

    _argument_group_name = "rationales"
    model_path: Path = flag("MODEL_PATH", "AdapLeR: .h5 weights or a save_pretrained directory")
    batch_size: PositiveInt = flag("BATCH_SIZE", "examples per batch", 32)
    split: Split = flag("SPLIT", "which split", "test")
    epoch: PositiveInt | None = flag("EPOCH", "which epoch of stage 1 (default: the best on dev)", None)
    save: Path | None = flag("SAVE", "also write the results to this JSON file", None)


@dataclass(kw_only=True)
class EtaScaleArguments(BatchArguments):
    """The choice of eta_scale."""

    _argument_group_name = "eta_scale"
    model_path: Path = flag("MODEL_PATH", "AdapLeR: a save_pretrained directory, or the .h5 file beside it")
    max_loss: FiniteFloat = flag(
        "MAX_LOSS", "a setting must lose less than this against the fine-tuned dev score", ALLOWED_LOSS
    )
    scales: list[NonNegativeFloat] = flag(
        "SCALES", "factors on eta to try", [0.0, 0.25, 0.5, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.35, 1.5, 2.0, 3.0]
    )


@dataclass(kw_only=True)
class SummaryArguments:
    """The summary of a run."""

    _argument_group_name = "summary"
    model_path: Path = flag("MODEL_PATH", "AdapLeR: .h5 weights of stage 3")
    save: Path | None = flag("SAVE", "also write the summary to this JSON file", None)


@dataclass(kw_only=True)
class FlopsArguments:
    """The FLOPs of a backbone."""

    backbone: str = flag("BACKBONE", "hub id, local directory or config.json of a BERT", DEFAULT_BACKBONE)
    lengths: list[PositiveInt] = flag("LENGTHS", "tokens of an example", [2, 16, 64, 128, 512])


@dataclass(frozen=True)
class FineTuneStage:
    data: HeldOutTaskArguments
    rows: RowArguments
    training: FineTuningArguments
    devices: DeviceArguments


@dataclass(frozen=True)
class SaliencyStage:
    data: HeldOutTaskArguments
    rows: RowArguments
    saliencies: SaliencyArguments
    devices: DeviceArguments


@dataclass(frozen=True)
class TrainAdapLeRStage:
    data: HeldOutTaskArguments
    rows: RowArguments
    training: AdapLeRTrainingArguments
    speed: SpeedArguments
    devices: DeviceArguments


@dataclass(frozen=True)
class EtaScaleStage:
    data: HeldOutTaskArguments
    rows: RowArguments
    choice: EtaScaleArguments
    devices: DeviceArguments


@dataclass(frozen=True)
class EvaluateStage:
    data: HeldOutTaskArguments
    rows: RowArguments
    evaluation: EvaluationArguments
    devices: DeviceArguments


@dataclass(frozen=True)
class GlueStage:
    data: TaskArguments
    rows: RowArguments
    predictions: GlueArguments
    devices: DeviceArguments


@dataclass(frozen=True)
class AttentionStage:
    data: HeldOutTaskArguments
    rows: RowArguments
    attentions: AttentionArguments
    devices: DeviceArguments


@dataclass(frozen=True)
class RationaleStage:
    data: HeldOutTaskArguments
    rows: RowArguments
    rationales: RationaleArguments
    devices: DeviceArguments


@dataclass(frozen=True)
class ModelChoiceStage:
    data: HeldOutTaskArguments
    devices: DeviceArguments


@dataclass(frozen=True)
class SummaryStage:
    data: HeldOutTaskArguments
    summary: SummaryArguments
    devices: DeviceArguments


STAGES = {
    "fine_tune": FineTuneStage,
    "store_saliencies": SaliencyStage,
    "train_adapler": TrainAdapLeRStage,
    "choose_eta_scale": EtaScaleStage,
    "evaluate": EvaluateStage,
    "glue_prediction": GlueStage,
    "store_attentions": AttentionStage,
    "evaluate_rationales": RationaleStage,
    "choose_model": ModelChoiceStage,
    "summarize": SummaryStage,
}
"""Stage -> the arguments that it takes. A stage has a task, and its own folder under directory/."""
