"""Runs stages in this process on a few examples, and records their training steps; the expected steps in NumPy."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from models import TFAdapLeRForSequenceClassification
from models.losses import contribution_loss
from tests.tiny_task import WORDS, write_backbone
from tools.runtime.argument_parser import parse
from tools.runtime.arguments import STAGES
from tools.runtime.run import Run

HIDDEN_DROPOUT, ATTENTION_DROPOUT = 0.1, 0.3
UNIDENTIFIED = ("key/bias:0", "score/bias:0")
"""The softmax makes these gradients zero but for rounding."""

Weights = dict[str, np.ndarray]


@dataclass
class Step:
    """One training step: its batch, lambda, and the weights by name before and after it."""

    inputs: dict[str, np.ndarray]
    targets: dict[str, np.ndarray]
    slope: float | None
    before: Weights
    after: Weights = field(default_factory=dict)


@dataclass
class Record:
    """What a stage did: its run, training steps, the model and its dropout rates, and what it printed."""

    run: Run | None = None
    steps: list[Step] = field(default_factory=list)
    model: TFAdapLeRForSequenceClassification | None = None
    attention_dropout: set[float] = field(default_factory=set)
    hidden_dropout: set[float] = field(default_factory=set)
    printed: str = ""


def weights_of(model) -> Weights:
    """The weights by name, without the model's own name."""
    return {variable.name.split("/", 1)[1]: variable.numpy() for variable in model.weights}


def set_weights(model, weights: Weights) -> None:
    for variable in model.weights:
        variable.assign(weights[variable.name.split("/", 1)[1]])


@contextlib.contextmanager
def eager() -> Iterator[None]:
    """Runs functions operation by operation, because compiling them takes longer than a few steps."""
    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(False)


def run_stage(stage: str, work: Callable[[Run], None], flags: str) -> Record:
    """Runs a stage's function with these flags; dropout is switched off once its rates are known."""
    record = Record(Run.of(stage, parse(STAGES[stage], "", flags.split())))
    keras.utils.set_random_seed(record.run.seed)
    printed = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, eager(), contextlib.redirect_stdout(printed):
        record_steps(patch, record)
        work(record.run)
    record.printed = printed.getvalue()
    return record


def record_steps(patch: pytest.MonkeyPatch, record: Record) -> None:
    """Makes every model note its training steps in the record."""
    train_step = TFAdapLeRForSequenceClassification.train_step

    def recorded(model, data):
        if record.model is None:
            record.model = model
            note_dropout(record)
        inputs, targets = ({name: value.numpy() for name, value in part.items()} for part in data)
        slope = float(model.bert.encoder.removal_lambda.numpy()) if model.is_adapler else None
        record.steps.append(Step(inputs, targets, slope, weights_of(model)))
        logs = train_step(model, data)
        record.steps[-1].after = weights_of(model)
        return logs

    patch.setattr(TFAdapLeRForSequenceClassification, "train_step", recorded)


def note_dropout(record: Record) -> None:
    """Notes the rates of all dropout layers, then sets them to 0."""
    model = record.model
    attention = [layer.attention.self_attention.dropout for layer in model.bert.encoder.layer]
    hidden = [model.bert.embeddings.dropout]
    for layer in model.bert.encoder.layer:
        hidden += [layer.attention.dense_output.dropout, layer.bert_output.dropout]
    record.attention_dropout = {dropout.rate for dropout in attention}
    record.hidden_dropout = {dropout.rate for dropout in hidden}
    for dropout in [*attention, *hidden, model.dropout]:
        dropout.rate = 0.0


def write_task(folder: Path, rows: dict[str, int], name: str = "sst2", columns=("sentence",), label=int) -> Path:
    """Writes the splits of a task of two labels: unique texts, label 1 where the first word is "good".

    Args:
        rows: split -> number of rows.
        label: number of the label -> the label in the file; not for "test", whose labels are hidden.
    """
    rng, texts = np.random.default_rng(1), set()
    (folder / name).mkdir(parents=True)
    for split, count in rows.items():
        lines = []
        while len(lines) < count:
            number = len(lines) * 2 // 3 % 2
            words = [WORDS[1 - number], *rng.choice(WORDS[2:], rng.integers(2, 7))]
            if " ".join(words) in texts:
                continue
            texts.add(" ".join(words))
            told = -1 if split.startswith("test") else label(number)
            values = dict(zip(columns, [" ".join(words), "the film"], strict=False))
            lines.append(json.dumps({**values, "label": told, "idx": len(lines)}))
        (folder / name / f"{split}.jsonl").write_text("\n".join(lines))
    return folder


def write_random_backbone(directory: Path, **config) -> Path:
    """A backbone with dropout whose biases and LayerNorms are random, too."""
    rates = {"hidden_dropout_prob": HIDDEN_DROPOUT, "attention_probs_dropout_prob": ATTENTION_DROPOUT}
    write_backbone(directory, **rates, **config)
    model = TFAdapLeRForSequenceClassification.from_pretrained(directory)
    rng = np.random.default_rng(2)
    for variable in model.weights:
        variable.assign_add(rng.normal(0, 0.3, variable.shape))
    model.save_pretrained(directory)
    return directory


