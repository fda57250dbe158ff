"""FLOPs of BERT and AdapLeR as named terms of any BERT config.

Counted, as in the published constants for BERT-base (which these terms reproduce): 2 FLOPs per multiply-add of every
matrix product; one per bias added; 5 per softmax element, one for scaling it and one for its mask; 3 per gelu element
(erf itself is free, other activations count 1); 8 per LayerNorm element and 2 per LayerNorm. Not counted, though
TensorFlow 2.21's profiler does: the residual additions, the additions inside embeddings and LayerNorms, gelu's
negation, and the tiny constant that transformers adds before a softmax; together 0.04 to 0.08 % for BERT-base, growing
with the input.

Lengths are numbers of real tokens; arrays of any shape [...] are counted at once.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from models.contribution_predictor import WIDTH as PREDICTOR_WIDTH

REMOVAL_OPERATIONS = 13
"""Elementwise operations per token from a predictor's raw score to the decision: softmax and its mask, [CLS]'s weight,
two normalisations, the comparison."""
MASK_OPERATIONS = 2
"""Per input token: the attention mask made additive."""
RUNNING_MASK_OPERATIONS = 4
"""Per input token: AdapLeR's mask over removable tokens and its first length."""


def embedding_flops(config: Any, tokens: np.ndarray) -> np.ndarray:
    """LayerNorm of the embeddings and the additive attention mask; the look-ups are free."""
    return (_layer_norm(config) + MASK_OPERATIONS) * tokens


def layer_terms(config: Any, tokens: np.ndarray) -> dict[str, np.ndarray]:
    """One encoder layer on `tokens` tokens: term -> FLOPs."""
    width, inner, heads = config.hidden_size, config.intermediate_size, config.num_attention_heads
    return {
        "projections": (8 * width**2 + 4 * width) * tokens,
        "attention scores": 4 * width * tokens**2,
        "softmax": 7 * heads * tokens**2,
        "feed-forward": (4 * width * inner + inner + width) * tokens,
        "activations": _activation(config) * inner * tokens,
        "LayerNorms": 2 * _layer_norm(config) * tokens,
    }


def head_terms(config: Any) -> dict[str, float]:
    """Pooler and classifier, which see [CLS] only."""
    width, labels = config.hidden_size, config.num_labels
    return {"pooler": 2 * width**2 + width, "classifier": (2 * width + 1) * labels}


def predictor_flops(config: Any, tokens: np.ndarray) -> np.ndarray:
    """A Contribution Predictor and the removal decision, on the tokens that enter the layer."""
    dense = 2 * config.hidden_size * PREDICTOR_WIDTH + PREDICTOR_WIDTH + 2 * PREDICTOR_WIDTH + 1
    return (dense + _activation(config) * PREDICTOR_WIDTH + REMOVAL_OPERATIONS) * tokens


def bert_terms(config: Any, n: np.ndarray | int) -> dict[str, np.ndarray]:
    """Plain BERT for sequence classification on n tokens: term -> FLOPs, summed over layers."""
    tokens = _as_tokens(n)
    layer = layer_terms(config, tokens)
    return {
        "embeddings": embedding_flops(config, tokens),
        **{name: config.num_hidden_layers * flops for name, flops in layer.items()},
        **{name: flops + 0 * tokens for name, flops in head_terms(config).items()},
    }


def adapler_terms(config: Any, lengths: np.ndarray) -> dict[str, np.ndarray]:
    """AdapLeR: term -> FLOPs, summed over layers.

    Args:
        lengths: [..., L+1]: the input's length, then the tokens that each layer ran on. A predictor runs on what
            enters its layer, that is the length before the drop.

    Raises:
        ValueError: the last axis does not have L+1 entries.
    """
    tokens = _as_tokens(lengths)
    layers = config.num_hidden_layers
    if len(tokens.shape) == 0 or tokens.shape[-1] != layers + 1:
        raise ValueError(
            f"lengths of shape {tokens.shape}: the last axis needs {layers + 1} entries, the input's length and one "
            f"for each of {layers} layers"
        )
    entered, ran_on = tokens[..., :-1], tokens[..., 1:]
    return {
        "embeddings": embedding_flops(config, tokens[..., 0]) + RUNNING_MASK_OPERATIONS * tokens[..., 0],
        **{name: _over_layers(flops) for name, flops in layer_terms(config, ran_on).items()},
        "contribution predictors": _over_layers(predictor_flops(config, entered)),
        **{name: flops + 0 * tokens[..., 0] for name, flops in head_terms(config).items()},
    }


def bert_flops(config: Any, n: np.ndarray | int) -> np.ndarray:
    """FLOPs of plain BERT on n tokens, float64 of n's shape."""
    return sum(bert_terms(config, n).values())


def adapler_flops(config: Any, lengths: np.ndarray) -> np.ndarray:
    """FLOPs of AdapLeR; [..., L+1] lengths as in `adapler_terms` -> float64 [...]."""
    return sum(adapler_terms(config, lengths).values())


def largest_speedup(config: Any, n: np.ndarray) -> float:
    """FLOPs speedup over inputs of n tokens, [N], if the first layer's predictor drops everything but [CLS]."""
    lengths = np.ones([len(n), config.num_hidden_layers + 1])
    lengths[:, 0] = n
    return float(bert_flops(config, n).sum() / adapler_flops(config, lengths).sum())


def published_bert_flops(n: np.ndarray, labels: int) -> np.ndarray:
    """The published closed form for BERT-base."""
    n = np.asarray(n, np.float64)
    return 37872 * n**2 + 170216500 * n + 1183490 + 1537 * (labels - 1)


def published_adapler_flops(lengths: np.ndarray, labels: int) -> np.ndarray:
    """The published closed form for BERT-base with 12 predictors; [..., 12] tokens per layer -> [...]."""
    lengths = np.asarray(lengths, np.float64)
    layers = (3156 * lengths**2 + 14233554 * lengths).sum(axis=-1)
    return 1183537 + 1537 * (labels - 1) + 6152 * lengths[..., 0] + layers


def _as_tokens(tokens: Any) -> Any:
    """float64 array; a TensorFlow tensor stays one, so that FLOPs can be differentiated in the lengths."""
    return tokens if tf.is_tensor(tokens) else np.asarray(tokens, np.float64)


def _over_layers(flops: Any) -> Any:
    """[..., L] -> [...]."""
    return sum(flops[..., layer] for layer in range(flops.shape[-1]))


def _activation(config: Any) -> int:
    """FLOPs per element of the activation function."""
    return 3 if str(config.hidden_act).startswith("gelu") else 1


def _layer_norm(config: Any) -> int:
    """FLOPs of one token's LayerNorm."""
    return 8 * config.hidden_size + 2
