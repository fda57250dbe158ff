"""From rows to tokenised examples."""

from __future__ import annotations

import datasets
import numpy as np
import tensorflow as tf
from transformers import PreTrainedTokenizerBase

from tools.common.errors import UserError
from tools.data import windows
from tools.data.examples import Examples, has_evidence
from tools.data.rows import DataOptions, load_rows
from tools.data.tasks import Task

TOKENISING = 1
"""Part of the cache's key: to be raised when `encode` or `tools.data.windows` make other tokens of the same rows."""


def load_examples(
    task: Task,
    split: str,
    tokenizer: PreTrainedTokenizerBase,
    max_length: int,
    options: DataOptions,
    with_rationale: bool = False,
) -> Examples:
    """Rows of a split as tokens, truncated to `max_length` (the longer text of a pair loses first).

    Args:
        with_rationale: with the human rationale of each token; examples without any marked word are left out. So are
            windows without evidence from training, as published.

    Raises:
        UserError: nothing is left.
    """
    rows = load_rows(task, split, options, with_rationale)
    examples = encode(rows, task, tokenizer, max_length)
    if with_rationale or (task.windowed and split == "train"):
        examples = examples.take(np.flatnonzero(has_evidence(examples)))
    if not len(examples):
        raise UserError(f"{task.name} {split}: none of {len(rows)} rows has a marked word")
    return examples


def encode(rows: datasets.Dataset, task: Task, tokenizer: PreTrainedTokenizerBase, max_length: int) -> Examples:
    """Tokenises in batches; `datasets` keeps the result on disk for the next stage."""

    def tokenise(batch: dict) -> dict:
        if task.windowed:
            return windows.tokenise(batch, tokenizer, max_length)
        if marked:
            return _tokenise_marked(batch["rationale"], batch[task.text_columns[0]], tokenizer, max_length)
        texts = [batch[column] for column in task.text_columns]
        encoded = tokenizer(
            *texts,
            truncation=True,
            max_length=max_length,
            return_token_type_ids=True,
            return_attention_mask=False,
        )
        return {name: encoded[name] for name in ("input_ids", "token_type_ids")}

    marked = "rationale" in rows.column_names
    backend = tokenizer.backend_tokenizer
    backend.no_truncation()  # what an earlier call has set is no part of the key
    backend.no_padding()
    key = (TOKENISING, rows._fingerprint, marked, backend.to_str(), task.text_columns, max_length)
    tokens = rows.map(
        tokenise,
        batched=True,
        remove_columns=[name for name in rows.column_names if task.windowed or name not in ("row_id", "label")],
        new_fingerprint=datasets.fingerprint.Hasher.hash(key),
        desc="tokenising",
    )
    return Examples(
        row_ids=np.asarray(tokens["row_id"][:], np.int64),
        input_ids=_ragged(tokens, "input_ids"),
        token_type_ids=_ragged(tokens, "token_type_ids"),
        labels=np.asarray(tokens["label"][:], np.int32 if task.label_names else np.float32),
        pad_id=tokenizer.pad_token_id,
        rationale=_ragged(tokens, "rationale") if task.windowed or marked else None,
        word=_ragged(tokens, "word") if task.windowed or marked else None,
        documents=np.asarray(tokens["document"][:], np.int64) if task.windowed else None,
    )


def _tokenise_marked(marks: list, texts: list[str], tokenizer: PreTrainedTokenizerBase, max_length: int) -> dict:
    """Tokens with the word that each belongs to, and that word's mark."""
    words = [text.split() for text in texts]
    encoded = tokenizer(
        words, is_split_into_words=True, truncation=True, max_length=max_length, return_token_type_ids=True
    )
    places = [[-1 if word is None else word for word in encoded.word_ids(row)] for row in range(len(words))]
    told = [
        [int(word >= 0 and word < len(row) and row[word]) for word in place]
        for place, row in zip(places, marks, strict=True)
    ]
    return {name: encoded[name] for name in ("input_ids", "token_type_ids")} | {"word": places, "rationale": told}


def _ragged(tokens: datasets.Dataset, column: str) -> tf.RaggedTensor:
    """A column of lists, straight from its Arrow buffers."""
    lists = tokens.with_format("arrow")[column][:].combine_chunks()
    values = np.asarray(lists.flatten(), np.int32)
    lengths = np.asarray(lists.value_lengths(), np.int64)
    return tf.RaggedTensor.from_row_lengths(values, lengths)
