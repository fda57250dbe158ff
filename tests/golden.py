"""Arrays computed by the published system for a small 12-layer BERT, and the model that holds its weights.

The published code ran once (TensorFlow 2.7.0, transformers 4.5.1, float32), on the weights and inputs that are stored
beside the arrays. Nothing here can compute them again; tests/oracle.py has the same equations in NumPy.
"""

import json
import re
from functools import cache
from pathlib import Path

import numpy as np
from transformers import BertConfig

from models import TFAdapLeRForSequenceClassification

GOLDEN = Path(__file__).parent / "data" / "golden"
ROUNDING_FILE = GOLDEN.parent / "golden_rounding.json"

PREDICTOR = re.compile(r".*contribution_predictor_\._(\d+)/(hidden|score)/(kernel|bias):0")


MULTIPLE = 10
"""How many times the measured rounding a result may be off."""

SMALLEST_TOLERANCE = 4 * 2.0**-24
"""Tolerance, relative to the largest value, of quantities that no variant rounds differently."""


def tolerance(key: str) -> float:
    """Largest difference from the published value that rounding explains, relative to the largest value."""
    return max(MULTIPLE * spreads()[key], SMALLEST_TOLERANCE)


@cache
def spreads() -> dict[str, float]:
    """Rounding of every quantity, as tests/measure_rounding.py measured it."""
    return json.loads(ROUNDING_FILE.read_text())["spreads"]


@cache
def load(name: str) -> dict[str, np.ndarray]:
    """All arrays of tests/data/golden/<name>.npz."""
    with np.load(GOLDEN / f"{name}.npz", allow_pickle=False) as arrays:
        return {key: arrays[key] for key in arrays.files}


def source(name: str) -> dict[str, np.ndarray]:
    """As `load`, for arrays that are inputs of the code under test; `disturb` may change them."""
    return disturb(load(name))


def disturb(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Nothing; tests/measure_rounding.py puts a change of the inputs in its place."""
    return arrays


def published_name(name: str) -> str:
    """Our variable's name -> the published system's."""
    match = PREDICTOR.match(name)
    if match:
        layer, part, kind = int(match[1]), match[2], match[3]
        scope = "t_fbert_lr_exp_head" + (f"_{layer}" if layer else "")
        return f"bert/encoder/{scope}/exp_head_{'pre_' if part == 'hidden' else ''}{layer + 1}/{kind}:0"
    last = name.split("/", 1)[1]
    special = {"bert/encoder/eta:0": "ETA:0", "bert/encoder/theta:0": "THETA:0"}
    return special.get(last) or f"tf_bert_for_sequence_classification/{last}"


def make_model(eta: str = "eta025", theta: str = "th1", converted: bool = True):
    """The golden model with the named eta and theta vectors."""
    model = TFAdapLeRForSequenceClassification(BertConfig.from_json_file(str(GOLDEN / "config_a.json")))
    model.build_in_name_scope()
    if converted:
        model.to_AdapLeR()
    weights = source("weights_a")
    for variable in model.weights:
        variable.assign(weights[published_name(variable.name)])
    if converted:
        set_thresholds(model, eta, theta)
    return model


def set_thresholds(model, eta: str, theta: str) -> None:
    vectors = source("etas_thetas")
    encoder = model.bert.encoder
    encoder.eta.assign(vectors[eta])
    encoder.theta.assign(vectors[f"{theta}_THETA"])
    encoder.theta_probe.assign(vectors[f"{theta}_THETA_PR"])


def inputs(rows=slice(None), length=None) -> dict[str, np.ndarray]:
    arrays = source("inputs_a")
    return {key: arrays[key][rows, :length] for key in ("input_ids", "attention_mask", "token_type_ids")}
