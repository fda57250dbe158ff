"""Every quantity that is compared with the golden arrays, computed by the code under test.

Keys are `<golden file>/<array>`. tests/measure_rounding.py computes the same quantities in several ways to measure
their rounding. `wrap` turns a function of tensors into the one that is run: itself, or a graph of it.
"""

import json
import re
from collections.abc import Callable

import numpy as np
import tensorflow as tf
import tf_keras as keras

from models.length_reduction import soft_removal
from models.losses import contribution_loss
from models.objective import Objective, adam
from tests.compare import assert_close
from tests.golden import GOLDEN, inputs, load, make_model, published_name, set_thresholds, source, tolerance
from tools.data.examples import Examples
from tools.evaluation.evaluate import Predictions, predict
from tools.explanations.saliencies import gradient_x_input, saliency_matrix

SOFT_CASES = json.loads((GOLDEN / "2_soft_cases.json").read_text())
HARD_CASES = [(eta, theta) for eta in ("eta025", "etalin", "etarand", "etatiny") for theta in ("th1", "thrand")]
TRAINING_CASES = [
    "adam_g0_lam10_cw1_th1",
    "adam_g1_lam10_cw1_thrand",
    "sgd_g0_lam10_cw0_th1",
    "sgd_g1_lam10_cw1_thrand",
    "sgd_g1_lam1000_cw1_th1",
    "sgdclip",
]
STEPPED_CASE = "adam_g1_lam10_cw1_thrand"
"""The case whose gradients and parameters are compared too."""
EVALUATION_CASES = ["eta025", "etalin", "etarand", "etatiny"]
SLOPES = ["10", "50", "1000", "100000", "1e+10", "1e+20"]
LOSSES = {"loss": "loss", "head_loss": "cp_loss", "combined_loss": "speed_loss"}
THRESHOLDS = {"ETA": "eta", "THETA": "theta"}
"""Published name of each loss and threshold -> ours."""

Wrap = Callable[[Callable], Callable]


def eager(function: Callable) -> Callable:
    return function


def expected(key: str) -> np.ndarray:
    """The published system's value of a quantity."""
    file, _, name = key.partition("/")
    arrays, last = load(file), name.rpartition("/")[2]
    if file == "1_plain_a" and last == "hidden_12":
        return at_real_tokens(arrays[name])
    if file == "3_hard_a":
        case = name.partition("/")[0]
        names = ["logits"] if last == "logits" else [f"explanations_{layer}" for layer in range(12)]
        return np.concatenate([np.ravel(arrays[f"{case}/ex{row}/{part}"]) for row in range(6) for part in names])
    if name.startswith("headloss"):
        return np.sum(arrays[name] * np.arange(12, 0, -1))
    if name.startswith("soft/V2"):
        return (arrays[name] != 0).astype(np.float64)
    if name.startswith("step") and last in THRESHOLDS:
        return arrays[name] - arrays[f"step0/{last}"]
    if name.startswith(("params_step5", "growth")):
        parameter = name.partition("/")[2]
        start = load("weights_a")[parameter]
        return parameters(parameter, arrays[f"params_step5/{parameter}"] - start, start)[key]
    return arrays[name]


def at_real_tokens(values: np.ndarray) -> np.ndarray:
    return values[load("inputs_a")["attention_mask"] > 0]


def plain(wrap: Wrap = eager) -> dict:
    model = make_model(converted=False)
    outputs = wrap(lambda: model(tensors(inputs()), output_hidden_states=True))()
    hidden = at_real_tokens(np.asarray(outputs.hidden_states[-1]))
    return {"1_plain_a/logits": outputs.logits, "1_plain_a/hidden_12": hidden}


def soft(model, forward: Callable, case: dict) -> dict:
    """Outputs of `forward`, which gives the model's outputs on the golden inputs, in one of SOFT_CASES."""
    set_thresholds(model, case["eta"], case["theta"])
    model.bert.encoder.removal_lambda.assign(case["lam"])
    outputs = forward()
    arrays = {"logits": outputs.logits, "explanations": outputs.explanations, "lengths": outputs.lengths}
    return {f"2_soft_a/{case['case']}/{name}": np.asarray(value) for name, value in arrays.items()}


def hard(model, eta: str, theta: str) -> list:
    """The model's outputs for each example alone, without padding, in lr_mode."""
    set_thresholds(model, eta, theta)
    return [model(inputs([row], length), lr_mode=True) for row, length in enumerate(load("inputs_a")["lengths"])]


