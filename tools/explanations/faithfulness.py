"""ERASER's comprehensiveness and sufficiency: what the prediction loses without the chosen words, and on them alone."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from tools.data.examples import INPUTS_SPEC, Examples
from tools.runtime.devices import compiled


def erasure(bert, examples: Examples, chosen: list[np.ndarray], labels: list[int], batch_size: int) -> dict[str, list]:
    """Probabilities of the predicted label after words were taken out of the input (the tokens, not their embeddings).

    Args:
        bert: the fine-tuned plain model.
        chosen: of each example, bool [n] over its tokens; [CLS] and [SEP] always stay.
        labels: of each example, the label that BERT predicts on the whole of it.

    Returns:
        `without` the chosen tokens and `alone`, a probability an example.
    """
    special = [row < 0 for row in (np.array(word) for word in examples.word.to_list())]
    parts = {"without": [~mask | kept for mask, kept in zip(chosen, special, strict=True)]}
    parts["alone"] = [mask | kept for mask, kept in zip(chosen, special, strict=True)]
    compute = _probabilities(bert)
    return {name: _predict(compute, examples, masks, labels, batch_size, name) for name, masks in parts.items()}


def _predict(compute, examples: Examples, masks: list, labels: list[int], batch_size: int, desc: str) -> list[float]:
    keep = tf.ragged.constant([mask.tolist() for mask in masks], ragged_rank=1)
    shorter = examples.replace_tokens(
        tf.ragged.boolean_mask(examples.input_ids, keep), tf.ragged.boolean_mask(examples.token_type_ids, keep)
    )
    found: list[float] = []
    with tqdm(total=len(examples), desc=desc, unit="example", leave=False) as bar:
        for inputs, _ in shorter.batches(batch_size):
            probabilities = compute(inputs).numpy()
            own = labels[len(found) : len(found) + len(probabilities)]
            found += probabilities[np.arange(len(own)), own].tolist()
            bar.update(len(own))
    return found


def _probabilities(bert):
    @compiled(bert, [INPUTS_SPEC])
    def compute(inputs):
        return tf.nn.softmax(bert(inputs, training=False).logits)

    return compute
