"""Long documents cut into windows that fit the model and never split a rationale, if it fits one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from transformers import PreTrainedTokenizerBase

from tools.common.errors import UserError

PER_DOCUMENT = 10_000
"""A window's row id is its document's times this, plus its number in the document."""


def cut(pieces: Sequence[int], spans: Sequence[Sequence[int]], budget: int) -> list[tuple[int, int]]:
    """Windows of a document, as [start, end) word indices.

    Args:
        pieces: word pieces of each word.
        spans: rationales as [start, end) word indices.
        budget: word pieces a window may hold. A word or rationale of more is cut all the same.
    """
    ends = np.cumsum(pieces)
    windows, start = [], 0
    while start < len(pieces):
        before = ends[start - 1] if start else 0
        end = max(start + 1, int(np.searchsorted(ends, before + budget, side="right")))
        cut_spans = [first for first, last in spans if start < first < end < last]
        while cut_spans:  # a window that ends earlier may cut an earlier span
            end = min(cut_spans)
            cut_spans = [first for first, last in spans if start < first < end < last]
        windows.append((start, end))
        start = end
    return windows


def tokenise(batch: dict, tokenizer: PreTrainedTokenizerBase, max_length: int) -> dict:
    """Documents (lists of text, spans and row_id) -> one entry a window, for `datasets.map`.

    Returns:
        input_ids and token_type_ids with [CLS] and [SEP], rationale (0/1 a token), word (of each token, -1 at [CLS] and
        [SEP]), row_id, document (its row id) and label.

    Raises:
        UserError: a document has no token.
    """
    columns: dict[str, list] = {name: [] for name in WINDOW_COLUMNS}
    words = [text.split() for text in batch["text"]]
    encoded = tokenizer(words, is_split_into_words=True, add_special_tokens=False, verbose=False)
    for index, spans in enumerate(batch["spans"]):
        if not encoded["input_ids"][index]:
            raise UserError(
                f"row {batch['row_id'][index]} (from 0): the tokenizer finds no token in {batch['text'][index]!r:.100}"
            )
        ids = np.array(encoded["input_ids"][index])
        word_of = np.array(encoded.word_ids(index))
        counts = np.bincount(word_of, minlength=len(words[index]))
        is_rationale = np.array([any(a <= word < b for a, b in spans) for word in word_of], int)
        for number, (start, end) in enumerate(cut(counts, spans, max_length - 2)):
            here = np.flatnonzero((word_of >= start) & (word_of < end))[: max_length - 2]
            tokens = tokenizer.build_inputs_with_special_tokens(ids[here].tolist())
            columns["input_ids"].append(tokens)
            columns["token_type_ids"].append([0] * len(tokens))
            columns["rationale"].append([0, *is_rationale[here].tolist(), 0])
            columns["word"].append([-1, *word_of[here].tolist(), -1])
            columns["row_id"].append(batch["row_id"][index] * PER_DOCUMENT + number)
            columns["document"].append(batch["row_id"][index])
            columns["label"].append(batch["label"][index])
    return columns


WINDOW_COLUMNS = ("input_ids", "token_type_ids", "rationale", "word", "row_id", "document", "label")


def documents_of(row_ids: np.ndarray) -> np.ndarray:
    """The document of each window, by the windows' row ids."""
    return row_ids // PER_DOCUMENT


def document_logits(logits: np.ndarray, documents: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean logits of each document over all of its windows.

    Args:
        logits: [N, labels].
        documents: each window's document, [N].

    Returns:
        [documents, labels], and for each document the position of its first window.
    """
    _, first, which = np.unique(documents, return_index=True, return_inverse=True)
    sums = np.zeros((len(first), logits.shape[1]))
    np.add.at(sums, which, logits)
    return sums / np.bincount(which)[:, np.newaxis], first