def hard_values(eta: str, theta: str, outputs: list) -> dict:
    """Logits, and the contributions of all examples and layers in one row."""
    shares = [np.ravel(layer.flat_values) for output in outputs for layer in output.explanations]
    prefix = f"3_hard_a/{eta}__{theta}"
    return {
        f"{prefix}/logits": np.concatenate([output.logits[0] for output in outputs]),
        f"{prefix}/explanations": np.concatenate(shares),
    }


def saliencies(wrap: Wrap = eager) -> dict:
    model, labels = make_model(converted=False), load("4_saliency_a")["labels"]
    return {"4_saliency_a/asrun/L2/None": wrap(lambda: gradient_x_input(model, tensors(inputs()), labels))()}


def saliencies_of_trimmed_batches() -> dict:
    model, examples = make_model(converted=False), examples_of(inputs(), load("4_saliency_a")["labels"])
    return {"4_saliency_a/asrun/L2/None": saliency_matrix(model, examples, 24, 2)[0]}


def evaluation(model, eta: str) -> Predictions:
    arrays = load("8_eval_a")
    set_thresholds(model, eta, "th1")
    return predict(model, examples_of(arrays, arrays["labels"]), batch_size=7)


def examples_of(padded: dict, labels: np.ndarray) -> Examples:
    lengths = padded["attention_mask"].sum(axis=1)
    ragged = {
        name: tf.RaggedTensor.from_tensor(padded[name], lengths=lengths) for name in ("input_ids", "token_type_ids")
    }
    return Examples(np.arange(len(labels)), **ragged, labels=labels, pad_id=0)


def tensors(arrays: dict) -> dict:
    return {key: tf.constant(value) for key, value in arrays.items()}


def batch(copies: int = 1) -> tuple[dict, dict]:
    arrays = source("inputs_a")
    targets = {"labels": arrays["labels"], "saliency": arrays["saliencies"]}
    parts = [{key: np.concatenate([value] * copies) for key, value in part.items()} for part in (inputs(), targets)]
    return tensors(parts[0]), tensors(parts[1])


def compiled_model(case: str):
    """The golden model in the state and with the optimisers of a training case."""
    meta = json.loads(str(load(f"5_train_a_{case}")["meta"]))
    model = make_model(meta["eta"], meta["theta"])
    model.bert.encoder.removal_lambda.assign(meta["lam"])
    if meta["kind"] == "adam":
        optimizers = adam(3e-5, 50, 3, 1e-12, weight_decay=0.01), adam(5e-4, 50, 3, 1e-12)
    else:
        speedup_rate = 0.5 if meta["kind"] == "sgdclip" else 1e-3
        optimizers = keras.optimizers.legacy.SGD(5e-4), keras.optimizers.legacy.SGD(speedup_rate)
    objective = Objective(
        meta["GAMMA"],
        meta["PHI"],
        meta["class_weights"],
        acc_steps=meta["accum_steps"],
        clip_norm=1.0 if meta["kind"] == "adam" else None,
    )
    model.compile(optimizers[0], objective=objective, speedup_optimizer=optimizers[1])
    return model


def gradients(wrap: Wrap = eager) -> dict:
    """Gradients of the first step of STEPPED_CASE."""
    model = compiled_model(STEPPED_CASE)
    groups = model.parameter_groups()
    (main, speed), _ = wrap(lambda: model.group_gradients(*batch(), groups, 6.0))()
    prefix = f"5_train_a_{STEPPED_CASE}"
    values = {f"{prefix}/zeta_grad/ETA": speed[0], f"{prefix}/zeta_grad/THETA_PR_div_THETA": speed[1]}
    for variable, gradient in zip(groups[0].variables, main, strict=True):
        values[f"{prefix}/grad/{published_name(variable.name)}"] = tf.convert_to_tensor(gradient)
    return values


