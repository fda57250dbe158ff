"""Peak memory of inference, each variant in a process of its own."""

from __future__ import annotations

import multiprocessing
import re
from pathlib import Path

import numpy as np
from transformers import BertConfig


def peak_memory(batch_size: int, length: int) -> dict:
    """Peak resident memory, in MB, of running one full batch on a model of BERT-base's size.

    Returns:
        batch_size and length, and MB of building the model alone, of plain BERT, and of lr_mode at forced FLOPs
        speedups of 1 (nothing dropped) and 3.
    """
    runs = {
        "model alone": (None, 1),
        "BERT": ("plain_bert", 1),
        "lr_mode 1x": ("lr_mode", 1),
        "lr_mode 3x": ("lr_mode", 3),
    }
    context = multiprocessing.get_context("spawn")
    megabytes = {}
    for name, (variant, speedup) in runs.items():
        with context.Pool(1) as pool:
            megabytes[name] = pool.apply(_peak, (variant, speedup, batch_size, length))
    return {"batch_size": batch_size, "length": length, "megabytes": megabytes}


def _peak(variant: str | None, speedup: float, batch_size: int, length: int) -> float:
    import tensorflow as tf

    from tools.benchmarks import variants as inference_variants
    from tools.benchmarks.forced_schedule import ForcedSchedule

    forced = ForcedSchedule(BertConfig())
    if variant:
        forced.aim_at(speedup, np.full(batch_size, length))
        ids = np.random.default_rng(0).integers(1000, 30000, (batch_size, length))
        arrays = {"input_ids": ids, "token_type_ids": 0 * ids, "attention_mask": np.ones_like(ids)}
        inputs = {name: tf.constant(values, tf.int32) for name, values in arrays.items()}
        getattr(inference_variants, variant)(forced.model).run(inputs)
    return megabytes_at_peak()


def megabytes_at_peak() -> float:
    """Most resident memory that this process had since it began its program; getrusage counts its parent's as well."""
    return int(re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[1]) / 1024
