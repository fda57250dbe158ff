"""Which words of a text each layer still runs on, with scores and places in the text."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import tensorflow as tf
from transformers import PreTrainedTokenizerBase


def trace(model, tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], max_length: int) -> dict:
    """Runs lr_mode on one example and follows its words.

    Args:
        texts: one text, or two of a pair.

    Returns:
        texts; label, score (its probability, or a regression's value); lengths, the tokens (word pieces and special
        ones) of the input and of each layer; and words, each with its text, place (`text` 0 or 1, `start` and `end` in
        characters), `alive` (by layer: whether a piece of it is left) and `contributions` (by layer: the largest of its
        pieces, 0 after it was dropped).
    """
    encoded = tokenizer(*texts, truncation=True, max_length=max_length, return_offsets_mapping=True)
    offsets = encoded.pop("offset_mapping")
    outputs = model({name: tf.constant([values], tf.int32) for name, values in encoded.items()}, lr_mode=True)
    (kept,), (contributions,) = trace_tokens(outputs)
    tokens_by_word = defaultdict(list)
    for token, word in enumerate(zip(encoded.sequence_ids(0), encoded.word_ids(0), strict=True)):
        if word[0] is not None:
            tokens_by_word[word].append(token)
    words = []
    for (text, _), tokens in tokens_by_word.items():
        start, end = offsets[tokens[0]][0], offsets[tokens[-1]][1]
        words.append({"word": texts[text][start:end], "text": text, "start": start, "end": end})
        words[-1]["alive"] = kept[:, tokens].any(axis=1).tolist()
        words[-1]["contributions"] = contributions[:, tokens].max(axis=1).round(6).tolist()
    logits = outputs.logits[0].numpy()
    best = int(logits.argmax())
    return {
        "texts": list(texts),
        "label": model.config.id2label[best],
        "score": float(logits[0] if len(logits) == 1 else tf.nn.softmax(logits)[best]),
        "lengths": [len(offsets), *(int(length[0]) for length in outputs.lengths)],
        "words": words,
    }


def trace_tokens(outputs) -> tuple[np.ndarray, np.ndarray]:
    """Follows the tokens of a right-padded batch through lr_mode.

    Returns:
        whether each layer ran on each token, bool [B, L, n]; and the token's contribution in each layer that it
        entered, elsewhere 0, float [B, L, n].
    """
    entering = tf.ragged.range(outputs.explanations[0].row_lengths())
    batch, tokens = entering.bounding_shape().numpy()
    kept = np.zeros((batch, len(outputs.lengths), tokens), bool)
    contributions = np.zeros(kept.shape)
    for layer, (shares, positions) in enumerate(zip(outputs.explanations, outputs.kept_positions, strict=True)):
        contributions[entering.value_rowids(), layer, entering.values] = shares.values
        kept[positions.value_rowids(), layer, positions.values] = True
        entering = positions
    return kept, contributions
