"""Where everything lies under directory/; no other file knows."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DIRECTORY = Path(os.environ.get("ADAPLER_DIRECTORY", ROOT / "directory"))
"""Set ADAPLER_DIRECTORY to keep models and logs on another disk."""
RESULTS = ROOT / "results"
FIGURES = RESULTS / "figures"
SUMMARIES = DIRECTORY / "results"
"""Summaries and benchmarks of this user's runs; RESULTS holds those that are committed."""
RESULTS_PAGE = ROOT / "RESULTS.md"
README = ROOT / "README.md"
DEFAULT_BACKBONE = "bert-base-uncased"


def backbone_name(backbone: str) -> str:
    """The name a backbone has in paths: `bert` for bert-base-uncased, otherwise its last part."""
    return "bert" if backbone == DEFAULT_BACKBONE else Path(backbone).name


@dataclass(frozen=True)
class TaskPaths:
    """directory/<name>/<seed>/<task>/: data, models and logs of one backbone, seed and task."""

    name: str
    seed: int
    task: str
    instead: Path | None = None

    @classmethod
    def of(cls, model_path: Path) -> TaskPaths | None:
        """The run that a model under directory/ belongs to; None for one that lies elsewhere."""
        with suppress(ValueError):
            name, seed, task, *_ = model_path.resolve().relative_to(DIRECTORY.resolve()).parts
            return cls(name, int(seed), task)
        return None

    @property
    def root(self) -> Path:
        return self.instead or DIRECTORY / self.name / str(self.seed) / self.task

    def seen_through(self, root: Path) -> TaskPaths:
        """The same files under another root."""
        return replace(self, instead=root)

    @property
    def models(self) -> Path:
        return self.root / "models"

    @property
    def adaptive_models(self) -> Path:
        return self.models / "adaptive_lr"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def all(self) -> list[Path]:
        """Every directory that a task needs."""
        return [
            self.adaptive_models,
            self.logs,
            *(self.saliencies(split) for split in ("train", "validation", "test")),
        ]

    def run_folder(self, stage: str, model_path: Path | None = None) -> Path:
        """run.json, scores.jsonl, TensorBoard's events and the backup of one run of a stage (on one model)."""
        return self.logs / stage / (_model_name(model_path) if model_path else "")

    def adapler_run(self, model_name: str) -> Path:
        return self.adapler_run_of(self.adapler(model_name))

    def adapler_run_of(self, model_path: Path) -> Path:
        """Folder of the run that made these weights, chosen or last."""
        return self.run_folder("train_adapler", Path(_model_name(model_path).removesuffix("_last")))

    @property
    def fine_tuning_log(self) -> Path:
        return self.logs / "ft_logs.json"

    def fine_tuned(self, epoch: int) -> Path:
        """Weights after epoch `epoch`, counted from 1."""
        return self.models / f"bert_{self.task}_{epoch}.h5"

    @property
    def all_fine_tuned(self) -> list[Path]:
        """Weights of every epoch."""
        return sorted(self.models.glob(f"bert_{self.task}_*.h5"))

    def saliencies(self, split: str) -> Path:
        return self.root / "data" / "sals" / split

    def saliency_matrix(self, split: str, epoch: int) -> Path:
        return self.saliencies(split) / f"sal_mat_wCLSSEPnoZ_{epoch}.npy"

    def saliency_rows(self, split: str, epoch: int) -> Path:
        """Row ids and checksums of the matrix's examples."""
        return self.saliency_matrix(split, epoch).with_suffix(".rows.npz")

    def attentions(self, split: str, epoch: int, rollout: bool, only_last_layer: bool) -> Path:
        """Attention of each example; one .npy a row id in one .npz."""
        kind = ("_rollout" if rollout else "") + ("_last" if only_last_layer else "")
        return self.root / "data" / "attentions" / split / f"attention_{epoch}{kind}.npz"

    def rationales(self, model_path: Path, split: str) -> Path:
        return self.logs / f"rationales_{_model_name(model_path)}_{split}.json"

    def adapler(self, model_name: str) -> Path:
        """The chosen epoch's weights; the save_pretrained directory is the same without .h5."""
        return self.adaptive_models / f"{model_name}_lr.h5"

    def adapler_last(self, model_name: str) -> Path:
        return self.adaptive_models / f"{model_name}_lr_last.h5"

    def adapler_log(self, model_name: str) -> Path:
        return self.logs / f"{model_name}_lr_logs.json"

    def is_chosen(self, model_path: Path) -> bool:
        """Whether an AdapLeR is a run's chosen epoch, not its last."""
        return self.adapler_run_of(model_path).name == _model_name(model_path)

    def adapler_log_of(self, model_path: Path) -> Path:
        """The log of the run that made these weights, chosen or last."""
        return self.logs / f"{self.adapler_run_of(model_path).name}_logs.json"

    @property
    def adapler_logs(self) -> list[Path]:
        """Logs of every AdapLeR run."""
        return sorted(self.logs.glob("*_lr_logs.json"))

    def model_of_log(self, log: Path, chosen: bool) -> Path:
        """The weights of the chosen or of the last epoch that an AdapLeR run's log is about."""
        name = log.name.removesuffix("_lr_logs.json")
        return self.adapler(name) if chosen else self.adapler_last(name)

    @property
    def glue_submission(self) -> Path:
        """The GLUE server's files of all tasks of this backbone and seed."""
        return self.root.parent / "glue_submission"

    def evaluation(self, model_path: Path, eta_scale: float = 1.0) -> Path:
        """Scores of a model; a directory whose eta_scale was chosen shares no file with its .h5 weights."""
        return self.logs / f"evaluation_{_scaled_name(model_path, eta_scale)}.json"

    @property
    def summary(self) -> Path:
        return SUMMARIES / f"{self.task}_{self.name}_{self.seed}.json"

    def flops_per_example(self, model_path: Path, split: str, eta_scale: float = 1.0) -> Path:
        """Logits, FLOPs and lengths of each example, of the model that `evaluation` scores."""
        return self.logs / "flops_per_example" / f"{_scaled_name(model_path, eta_scale)}_{split}.npz"

    def eta_scales(self, model_path: Path) -> Path:
        """Scores and speedups of a model for every factor on eta that was tried."""
        return self.logs / f"eta_scale_{_model_name(model_path)}.json"

    def glue_prediction(self, model_path: Path, split: str) -> Path:
        return self.logs / f"glue_prediction_{_model_name(model_path)}_{split}.tsv"


def _model_name(model_path: Path) -> str:
    """A model's name in other files' names, the same for its .h5 weights and its directory."""
    return Path(os.path.abspath(model_path)).name.removesuffix(".h5")


def _scaled_name(model_path: Path, eta_scale: float) -> str:
    return _model_name(model_path) + ("" if eta_scale == 1 else f"_eta_scale_{eta_scale}")


def generated_data() -> Path:
    """Root of the data sets that the project generates, laid out like any --DATA_DIR."""
    return DIRECTORY / "generated"


def generated_backbone(name: str) -> Path:
    return DIRECTORY / "backbones" / name


if __name__ == "__main__":
    name, task, seed = sys.argv[1:]
    for directory in TaskPaths(name, int(seed), task).all:
        directory.mkdir(parents=True, exist_ok=True)
        print(directory)
