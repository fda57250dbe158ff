"""Training and evaluation steps: several losses over one forward pass, each of which updates its own parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import tensorflow as tf
import tf_keras as keras

from models.length_reduction import INFERENCE_LAMBDA
from models.losses import contribution_loss, distillation_loss, length_loss, task_loss
from models.objective import Objective
from models.slope_schedule import SlopeSchedule
from models.speed_target import SpeedTarget

_TINY_THETA = 1e-7
TARGETS = ("labels", "saliency", "teacher_logits")
COSTS = ("flops", "bert_flops")


@dataclass(frozen=True)
class ParameterGroup:
    """Variables that one loss updates, clipped together; `parts` pairs each optimiser with its variables."""

    loss: str
    parts: list[tuple[keras.optimizers.legacy.Optimizer, list[tf.Variable]]]

    @property
    def variables(self) -> list[tf.Variable]:
        return [variable for _, part in self.parts for variable in part]


class TrainingStep:
    """Keras training and evaluation of plain BERT and AdapLeR; a mixin before the transformers class.

    `compile(optimizer=..., objective=Objective(...))` selects these losses; without an objective, `fit` and `evaluate`
    are those of Keras and transformers. A batch is (inputs, targets) or (inputs, targets, sample_weight). The targets
    are {"labels": [B], "saliency": float [B, n], "teacher_logits": float [B, labels]}. A plain model uses the labels
    alone; a converted one needs the teacher's logits if the objective has a distillation. Each sample weight multiplies
    all losses of its example; the sum is divided by the number of examples, as in Keras' SUM_OVER_BATCH_SIZE.

    Training uses an eta_scale of 1 in all losses; evaluation uses the config's. `fit` of a converted model sets lambda
    by the `SlopeSchedule` and ends with the step function of inference, also after an error. The other methods train
    at the lambda that the caller assigns to `model.bert.encoder.removal_lambda`.
    """

    objective: Objective | None = None

    def compile(self, optimizer="rmsprop", *args, objective=None, speedup_optimizer=None, cp_optimizer=None, **kwargs):
        """As in Keras, with the objective and the optimisers of AdapLeR.

        Args:
            optimizer: for BERT and the classifier.
            objective: an `Objective`.
            speedup_optimizer: for eta and theta; an optimiser or its name, as `optimizer`.
            cp_optimizer: for the Contribution Predictors (default: `optimizer`).

        Raises:
            ValueError: a converted model gets an objective and no speedup_optimizer.
        """
        if objective is not None:
            kwargs.setdefault("weighted_metrics", [])  # Keras warns about sample weights otherwise
        super().compile(optimizer, *args, **kwargs)
        self._set_objective(objective, speedup_optimizer, cp_optimizer)
        if objective is not None:
            self.parameter_groups()

    @tf.__internal__.tracking.no_automatic_dependency_tracking
    def _set_objective(self, objective, speedup_optimizer, cp_optimizer) -> None:
        """Sets untracked attributes, because Keras saves the counters of a tracked metric with the weights."""
        self.objective = objective
        with self.distribute_strategy.scope():
            self.speedup_optimizer = speedup_optimizer and keras.optimizers.get(speedup_optimizer)
            self.cp_optimizer = cp_optimizer and keras.optimizers.get(cp_optimizer)
        self.loss_trackers = {name: keras.metrics.Mean(name) for name in ("loss", "cp_loss", "tokens_left")}

    @property
    def logged(self) -> tuple[str, ...]:
        """Names of the logged quantities."""
        return ("loss", "cp_loss", "tokens_left") if self.is_adapler else ("loss",)

    @property
    def _speed_target(self) -> SpeedTarget | None:
        return self.objective.speed_target if self.is_adapler else None

    @property
    def _summed(self) -> tuple[str, ...]:
        """Names of the quantities that a training step sums over its examples."""
        return self.logged if self._speed_target is None else (*self.logged, *COSTS)

    @property
    def metrics(self):
        return [self.loss_trackers[name] for name in self.logged] if self.objective else super().metrics

    def fit(self, x=None, y=None, batch_size=None, epochs=1, verbose="auto", callbacks=None, **kwargs):
        """As in Keras; `callbacks` may include another `SlopeSchedule`."""
        callbacks = tf.nest.flatten(callbacks or [])
        if self.is_adapler and not any(isinstance(callback, SlopeSchedule) for callback in callbacks):
            callbacks = [SlopeSchedule(), *callbacks]
        try:
            return super().fit(x, y, batch_size, epochs, verbose, callbacks, **kwargs)
        finally:
            if self.is_adapler:
                with self.distribute_strategy.scope():
                    self.bert.encoder.removal_lambda.assign(INFERENCE_LAMBDA)

    def train_on_batch(self, *args, **kwargs):
        self._require_training_slope()
        return super().train_on_batch(*args, **kwargs)

    def _require_training_slope(self) -> None:
        """Refuses to train a converted model with the step function of inference.

        Raises:
            ValueError: lambda is 1e20 or more. A compiled graph raises an InvalidArgumentError instead.
        """
        if not self.is_adapler:
            return
        slope = self.bert.encoder.removal_lambda
        message = (
            f"removal_lambda is {INFERENCE_LAMBDA:g}, where the thresholds have no gradient: train with fit(), which "
            "sets it in each epoch, or assign a smaller value, as in model.bert.encoder.removal_lambda.assign(10.0)"
        )
        if not tf.executing_eagerly():
            tf.debugging.assert_less(slope, INFERENCE_LAMBDA, message)
        elif slope.numpy() >= INFERENCE_LAMBDA:
            raise ValueError(message)

    def make_train_function(self, force=False):
        return super().make_train_function(self._is_outdated("train") or force)

    def make_test_function(self, force=False):
        return super().make_test_function(self._is_outdated("test") or force)

    def make_predict_function(self, force=False):
        return super().make_predict_function(self._is_outdated("predict") or force)

    def _is_outdated(self, function: str) -> bool:
        """Returns whether the model was converted or eta_scale changed since Keras last asked for the function."""
        states = vars(self).setdefault("_traced_states", {})  # not by assignment, because Keras would track the dict
        before, states[function] = states.get(function), (self.is_adapler, self.eta_scale)
        return before != states[function]

    def train_step(self, data):
        """Updates the parameters with one batch; see the class for its form. Returns the logged means so far."""
        self._require_training_slope()
        if self.objective is None:
            return super().train_step(data)
        groups = self.parameter_groups()
        gradients, sums, examples = self._accumulate(self._unpack(data, training=True), groups)
        context = tf.distribute.get_replica_context()
        for group, group_gradients in zip(groups, gradients, strict=True):
            self._update(group, context.all_reduce(tf.distribute.ReduceOp.SUM, group_gradients))
        if self._speed_target is not None:
            costs = context.all_reduce(tf.distribute.ReduceOp.SUM, [sums.pop(name) for name in COSTS])
            self._speed_target.update(self.bert.encoder.eta, *costs)
        return self._log(sums, examples)

    def test_step(self, data):
        """Computes the losses of one batch without dropout. Returns the logged means so far.

        Without saliencies in the targets, the result has no `cp_loss`.
        """
        if self.objective is None:
            return super().test_step(data)
        inputs, targets, weights = self._unpack(data, training=False)
        losses = self.losses_per_example(inputs, targets, weights, training=False)
        return self._log(
            {name: tf.reduce_sum(losses[name]) for name in self.logged if name in losses}, tf.size(weights)
        )

    def _log(self, sums: dict[str, tf.Tensor], examples: tf.Tensor) -> dict[str, tf.Tensor]:
        examples = tf.cast(examples, tf.float32)
        for name, value in sums.items():
            self.loss_trackers[name].update_state(tf.math.divide_no_nan(value, examples), sample_weight=examples)
        return {name: self.loss_trackers[name].result() for name in sums}

    def _unpack(self, data, training: bool) -> tuple[dict, dict, tf.Tensor]:
        """Returns the inputs and the targets by name, and the sample weights, float32 [B].

        Raises:
            ValueError: labels, or saliencies or teacher logits that training needs, are missing.
        """
        inputs, targets, weights = keras.utils.unpack_x_y_sample_weight(data)
        targets = targets if isinstance(targets, Mapping) else {"labels": targets}
        needed = ["labels", "saliency"] if training and self.is_adapler else ["labels"]
        if training and self.is_adapler and self.objective.distillation:
            needed.append("teacher_logits")
        missing = [name for name in needed if targets.get(name) is None]
        if missing:
            raise ValueError(
                f"the targets have no {' and no '.join(missing)}: this model needs (inputs, targets) with the "
                f"targets as a dict of {' and '.join(needed)}"
            )
        targets = {name: targets[name] for name in TARGETS if targets.get(name) is not None}
        if weights is None:
            weights = tf.ones(tf.shape(targets["labels"])[:1])
        return _by_name(inputs), targets, tf.cast(tf.reshape(weights, [-1]), tf.float32)

    def parameter_groups(self) -> list[ParameterGroup]:
        """Returns the variables of each loss with their optimisers.

        Raises:
            ValueError: the model is converted and has no optimiser for eta and theta.
        """
        if not self.is_adapler:
            return [ParameterGroup("loss", [(self.optimizer, self.trainable_variables)])]
        if self.speedup_optimizer is None:
            raise ValueError("a converted model needs compile(speedup_optimizer=...) for eta and theta")
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

    def _accumulate(self, batch: tuple[dict, dict, tf.Tensor], groups: list[ParameterGroup]):
        """Returns this replica's gradients of each group, sums of the logged quantities, and number of examples."""
        examples, steps = tf.size(batch[2]), self.objective.acc_steps
        context = tf.distribute.get_replica_context()
        all_examples = tf.cast(context.all_reduce(tf.distribute.ReduceOp.SUM, examples), tf.float32)
        if (
            steps == 1
        ):  # as published, the embeddings' gradients stay sparse: clipping counts each occurrence of a token
            return *self.group_gradients(*batch[:2], groups, all_examples, batch[2]), examples

        def add_micro_batch(step, totals):
            rows = slice(examples * step // steps, examples * (step + 1) // steps)
            inputs, targets, weights = tf.nest.map_structure(lambda tensor: tensor[rows], batch)
            parts = self.group_gradients(inputs, targets, groups, all_examples, weights)
            return step + 1, tf.nest.map_structure(_add, totals, parts)

        zeros = [[tf.zeros(v.shape, v.dtype) for v in group.variables] for group in groups]
        start = 0, (zeros, dict.fromkeys(self._summed, tf.zeros([])))
        loop = tf.while_loop(lambda step, _: step < steps, add_micro_batch, start, parallel_iterations=1)
        return *loop[1], examples

    def group_gradients(self, inputs, targets, groups: list[ParameterGroup], all_examples, sample_weight=None):
        """Returns the gradients of each group, and the sums of the logged quantities.

        Args:
            all_examples: number by which the sums of the losses are divided.
        """
        with tf.GradientTape(persistent=True) as tape:
            if self.is_adapler:
                tape.watch(self.bert.encoder.theta_probe)
            losses = self.losses_per_example(inputs, targets, sample_weight)
            means = {group.loss: tf.reduce_sum(losses[group.loss]) / all_examples for group in groups}
        gradients = [self._gradients_of(tape, means[group.loss], group) for group in groups]
        return gradients, {name: tf.reduce_sum(losses[name]) for name in self._summed}

    def losses_per_example(self, inputs, targets, sample_weight=None, training: bool = True) -> dict[str, tf.Tensor]:
        """Returns every loss, times the sample weight, and the share of tokens left, each [B]."""
        objective, weight = self.objective, 1.0 if sample_weight is None else sample_weight
        if not self.is_adapler:
            logits = self(inputs, training=training).logits
            return {"loss": weight * task_loss(targets["labels"], logits, objective.class_weights)}
        encoder, eta_scale = self.bert.encoder, 1.0 if training else self.eta_scale
        outputs = self(inputs, training=training, eta_scale=eta_scale)
        cross_entropy = task_loss(targets["labels"], outputs.logits, objective.class_weights)
        if objective.distillation and "teacher_logits" in targets:
            divergence = distillation_loss(targets["teacher_logits"], outputs.logits, objective.temperature)
            cross_entropy += objective.distillation * (divergence - cross_entropy)
        cross_entropy *= weight
        mask = attention_mask_of(inputs)
        tokens = length_loss(outputs.lengths)
        losses = {
            "loss": cross_entropy,
            "tokens_left": tokens / (len(encoder.layer) * tf.cast(tf.reduce_sum(mask, axis=-1), tf.float32)),
            "speed_loss": cross_entropy + objective.phi * weight * tokens,
        }
        if training and self._speed_target is not None:
            cost, bert_cost = self._speed_target.costs(outputs, mask, encoder.eta)
            penalty = self._speed_target.penalty(cost, bert_cost)
            losses |= {"flops": cost, "bert_flops": bert_cost, "speed_loss": cross_entropy + weight * penalty}
        if "saliency" in targets:
            eta, saliency = encoder.thresholds(eta_scale), targets["saliency"]
            losses["cp_loss"] = weight * contribution_loss(
                outputs.explanations, saliency, mask, eta, encoder.theta, encoder.removal_lambda
            )
            losses["main_loss"] = cross_entropy + objective.gamma * losses["cp_loss"]
        return losses

    def _gradients_of(self, tape: tf.GradientTape, loss: tf.Tensor, group: ParameterGroup) -> list[tf.Tensor]:
        """Returns gradients in the order of `group.variables`; theta's is taken at its probe (paper, section 3.2)."""
        if group.loss != "speed_loss":
            return tape.gradient(loss, group.variables)
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


def _add(total: tf.Tensor, part: tf.Tensor | tf.IndexedSlices) -> tf.Tensor:
    """Returns the sum, with the static shape that a loop needs."""
    return total + tf.ensure_shape(tf.convert_to_tensor(part), total.shape)


def attention_mask_of(inputs: Mapping[str, tf.Tensor]) -> tf.Tensor:
    """Returns the attention mask of named inputs, int32 [B, n]; ones if they have none."""
    mask = inputs.get("attention_mask")
    if mask is None:
        tokens = inputs.get("input_ids")
        mask = tf.ones(tf.shape(inputs["inputs_embeds"] if tokens is None else tokens)[:2])
    return tf.cast(mask, tf.int32)


def _by_name(inputs: Any) -> dict[str, tf.Tensor]:
    """Returns inputs as a dict; a tensor or a sequence has the order of the model's arguments."""
    if isinstance(inputs, Mapping):
        return dict(inputs)
    return dict(zip(("input_ids", "attention_mask", "token_type_ids"), tf.nest.flatten(inputs), strict=False))
