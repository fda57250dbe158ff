"""One training step: several losses over one forward pass, each moving its own group of parameters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import tensorflow as tf
import tf_keras as keras
from transformers import AdamWeightDecay, create_optimizer

from models.losses import contribution_loss, length_loss, task_loss

_TINY_THETA = 1e-7


def adam(
    learning_rate: float, steps: int, warmup_steps: int, epsilon: float, weight_decay: float = 0.0
) -> AdamWeightDecay:
    """Adam with linear warm-up from 0 and linear decay to 0; no decay of LayerNorm weights and biases.

    Args:
        learning_rate: the highest rate, reached after `warmup_steps` of `steps` optimiser steps.
    """
    schedule = create_optimizer(learning_rate, max(steps, warmup_steps + 1), warmup_steps)[1]
    return AdamWeightDecay(
        schedule,
        epsilon=epsilon,
        weight_decay_rate=weight_decay,
        exclude_from_weight_decay=["LayerNorm", "layer_norm", "bias"],
    )


@dataclass(frozen=True)
class Objective:
    """What a model is trained for.

    Attributes:
        gamma: weight of the Contribution Predictors' loss (paper, equation 7).
        phi: weight of the length loss (paper, equation 8).
        class_weights: one factor a label, or None.
        acc_steps: micro-batches that one batch is cut into to save memory; the update is that of the whole batch.
        clip_norm: largest global norm of a group's gradient, or None.
    """

    gamma: float = 0.0
    phi: float = 0.0
    class_weights: Sequence[float] | None = None
    acc_steps: int = 1
    clip_norm: float | None = None


@dataclass(frozen=True)
class ParameterGroup:
    """Variables that follow one loss, clipped together; `parts` pairs each optimiser with its variables."""

    loss: str
    parts: list[tuple[keras.optimizers.legacy.Optimizer, list[tf.Variable]]]

    @property
    def variables(self) -> list[tf.Variable]:
        return [variable for _, part in self.parts for variable in part]


class TrainingStep:
    """Keras training for plain BERT and AdapLeR; a mixin before the transformers class.

    `compile(optimizer=..., objective=Objective(...))` chooses it; without an objective, Keras and transformers train
    as they always do. Batches are (inputs, {"labels": int [B], "saliency": float [B, n]}); saliencies are needed by
    converted models only.
    """

    def compile(self, optimizer="rmsprop", *args, objective=None, speedup_optimizer=None, cp_optimizer=None, **kwargs):
        """As in Keras, with AdapLeR's part.

        Args:
            optimizer: for BERT and the classifier.
            objective: an `Objective`.
            speedup_optimizer: for eta and theta.
            cp_optimizer: for the Contribution Predictors (default: `optimizer`).
        """
        super().compile(optimizer, *args, **kwargs)
        if objective is not None and self.is_adapler and speedup_optimizer is None:
            raise ValueError("a converted model needs compile(speedup_optimizer=...) for eta and theta")
        self._set_objective(objective, speedup_optimizer, cp_optimizer)

    @tf.__internal__.tracking.no_automatic_dependency_tracking
    def _set_objective(self, objective, speedup_optimizer, cp_optimizer) -> None:
        """Untracked, because Keras would save a tracked metric's counters among the model's weights."""
        self.objective, self.speedup_optimizer, self.cp_optimizer = objective, speedup_optimizer, cp_optimizer
        names = ["loss", "cp_loss", "tokens_left"] if self.is_adapler else ["loss"]
        self.loss_trackers = {name: keras.metrics.Mean(name) for name in names}

    @property
    def metrics(self):
        return list(self.loss_trackers.values()) if getattr(self, "objective", None) else super().metrics

    def train_step(self, data):
        if getattr(self, "objective", None) is None:
            return super().train_step(data)
        groups = self.parameter_groups()
        gradients, logs, examples = self._accumulate(data, groups)
        context = tf.distribute.get_replica_context()
        for group, group_gradients in zip(groups, gradients, strict=True):
            self._update(group, context.all_reduce(tf.distribute.ReduceOp.SUM, group_gradients))
        for name, tracker in self.loss_trackers.items():
            tracker.update_state(logs[name], sample_weight=examples)
        return {name: tracker.result() for name, tracker in self.loss_trackers.items()}

    def parameter_groups(self) -> list[ParameterGroup]:
        if not self.is_adapler:
            return [ParameterGroup("loss", [(self.optimizer, self.trainable_variables)])]
        encoder = self.bert.encoder
        predictors = [v for predictor in encoder.contribution_predictors for v in predictor.trainable_variables]
        apart = {v.ref() for v in [encoder.eta, encoder.theta, *predictors]}
        backbone = [v for v in self.trainable_variables if v.ref() not in apart]
        main = [(self.optimizer, backbone + predictors)]
        if self.cp_optimizer is not None:
            main = [(self.optimizer, backbone), (self.cp_optimizer, predictors)]
        return [
            ParameterGroup("main_loss", main),
            ParameterGroup("speed_loss", [(self.speedup_optimizer, [encoder.eta, encoder.theta])]),
        ]

    def _accumulate(self, data, groups):
        """Gradients of the whole batch (all replicas'), micro-batch by micro-batch.

        Returns:
            gradients per group, the batch's logs, and how many examples this replica had.
        """
        inputs, targets = data[0], data[1]
        examples = tf.shape(targets["labels"])[0]
        context = tf.distribute.get_replica_context()
        all_examples = tf.cast(context.all_reduce(tf.distribute.ReduceOp.SUM, examples), tf.float32)
        totals, logs, steps = None, None, self.objective.acc_steps
        for step in range(steps):
            rows = slice(examples * step // steps, examples * (step + 1) // steps)
            with tf.control_dependencies([] if totals is None else tf.nest.flatten(totals)):
                part = tf.nest.map_structure(lambda tensor, rows=rows: tf.identity(tensor[rows]), (inputs, targets))
                gradients, sums = self.group_gradients(*part, groups, all_examples)
            totals = gradients if totals is None else tf.nest.map_structure(tf.add, totals, gradients)
            logs = sums if logs is None else tf.nest.map_structure(tf.add, logs, sums)
        share = tf.cast(examples, tf.float32)
        return totals, {name: tf.math.divide_no_nan(value, share) for name, value in logs.items()}, share

    def group_gradients(self, inputs, targets, groups, all_examples):
        with tf.GradientTape(persistent=True) as tape:
            if self.is_adapler:
                tape.watch(self.bert.encoder.theta_probe)
            losses = self.losses_per_example(inputs, targets)
            means = {group.loss: tf.reduce_sum(losses[group.loss]) / all_examples for group in groups}
        gradients = [self._gradients_of(tape, means[group.loss], group) for group in groups]
        return gradients, {name: tf.reduce_sum(losses[name]) for name in self.loss_trackers}

    def losses_per_example(self, inputs, targets) -> dict[str, tf.Tensor]:
        """Every loss and logged quantity, one value per example."""
        objective = self.objective
        outputs = self(inputs, training=True)
        cross_entropy = task_loss(targets["labels"], outputs.logits, objective.class_weights)
        if not self.is_adapler:
            return {"loss": cross_entropy}
        encoder = self.bert.encoder
        mask = inputs["attention_mask"]
        cp_loss = contribution_loss(
            outputs.explanations,
            targets["saliency"],
            mask,
            encoder.eta,
            encoder.theta,
            encoder.removal_lambda,
        )
        tokens = length_loss(outputs.lengths)
        entered = len(encoder.layer) * tf.cast(tf.reduce_sum(mask, axis=-1), tf.float32)
        return {
            "loss": cross_entropy,
            "cp_loss": cp_loss,
            "tokens_left": tokens / entered,
            "main_loss": cross_entropy + objective.gamma * cp_loss,
            "speed_loss": cross_entropy + objective.phi * tokens,
        }

    def _gradients_of(self, tape: tf.GradientTape, loss: tf.Tensor, group: ParameterGroup) -> list[tf.Tensor]:
        """Gradients in the order of `group.variables`; theta's is taken at its probe (paper, section 3.2)."""
        if group.loss != "speed_loss":
            return _dense_if(self.objective.acc_steps > 1, tape.gradient(loss, group.variables))
        encoder = self.bert.encoder
        eta, probe = tape.gradient(loss, [encoder.eta, encoder.theta_probe], unconnected_gradients="zero")
        return [eta, probe / (encoder.theta + _TINY_THETA)]

    def _update(self, group: ParameterGroup, gradients: list[tf.Tensor]) -> None:
        if self.objective.clip_norm is not None:
            gradients = tf.clip_by_global_norm(gradients, self.objective.clip_norm)[0]
        start = 0
        for optimizer, variables in group.parts:
            pairs = zip(gradients[start : start + len(variables)], variables, strict=True)
            optimizer.apply_gradients(pairs, experimental_aggregate_gradients=False)
            start += len(variables)


def _dense_if(condition: bool, gradients: list) -> list:
    """Sums of micro-batches need dense gradients; a single batch keeps the embeddings' sparse ones.

    As published, whose clipping counts a sparse row once for each time its token occurs.
    """
    return [tf.convert_to_tensor(gradient) for gradient in gradients] if condition else gradients
