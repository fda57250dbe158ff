"""AdapLeR's equations once more, in float64 NumPy and plain loops, written from the paper and not from models/."""

import math

import numpy as np
from scipy.special import erf

BETA = 0.1


def gelu(x):
    return 0.5 * x * (1 + erf(x / math.sqrt(2)))


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def layer_norm(x, weights, prefix):
    mean, variance = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
    return (x - mean) / np.sqrt(variance + 1e-12) * weights[f"{prefix}/gamma:0"] + weights[f"{prefix}/beta:0"]


def dense(x, weights, prefix):
    return x @ weights[f"{prefix}/kernel:0"] + weights[f"{prefix}/bias:0"]


def contributions(scores, alive):
    """One example: p = softmax over all positions, times the mask with [CLS] at 1, renormalised."""
    mask = alive.copy()
    mask[0] = 1
    shares = softmax(scores) * mask
    return shares / (shares.sum() + 1e-15)


def weigh_cls(shares, weight):
    shares = shares.copy()
    shares[0] *= max(0.001, weight)
    return shares / shares.sum()


def removal(share, delta, slope):
    """r of one token (before the running mask multiplies it)."""
    if delta == 0:
        return min(0.0, (share - 1) * (BETA / slope) / (1 + 1e-7))
    steep = slope / delta * (share - delta) - BETA / slope
    flat = (share - 1) * (BETA / slope) / (1 - delta + 1e-7)
    return max(-10000.0, min(0.0, steep, flat))


def fade(alive, shares, delta, slope):
    """A and r after one soft removal."""
    r = np.array([removal(s, delta, slope) * a for s, a in zip(shares, alive, strict=True)])
    return np.array([a * (math.exp(x) if a > 1e-6 else 1) for a, x in zip(alive, r, strict=True)]), r


def bert_layer(h, additive, weights, index, heads):
    p = f"bert/encoder/layer_._{index}"
    n, width = h.shape
    q, k, v = (
        dense(h, weights, f"{p}/attention/self/{name}").reshape(n, heads, -1) for name in ("query", "key", "value")
    )
    context = np.zeros((n, heads, width // heads))
    for head in range(heads):
        scores = q[:, head] @ k[:, head].T / math.sqrt(width // heads) + additive
        context[:, head] = softmax(scores) @ v[:, head]
    attended = dense(context.reshape(n, width), weights, f"{p}/attention/output/dense")
    h = layer_norm(attended + h, weights, f"{p}/attention/output/LayerNorm")
    inner = gelu(dense(h, weights, f"{p}/intermediate/dense"))
    return layer_norm(dense(inner, weights, f"{p}/output/dense") + h, weights, f"{p}/output/LayerNorm")


def scores_of(h, weights, index):
    p = f"bert/encoder/contribution_predictor_._{index}"
    return dense(gelu(dense(h, weights, f"{p}/hidden")), weights, f"{p}/score")[:, 0]


def classify(h, weights):
    pooled = np.tanh(dense(h[0], weights, "bert/pooler/dense"))
    return dense(pooled, weights, "classifier")


def embed(ids, weights):
    p = "bert/embeddings"
    total = weights[f"{p}/word_embeddings/weight:0"][ids] + weights[f"{p}/position_embeddings/embeddings:0"][: len(ids)]
    return layer_norm(total + weights[f"{p}/token_type_embeddings/embeddings:0"][0], weights, f"{p}/LayerNorm")


def run_soft(ids, mask, weights, eta, probe, slope, heads):
    """One padded example -> logits, explanations [L, n], lengths [L]."""
    h, alive = embed(ids, weights), mask.astype(float)
    alive[0] = 0
    additive = (1.0 - mask) * -10000.0
    explanations, lengths = [], []
    for layer in range(len(eta)):
        shares = contributions(scores_of(h, weights, layer), alive)
        weighed = weigh_cls(shares, probe[layer - 1] if layer else 1.0)
        alive, r = fade(alive, weighed, eta[layer] / (alive.sum() + 1), slope)
        additive = np.maximum(-10000.0, additive + r)
        h = bert_layer(h, additive, weights, layer, heads)
        explanations.append(shares)
        lengths.append(alive.sum() + 1)
    return classify(h, weights), np.array(explanations), np.array(lengths)


def run_hard(ids, weights, eta, probe, heads):
    """One unpadded example -> logits, kept positions of each layer."""
    h, positions, kept = embed(ids, weights), np.arange(len(ids)), []
    for layer in range(len(eta)):
        shares = contributions(scores_of(h, weights, layer), np.ones(len(h)))
        weighed = weigh_cls(shares, probe[layer - 1] if layer else 1.0)
        stay = [j for j in range(len(h)) if j == 0 or weighed[j] >= eta[layer] / len(h)]
        h, positions = h[stay], positions[stay]
        h = bert_layer(h, 0.0, weights, layer, heads)
        kept.append(positions.tolist())
    return classify(h, weights), kept


def contribution_loss(explanations, saliency, mask, eta, theta, slope):
    """L_CP of one example: sum over l of (L - l) * KL_l * f_l."""
    if saliency.sum() == 0:
        return 0.0
    layers, m, total = len(explanations), mask.astype(float), 0.0
    for layer, predicted in enumerate(explanations):
        target = saliency * m
        target = weigh_cls(target / target.sum(), theta[layer - 1] if layer else 1.0)
        t, s = np.clip(target, 1e-7, 1), np.clip(predicted, 1e-7, 1)
        others = m[1:].max() if len(m) > 1 else 0.0
        total += (layers - layer) * (t * np.log(t / s)).sum() * others
        m, _ = fade(m, predicted, eta[layer] / m.sum(), slope)
        m[0] = 1
    return total