@dataclass
class ReferenceAdam:
    """Adam with warm-up, linear decay and decoupled weight decay, in float64, as METHOD describes it.

    Attributes:
        rate: the highest learning rate.
        warmup: number of warm-up steps, of `steps` in all.
        weight_decay: of all variables but LayerNorms and biases.
    """

    rate: float
    warmup: int
    steps: int
    epsilon: float
    weight_decay: float = 0.0
    count: int = 0
    moments: dict[str, tuple] = field(default_factory=dict)

    def learning_rate(self) -> float:
        if self.count < self.warmup:
            return self.rate * self.count / self.warmup
        return self.rate * (1 - (self.count - self.warmup) / (self.steps - self.warmup))

    def apply(self, weights: Weights, gradients: Weights) -> Weights:
        """The weights after a step; `gradients` has some of them."""
        rate = self.learning_rate()
        self.count += 1
        after = {}
        for name, gradient in gradients.items():
            first, second = self.moments.get(name, (0.0, 0.0))
            first, second = 0.9 * first + 0.1 * gradient, 0.999 * second + 0.001 * gradient**2
            self.moments[name] = first, second
            correction = np.sqrt(1 - 0.999**self.count) / (1 - 0.9**self.count)
            is_decayed = "LayerNorm" not in name and not name.endswith("bias:0")
            before = weights[name].astype(np.float64)
            decayed = before * (1 - rate * self.weight_decay * is_decayed)
            after[name] = decayed - rate * correction * first / (np.sqrt(second) + self.epsilon)
        return after


def gradients_by_name(tape: tf.GradientTape, loss: tf.Tensor, variables: list[tf.Variable]) -> dict[str, object]:
    gradients = tape.gradient(loss, variables, unconnected_gradients="zero")
    return {variable.name.split("/", 1)[1]: g for variable, g in zip(variables, gradients, strict=True)}


def clipped(gradients: dict[str, object], limit: float | None) -> Weights:
    """Dense gradients of a group, scaled to a global norm of at most `limit`.

    The embeddings' gradients count each occurrence of a token, as published.
    """
    squares = sum(np.square(np.asarray(getattr(g, "values", g), np.float64)).sum() for g in gradients.values())
    scale = 1.0 if limit is None else limit / max(np.sqrt(squares), limit)
    return {name: scale * np.asarray(tf.convert_to_tensor(g), np.float64) for name, g in gradients.items()}


def cross_entropy(labels: np.ndarray, logits: tf.Tensor, class_weights: tuple[float, ...]) -> tf.Tensor:
    """The cross entropy, weighted by the label, summed and divided by the number of examples."""
    log_probabilities = tf.nn.log_softmax(logits)
    parts = [-class_weights[label] * log_probabilities[row, label] for row, label in enumerate(labels)]
    return tf.add_n(parts) / len(labels)


def plain_gradients(model, step: Step, loss: Callable, limit: float | None) -> Weights:
    """Gradients of a loss (labels, logits) at the weights before a step."""
    set_weights(model, step.before)
    with tf.GradientTape() as tape:
        value = loss(step.targets["labels"], model(step.inputs, training=False).logits)
    return clipped(gradients_by_name(tape, value, model.trainable_variables), limit)


def adapler_gradients(
    model, step: Step, slope: float, gamma: float, phi: float, class_weights: tuple[float, ...]
) -> tuple[Weights, Weights]:
    """Clipped gradients of the main loss and of the speed loss at the weights before a step."""
    set_weights(model, step.before)
    encoder = model.bert.encoder
    encoder.removal_lambda.assign(slope)
    thresholds = [encoder.eta, encoder.theta]
    main = [v for v in model.trainable_variables if all(v is not threshold for threshold in thresholds)]
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(encoder.theta_probe)
        outputs = model(step.inputs, training=True)
        ce = cross_entropy(step.targets["labels"], outputs.logits, class_weights)
        predictor_losses = contribution_loss(
            outputs.explanations,
            step.targets["saliency"],
            step.inputs["attention_mask"],
            encoder.eta,
            encoder.theta,
            encoder.removal_lambda,
        )
        main_loss = ce + gamma * tf.reduce_mean(predictor_losses)
        speed_loss = ce + phi * tf.reduce_mean(tf.add_n(outputs.lengths))
    eta, probe = tape.gradient(speed_loss, [encoder.eta, encoder.theta_probe])
    speed = {"bert/encoder/eta:0": eta, "bert/encoder/theta:0": probe / (encoder.theta + 1e-7)}
    return clipped(gradients_by_name(tape, main_loss, main), 1.0), clipped(speed, 1.0)


def assert_moves(step: Step, expected: Weights, tolerance: float = 2e-3) -> int:
    """Fails unless the step made these weights, up to a part of each variable's move; returns how many moved."""
    moved = 0
    for name, weights in expected.items():
        if name.endswith(UNIDENTIFIED):
            continue
        error = np.linalg.norm(step.after[name] - weights)
        move = np.linalg.norm(weights - step.before[name])
        rounding = 1e-6 * np.linalg.norm(weights)
        assert error <= tolerance * move + rounding, f"{name} is off by {error:.3g}, its move is {move:.3g}"
        moved += bool(move > 100 * rounding)
    return moved
