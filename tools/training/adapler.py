"""The model of stage 3, its losses and its optimisers."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from models import TFAdapLeRForSequenceClassification
from models.adapler_encoder import ETA_MAX, ETA_MIN
from models.objective import Objective, adam
from models.speed_target import SpeedTarget
from tools.common.errors import UserError
from tools.data.examples import Examples
from tools.flops import adapler_flops, bert_flops
from tools.flops.formulas import largest_speedup
from tools.runtime.arguments import (
    PUBLISHED_THRESHOLD_RATE,
    TARGET_GAMMA,
    TARGET_PREDICTOR_RATE,
    THRESHOLD_DISTANCE,
)
from tools.runtime.checkpoints import load_backbone, load_weights
from tools.runtime.run import Run
from tools.training.fit import step_counts

DISTILLATION = 0.7
"""Weight of the fine-tuned model's logits in the task loss."""


def make_model(run: Run) -> TFAdapLeRForSequenceClassification:
    """The pretrained backbone (or --INITIAL_MODEL_PATH), converted; attention dropout is off, as published."""
    eta_init, weights = run.arguments.eta_init, run.arguments.initial_model_path
    if not ETA_MIN <= eta_init <= ETA_MAX:
        raise UserError(f"--ETA_INIT {eta_init} is not between {ETA_MIN} and {ETA_MAX}, where eta is kept")
    model = load_backbone(run.backbone, run.task, run.max_length, attention_probs_dropout_prob=0.0)
    if weights:
        load_weights(model, weights)
    model.to_AdapLeR()
    model.bert.encoder.eta.assign(tf.fill(model.bert.encoder.eta.shape, eta_init))
    return model


def compile_model(model: TFAdapLeRForSequenceClassification, run: Run, train: Examples) -> None:
    """The two groups of parameters with their losses and optimisers (paper, section 3.2).

    With a target speedup, the rate of the thresholds follows from the number of steps, because Adam moves each by at
    most its rate a step and eta has to travel from one end of its range to the other. The predictors' weights have no
    such distance: their rate is a constant.
    """
    arguments = run.arguments
    schedule = *step_counts(arguments, len(train)), 1e-12
    steps, target = schedule[0], arguments.target_speedup
    threshold_rate, predictor_rate = arguments.speedup_learning_rate, arguments.cp_learning_rate
    if target is not None:
        threshold_rate = threshold_rate or THRESHOLD_DISTANCE * 2 / steps
        predictor_rate = predictor_rate or TARGET_PREDICTOR_RATE
    predictor_optimizer = None
    if predictor_rate is not None:
        predictor_optimizer = adam(predictor_rate, *schedule, weight_decay=0.01)
    objective = Objective(
        TARGET_GAMMA if arguments.gamma is None else arguments.gamma,
        arguments.phi or 0.0,
        run.task.class_weights,
        arguments.acc_steps,
        clip_norm=1.0,
        speed_target=None if target is None else make_target(target, model.config, steps, train.lengths),
        distillation=DISTILLATION if arguments.distills else 0.0,
    )
    model.compile(
        adam(arguments.learning_rate, *schedule, weight_decay=0.01),
        objective=objective,
        cp_optimizer=predictor_optimizer,
        speedup_optimizer=adam(threshold_rate or PUBLISHED_THRESHOLD_RATE, *schedule),
    )


def make_target(speedup: float, config, steps: int, lengths: np.ndarray) -> SpeedTarget:
    """The target of a run on training examples of these lengths.

    Raises:
        UserError: no removal can reach it.
    """
    bound = largest_speedup(config, lengths)
    if speedup >= bound:
        raise UserError(
            f"--TARGET_SPEEDUP {speedup} is out of reach: with every token dropped before the first layer, these "
            f"training examples need {bound:.2f} times fewer FLOPs"
        )

    def flops(tokens: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return adapler_flops(config, tokens), bert_flops(config, tokens[..., 0])

    return SpeedTarget(speedup, steps, flops, float(bert_flops(config, lengths).mean()))
