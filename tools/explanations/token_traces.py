"""Which words of a text each layer still runs on, with scores and places in the text."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
import tensorflow as tf
from transformers import PreTrainedTokenizerBase

from tools.flops.formulas import adapler_flops, bert_flops


def trace(model, tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], max_length: int) -> dict:
    """The trace of one example (see `traces`): one text, or two of a pair."""
    (only,) = traces(model, tokenizer, [texts], max_length)
    return only


def traces(
    model,
    tokenizer: PreTrainedTokenizerBase,
    examples: Sequence[Sequence[str]],
    max_length: int,
    eta_scale: float | None = None,
) -> list[dict]:
    """Runs lr_mode on a batch of examples and follows their words.

    Args:
        examples: one text each, or two of a pair.
        eta_scale: factor on the thresholds (default: the config's).

    Returns:
        For each example: texts; cut (whether it is longer than max_length, so that its end is not read); label; score
        (its probability, or a regression's value); speedup (FLOPs of plain BERT over those that ran); lengths, the
        tokens (word pieces and special ones) of the input and of each layer; and words, each with its text, place
        (`text` 0 or 1, `start` and `end` in characters), `alive` (by layer: whether a piece of it is left) and
        `contributions` (by layer: the largest of its pieces, 0 after it was dropped).
    """
    columns = [list(column) for column in zip(*examples, strict=True)]
    limits = {"truncation": True, "max_length": max_length, "padding": True, "padding_side": "right"}
    limits |= {"return_offsets_mapping": True, "return_token_type_ids": True}
    encoded = tokenizer(*columns, **limits)
    offsets = encoded.pop("offset_mapping")
    inputs = {name: tf.constant(values, tf.int32) for name, values in encoded.items()}
    outputs = model(inputs, lr_mode=True, eta_scale=eta_scale)
    kept, contributions = trace_tokens(outputs)
    tokens = tf.reduce_sum(inputs["attention_mask"], axis=1)
    lengths = np.stack([tokens, *outputs.lengths], axis=1).astype(float)
    speedups = bert_flops(model.config, lengths[:, 0]) / adapler_flops(model.config, lengths)
    logits = outputs.logits.numpy()
    scores = logits if logits.shape[1] == 1 else tf.nn.softmax(logits).numpy()
    rows = []
    for row, texts in enumerate(examples):
        best = int(logits[row].argmax())
        places = zip(encoded.sequence_ids(row), encoded.word_ids(row), offsets[row], strict=True)
        rows.append({"texts": list(texts), "cut": bool(encoded.encodings[row].overflowing)})
        rows[-1] |= {"label": model.config.id2label[best], "score": float(scores[row, best])}
        rows[-1] |= {"speedup": float(speedups[row]), "lengths": lengths[row].astype(int).tolist()}
        rows[-1]["words"] = _words(texts, places, kept[row], contributions[row])
    return rows


def _words(texts: Sequence[str], places: Iterable[tuple], kept: np.ndarray, contributions: np.ndarray) -> list[dict]:
    """The words of an example, from its tokens' (text, word in it, (start, end)) and traces, [L, n] each."""
    tokens_by_word, offsets = defaultdict(list), []
    for token, (text, word, offset) in enumerate(places):
        offsets.append(offset)
        if text is not None:
            tokens_by_word[text, word].append(token)
    words = []
    for (text, _), tokens in tokens_by_word.items():
        start, end = offsets[tokens[0]][0], offsets[tokens[-1]][1]
        words.append({"word": texts[text][start:end], "text": text, "start": start, "end": end})
        words[-1]["alive"] = kept[:, tokens].any(axis=1).tolist()
        words[-1]["contributions"] = contributions[:, tokens].max(axis=1).round(6).tolist()
    return words


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