def training(case: str, wrap: Wrap = eager, wrap_losses: Wrap = eager) -> dict:
    """Losses before each step, movement of the thresholds after it; of STEPPED_CASE also what `parameters` gives."""
    model, prefix = compiled_model(case), f"5_train_a_{case}"
    per_example = wrap_losses(lambda: model.losses_per_example(*batch()))
    step = wrap(lambda: model.train_step(batch()))
    start = {published_name(variable.name): variable.numpy() for variable in model.weights}
    values = {}
    for number in range(1, steps_of(case) + 1):
        losses = per_example()
        for name, loss in LOSSES.items():
            values[f"{prefix}/step{number}/{name}"] = np.mean(losses[loss])
        step()
        for name, attribute in THRESHOLDS.items():
            moved = getattr(model.bert.encoder, attribute).numpy() - start[f"{name}:0"]
            values[f"{prefix}/step{number}/{name}"] = moved
    if case == STEPPED_CASE:
        for variable in model.trainable_variables:
            name = published_name(variable.name)
            values |= parameters(name, variable.numpy() - start[name], start[name])
    return values


def steps_of(case: str) -> int:
    return json.loads(str(load(f"5_train_a_{case}")["meta"]))["nsteps"]


def parameters(name: str, moved: np.ndarray, start: np.ndarray) -> dict:
    """Movement of a parameter in STEPPED_CASE, and its growth: the least-squares factor from `start` to `moved`.

    Weight decay is a growth of -(rate * decay), which a mean over a whole tensor shows above the rounding of single
    elements. Elements whose gradient is nothing but rounding are left out: epsilon 1e-12 turns it into a full step.
    Elements without a gradient stay in: nothing but the decay moves them.
    """
    if name in ("ETA:0", "THETA:0") or is_shift(name):
        return {}
    prefix = f"5_train_a_{STEPPED_CASE}"
    gradient = np.abs(load(prefix)[f"grad/{name}"])
    chosen = (gradient >= 1e-6) | (gradient == 0)
    if "word_embeddings" in name:
        chosen[0] = False  # [PAD]
    moved, start = moved[chosen].astype(np.float64), start[chosen].astype(np.float64)
    return {
        f"{prefix}/params_step5/{name}": moved,
        f"{prefix}/growth/{name}": np.sum(moved * start) / np.sum(start * start),
    }


def is_shift(name: str) -> bool:
    """Whether a parameter is added to all scores of a softmax alike, so that its gradient is zero but for rounding."""
    return name.endswith("key/bias:0") or re.search(r"/exp_head_\d+/bias:0$", name) is not None


def accumulation() -> dict:
    """Thresholds after two updates, each of two micro-batches."""
    model, prefix = compiled_model("sgd_acc2"), "5_train_a_sgd_acc2"
    encoder, values = model.bert.encoder, {}
    start = {name: getattr(encoder, attribute).numpy() for name, attribute in THRESHOLDS.items()}
    for update in (2, 4):
        model.train_step(batch(copies=2))
        for name, attribute in THRESHOLDS.items():
            values[f"{prefix}/step{update}/{name}"] = getattr(encoder, attribute).numpy() - start[name]
    return values


def head_loss_cases() -> list[str]:
    return [key for key in load("6_units_a") if key.startswith("headloss")]


def head_loss(key: str) -> dict:
    """The contribution loss of given explanations; `key` is one of `head_loss_cases`."""
    arrays, vectors = source("6_units_a"), source("etas_thetas")
    _, kind, case, _ = key.split("/")
    eta, theta, slope = case.split("__")
    loss = contribution_loss(
        list(tf.constant(arrays[f"expl_{kind}"])),
        tf.constant(arrays["sal"]),
        tf.constant(arrays["attention_mask"]),
        tf.constant(vectors[eta]),
        tf.constant(vectors[f"{theta}_THETA"]),
        tf.constant(float(slope.removeprefix("lam")), arrays["sal"].dtype),
    )
    return {f"6_units_a/{key}": np.mean(loss)}


def removal(slope: str) -> dict:
    """The soft removal in units of the published one, which is 1e4 below the threshold and 1e-4 above it."""
    arrays, key = source("6_units_a"), f"soft/V2/lam{slope}"
    shares, delta = tf.constant(arrays["soft/x"]), tf.constant(arrays["soft/delta"])
    values = soft_removal(shares, delta, tf.constant(float(slope), shares.dtype)).numpy()
    published = load("6_units_a")[key]
    return {f"6_units_a/{key}": np.divide(values, published, out=values.copy(), where=published != 0)}


def assert_golden(values: dict) -> None:
    """Compares quantities with the published system's, as closely as rounding allows."""
    for key, value in values.items():
        published = expected(key)
        assert_close(value, published, tolerance(key) * np.abs(published).max(), key)
