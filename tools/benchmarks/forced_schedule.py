"""A model that drops tokens by a schedule instead of by their content, to time shapes that no training has given."""

from __future__ import annotations

import multiprocessing

import numpy as np
import tensorflow as tf
import tf_keras as keras
from scipy.optimize import brentq
from transformers import BertConfig

from models import TFAdapLeRForSequenceClassification
from tools.benchmarks.memory import megabytes_at_peak
from tools.benchmarks.variants import make_variants
from tools.flops.formulas import adapler_flops, bert_flops
from tools.results.benchmark_tables import BASELINE, COMPILED

REMOVED = -50.0
"""Score of a dropped token: its contribution is 0 in float32."""


class ForcedPredictor(keras.layers.Layer):
    """Computes what a Contribution Predictor computes, but keeps a random, fixed part of the tokens."""

    def __init__(self, predictor: keras.layers.Layer, kept_share: tf.Variable, seed: int):
        super().__init__()
        self.predictor, self.kept_share, self.seed = predictor, kept_share, seed

    def call(self, hidden_states: tf.Tensor) -> tf.Tensor:
        scores = self.predictor(hidden_states)
        draws = tf.random.stateless_uniform(tf.shape(scores), [self.seed, 0])
        return tf.where(draws < self.kept_share, 0.0, REMOVED) + 1e-6 * tf.tanh(scores)


class ForcedSchedule:
    """A converted model of random weights in which each layer keeps about the same share of its tokens."""

    def __init__(self, config: BertConfig):
        self.model = TFAdapLeRForSequenceClassification(config)
        self.model.build_in_name_scope()
        self.model.to_AdapLeR()
        self.kept_share = tf.Variable(1.0)
        encoder = self.model.bert.encoder
        predictors = enumerate(encoder.contribution_predictors)
        encoder.contribution_predictors = [ForcedPredictor(layer, self.kept_share, seed) for seed, layer in predictors]
        encoder.eta.assign(tf.fill([config.num_hidden_layers], 0.5))

    def set_speedup(self, speedup: float, lengths: np.ndarray) -> None:
        """Sets the share so that inputs of these lengths, [B], take BERT's FLOPs / `speedup`; 1 keeps all."""
        config = self.model.config

        def excess(share: float) -> float:
            tokens = np.maximum(lengths[:, np.newaxis] * share ** np.arange(config.num_hidden_layers + 1), 1)
            return bert_flops(config, lengths).sum() / adapler_flops(config, tokens).sum() - speedup

        self.kept_share.assign(brentq(excess, 0.0, 1.0) if speedup > 1 else 1.0)


def random_batch(lengths: np.ndarray, rng: np.random.Generator) -> dict[str, tf.Tensor]:
    """Inputs of random token ids, padded to the longest of `lengths`, [B]."""
    ids = tf.constant(rng.integers(1000, 30000, (len(lengths), lengths.max())), tf.int32)
    mask = tf.sequence_mask(lengths, dtype=tf.int32)
    return {"input_ids": ids * mask, "token_type_ids": tf.zeros_like(ids), "attention_mask": mask}


def peak_memory(batch_size: int, length: int) -> dict:
    """Peak resident memory, in MB, of one full batch on a model of BERT-base's size; each run has its own process.

    Returns:
        batch_size, length, and megabytes: of building the model alone, of plain BERT, and of lr_mode at forced FLOPs
        speedups of 1 (nothing dropped) and 3.
    """
    runs = {"model alone": (None, 1), "BERT": (BASELINE, 1), "lr_mode 1x": (COMPILED, 1), "lr_mode 3x": (COMPILED, 3)}
    megabytes = {}
    for name, (variant, speedup) in runs.items():
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            megabytes[name] = pool.apply(_peak, (variant, speedup, np.full(batch_size, length)))
    return {"batch_size": batch_size, "length": length, "megabytes": megabytes}


def _peak(variant: str | None, speedup: float, lengths: np.ndarray) -> float:
    forced = ForcedSchedule(BertConfig())
    if variant:
        forced.set_speedup(speedup, lengths)
        make_variants(forced.model)[variant].run(random_batch(lengths, np.random.default_rng(0)))
    return megabytes_at_peak()
