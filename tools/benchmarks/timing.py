"""Interleaved timing: variants take turns, so that a busy moment of the machine hits all of them alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm


@dataclass(frozen=True)
class Timing:
    """Seconds of every call: float64 [rounds, calls]."""

    seconds: np.ndarray

    @property
    def total(self) -> float:
        """Median over the rounds of a round's seconds."""
        return float(np.median(self.seconds.sum(axis=1)))

    def latency(self, percentile: float) -> float:
        """Percentile of all calls' seconds."""
        return float(np.percentile(self.seconds, percentile))

    def ratio(self, other: Timing) -> tuple[float, float, float]:
        """How many times longer `other` took, round by round: median, lowest and highest."""
        ratios = other.seconds.sum(axis=1) / self.seconds.sum(axis=1)
        return float(np.median(ratios)), float(ratios.min()), float(ratios.max())


LEAST_ROUNDS = 3


def time_interleaved(
    variants: dict[str, Callable], inputs: Sequence, rounds: int, desc: str, budget: float = float("inf")
) -> dict[str, Timing]:
    """Calls every variant on every input, in turns, after one round that is not counted.

    Args:
        variants: name -> function of one input that returns when its work is done.
        budget: seconds after which no round begins, once there are three.
    """
    seconds = {name: np.zeros((rounds, len(inputs))) for name in variants}
    names, done, begun = list(variants), 0, 0.0
    for round_ in tqdm(range(-1, rounds), desc=desc, leave=False):
        if round_ == 0:
            begun = time.perf_counter()
        if round_ >= LEAST_ROUNDS and time.perf_counter() - begun > budget:
            break
        done = round_ + 1
        for number, one in enumerate(inputs):
            for turn in range(len(names)):
                name = names[(turn + number + round_) % len(names)]
                start = time.perf_counter()
                variants[name](one)
                if round_ >= 0:
                    seconds[name][round_, number] = time.perf_counter() - start
    return {name: Timing(times[:done]) for name, times in seconds.items()}
