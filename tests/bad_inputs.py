"""Kinds of bad input: which file of a good run is damaged, how, and the stage that then reads it.

A table, so that a report can count them; tests/inject_faults.py tries them all.
"""

from __future__ import annotations

import gzip
import json
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

FINE_TUNE = "run_files/run_classification_bert.py --EPOCHS 1"
TRAIN = "run_files/run_classification_w_lr.py --EPOCHS 1 --GAMMA 0.05 --PHI 0.005"
EVALUATE = "run_files/run_classification_evaluation.py --SPLIT validation"


@dataclass(frozen=True)
class BadInput:
    """One kind.

    Attributes:
        file: which one, a pattern under the directory of a finished run.
        damage: does it to the file.
        command: the stage that then reads it; `{file}` stands for the damaged file, `{folder}` for its folder.
    """

    kind: str
    file: str
    damage: Callable[[Path], object]
    command: str


def _cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def _random_bytes(file: Path) -> None:
    file.write_bytes(np.random.default_rng(0).bytes(3000))


def _pickle(file: Path) -> None:
    file.write_bytes(pickle.dumps({"an": "object"}))


def _no_json(file: Path) -> None:
    file.write_text("{", encoding="utf-8")


def _rows(change: Callable[[list[dict]], object]) -> Callable[[Path], None]:
    """Damage that changes the rows of a .jsonl file."""

    def damage(file: Path) -> None:
        rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
        change(rows)
        file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")

    return damage


def _latin_1(file: Path) -> None:
    file.write_bytes(file.read_text(encoding="utf-8").replace("a", "é").encode("latin-1"))


def _half_a_gz(file: Path) -> None:
    packed = gzip.compress(file.read_bytes())
    file.with_name(f"{file.name}.gz").write_bytes(packed[: len(packed) // 2])
    file.unlink()


def _other_saliencies(file: Path) -> None:
    np.save(file, np.load(file, allow_pickle=False)[:-1])


_WEIGHTS, _SALIENCIES, _TEXTS = "*/*/*/models/bert_*_1.h5", "*/*/*/data/sals/train/*_1.npy", "given/demo/train.jsonl"
_GIVEN = f"{FINE_TUNE} --DATA_DIR {{folder}}/.."
KINDS = [
    BadInput("weights: cut short", _WEIGHTS, _cut, f"{EVALUATE} --MODEL_PATH {{file}}"),
    BadInput("weights: random bytes", _WEIGHTS, _random_bytes, f"{EVALUATE} --MODEL_PATH {{file}}"),
    BadInput("weights: a pickle", _WEIGHTS, _pickle, f"{EVALUATE} --MODEL_PATH {{file}}"),
    BadInput("weights: missing", _WEIGHTS, Path.unlink, f"{EVALUATE} --MODEL_PATH {{file}}"),
    BadInput(
        "model directory: config is no JSON",
        "*/*/*/models/adaptive_lr/*_last/config.json",
        _no_json,
        f"{EVALUATE} --MODEL_PATH {{folder}}",
    ),
    BadInput("saliencies: cut short", _SALIENCIES, _cut, TRAIN),
    BadInput("saliencies: a pickle", _SALIENCIES, _pickle, TRAIN),
    BadInput("saliencies: other rows", _SALIENCIES, _other_saliencies, TRAIN),
    BadInput("log of dev scores: no JSON", "*/*/*/logs/ft_logs.json", _no_json, "tools/store_saliencies.py"),
    BadInput("data: no label column", _TEXTS, _rows(lambda rows: [row.pop("label") for row in rows]), _GIVEN),
    BadInput("data: label out of range", _TEXTS, _rows(lambda rows: rows[7].update(label=9)), _GIVEN),
    BadInput("data: text is missing", _TEXTS, _rows(lambda rows: rows[7].update(text=None)), _GIVEN),
    BadInput("data: not UTF-8", _TEXTS, _latin_1, _GIVEN),
    BadInput("data: random bytes", _TEXTS, _random_bytes, _GIVEN),
    BadInput("data: a .gz cut short", _TEXTS, _half_a_gz, _GIVEN),
]
