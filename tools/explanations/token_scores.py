"""What each method finds important: scores of tokens, and for AdapLeR also which it keeps."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from tools.data.examples import INPUTS_SPEC, Examples
from tools.explanations.attentions import mean_attentions, rollout
from tools.explanations.saliencies import gradient_x_input
from tools.explanations.token_traces import by_token
from tools.runtime.devices import compiled

METHODS = ("AdapLeR", "saliency", "attention, last layer", "attention, mean", "rollout", "random")


@dataclass
class Scored:
    """One example.

    Attributes:
        scores: method -> score of each token, float [n].
        kept: tokens that AdapLeR's layers ran on, bool [L, n].
        label: what the fine-tuned BERT predicts.
        probability: its probability.
    """

    kept: np.ndarray
    label: int
    probability: float
    scores: dict[str, np.ndarray] = field(default_factory=dict)


def score_examples(adapler, bert, examples: Examples, batch_size: int) -> list[Scored]:
    """Every method on every example, in order.

    AdapLeR's score of a token is its contribution summed over the layers that it entered. Saliency is that of BERT's
    predicted label; attention is [CLS]'s row: of the last layer, of the mean over layers, of the rollout.

    Args:
        adapler: a converted model.
        bert: the fine-tuned plain model.
    """
    explain, rng, found = _explainer(bert), np.random.default_rng(0), []
    with tqdm(total=len(examples), desc="scoring tokens", unit="example", leave=False) as bar:
        for inputs, _ in examples.batches(batch_size):
            reduced = adapler(inputs, lr_mode=True)
            explained = {name: tensor.numpy() for name, tensor in explain(inputs).items()}
            for row, length in enumerate(inputs["attention_mask"].numpy().sum(axis=1)):
                found.append(_one(reduced, explained, row, int(length), rng))
            bar.update(len(explained["label"]))
    return found


def _explainer(bert):
    """Compiled: inputs -> what plain BERT alone tells."""

    @compiled(bert, [INPUTS_SPEC])
    def explain(inputs):
        probabilities = tf.nn.softmax(bert(inputs, training=False).logits)
        label = tf.argmax(probabilities, axis=-1, output_type=tf.int32)
        attentions = mean_attentions(bert, inputs)
        return {
            "label": label,
            "probability": tf.reduce_max(probabilities, axis=-1),
            "saliency": gradient_x_input(bert, inputs, label),
            "attention, last layer": attentions[:, -1, 0],
            "attention, mean": tf.reduce_mean(attentions[:, :, 0], axis=1),
            "rollout": rollout(attentions)[:, -1, 0],
        }

    return explain


def _one(reduced, explained: dict, row: int, length: int, rng: np.random.Generator) -> Scored:
    scores = {method: explained[method][row, :length] for method in METHODS if method in explained}
    scores["random"] = rng.random(length)
    alive, contributions = by_token(reduced, row, length)
    scores["AdapLeR"] = contributions.sum(axis=1)
    return Scored(alive.T, int(explained["label"][row]), float(explained["probability"][row]), scores)
