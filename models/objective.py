"""Weights of the losses, and the optimiser that they are trained with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from transformers import AdamWeightDecay, create_optimizer

from models.speed_target import SpeedTarget


def adam(
    learning_rate: float, steps: int, warmup_steps: int, epsilon: float, weight_decay: float = 0.0
) -> AdamWeightDecay:
    """Returns Adam with linear warm-up from 0, linear decay to 0, and no weight decay of LayerNorm and biases.

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
    """Weights of the losses, and settings of the update.

    Attributes:
        gamma: weight of the Contribution Predictors' loss (paper, equation 7).
        phi: weight of the length loss (paper, equation 8).
        class_weights: one factor per label, or None.
        acc_steps: micro-batches into which a batch is split to save memory; the update is that of the whole batch
            unless it is clipped.
        clip_norm: largest global norm of a group's gradient, or None. With one micro-batch the norm counts each
            occurrence of a token by itself, as published, and position embeddings once per device; with several
            it is that of the summed gradients.
        speed_target: a FLOPs speedup to train for, in place of phi; converted models only.
        distillation: weight of the divergence from `teacher_logits` in the targets; the task loss has the rest.
        temperature: of the distillation.
    """

    gamma: float = 0.0
    phi: float = 0.0
    class_weights: Sequence[float] | None = None
    acc_steps: int = 1
    clip_norm: float | None = None
    speed_target: SpeedTarget | None = None
    distillation: float = 0.0
    temperature: float = 2.0
