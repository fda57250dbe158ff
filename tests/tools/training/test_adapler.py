"""A run with a target: its losses, rates and choice of the epoch."""

from types import SimpleNamespace

import numpy as np
import pytest

from tests import tiny
from tools.common.errors import UserError
from tools.runtime.argument_parser import parse
from tools.runtime.arguments import STAGES
from tools.training.adapler import compile_model, make_target
from tools.training.callbacks import best_near_target

EXAMPLES = 20
LENGTHS = np.full(EXAMPLES, 9)


class Train:
    lengths = LENGTHS

    def __len__(self) -> int:
        return EXAMPLES


def compiled(flags: str):
    """A tiny model as stage 3 compiles it for 10 optimiser steps."""
    command_line = f"--TASK sst2 --BATCH_SIZE 4 --EPOCHS 2 --LEARNING_RATE 2e-4 --WARMUP_RATIO 0.2 {flags}".split()
    run = SimpleNamespace(
        arguments=parse(STAGES["train_adapler"], "", command_line), task=SimpleNamespace(class_weights=None)
    )
    model = tiny.make_model()
    compile_model(model, run, Train())
    return model


def highest_rates(model) -> list[float]:
    """Learning rates of BERT, the predictors and the thresholds at the end of warm-up, after two steps."""
    optimizers = model.optimizer, model.cp_optimizer, model.speedup_optimizer
    return [float(optimizer.learning_rate(2)) for optimizer in optimizers]


def test_rates_of_a_target_follow_from_the_number_of_steps():
    model = compiled("--TARGET_SPEEDUP 2")
    assert highest_rates(model) == pytest.approx([2e-4, 1e-3, 3 / 10])
    target = model.objective.speed_target
    assert (target.speedup, target.steps) == (2, 10)
    assert (model.objective.gamma, model.objective.phi, model.objective.clip_norm) == (0.05, 0, 1)
    assert (model.objective.distillation, model.objective.temperature) == (0.7, 2)


def test_given_rates_win_and_distillation_can_be_left_out():
    model = compiled("--TARGET_SPEEDUP 2 --GAMMA 0.3 --CP_LEARNING_RATE 4e-3 --SPEEDUP_LEARNING_RATE 5e-3 --NO_DISTILL")
    assert highest_rates(model) == pytest.approx([2e-4, 4e-3, 5e-3])
    assert model.objective.gamma == 0.3 and model.objective.distillation == 0


def test_without_a_target_the_rates_are_the_published_ones():
    model = compiled("--GAMMA 0.3 --PHI 0.2")
    assert model.cp_optimizer is None and float(model.speedup_optimizer.learning_rate(2)) == pytest.approx(5e-4)
    assert model.objective.speed_target is None and model.objective.distillation == 0
    assert (model.objective.gamma, model.objective.phi) == (0.3, 0.2)
    assert compiled("--GAMMA 0.3 --PHI 0.2 --DISTILL").objective.distillation == 0.7


def test_to_distill_and_not_to_is_refused(capsys):
    with pytest.raises(SystemExit, match="2"):
        compiled("--TARGET_SPEEDUP 2 --DISTILL --NO_DISTILL")
    assert "exclude one another" in capsys.readouterr().err


def test_an_unreachable_target_is_refused_with_the_bound():
    with pytest.raises(UserError, match="--TARGET_SPEEDUP 50 is out of reach"):
        make_target(50, tiny.config(), 10, LENGTHS)


def epoch(number: int, score: float, speedup: float) -> dict:
    return {"epoch": number, "validation": {"accuracy": score, "speedup": speedup}}


def test_the_best_epoch_near_the_target_is_chosen_or_else_the_nearest():
    choose = best_near_target("accuracy", 3.0)
    assert choose([epoch(1, 0.99, 2.5), epoch(2, 0.90, 2.95), epoch(3, 0.91, 3.05)]) == 3
    assert choose([epoch(1, 0.99, 2.0), epoch(2, 0.80, 2.7)]) == 2
    assert choose([]) is None
