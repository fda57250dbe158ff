"""From a task's rows, on the hub or on disk, to batches of tokens. One loader for all tasks."""

from __future__ import annotations

import itertools
import zlib
from dataclasses import dataclass, replace
from pathlib import Path

import datasets
import numpy as np
import tensorflow as tf
from transformers import PreTrainedTokenizerBase

from tools import demo_task, paths
from tools.errors import UserError
from tools.tasks import Task

INPUTS_SPEC = {
    name: tf.TensorSpec([None, None], tf.int32) for name in ("input_ids", "token_type_ids", "attention_mask")
}
"""What a model is fed: [batch, length] each, padded to the longest example of the batch."""
READERS = {".jsonl": "json", ".json": "json", ".csv": "csv", ".tsv": "csv", ".parquet": "parquet"}
SPLIT_SEED = 1234
"""Seed of the dev cut and of MAX_*_EXAMPLES subsets: the same rows for every DATA_SEED."""


@dataclass(frozen=True)
class DataOptions:
    """What a run wants of a data set; None means all rows."""

    data_dir: Path | None = None
    max_train_examples: int | None = None
    max_eval_examples: int | None = None

    def limit(self, split: str) -> int | None:
        return self.max_train_examples if split == "train" else self.max_eval_examples


def load_rows(task: Task, split: str, options: DataOptions) -> datasets.Dataset:
    """Rows of one split with columns row_id (the row's number in its file), the text columns and the label.

    Raises:
        UserError: the split does not exist or cannot be read, a column is missing, a label is out of range.
    """
    held_out = split == "validation" and "validation" not in task.splits
    if split not in task.splits and not held_out:
        raise UserError(f"{task.name} has no {split} split; it has {', '.join(task.splits)}")
    rows = _read(task, "train" if held_out else split, options.data_dir)
    if task.convert:
        rows = rows.map(task.convert, desc=f"{task.name} {split}")
    _check(task, split, rows)
    rows = rows.select_columns([*task.text_columns, task.label_column])
    rows = rows.add_column("row_id", np.arange(len(rows)))
    if task.held_out and split in ("train", "validation") and "validation" not in task.splits:
        cut = rows.train_test_split(task.held_out_rows(len(rows)), seed=SPLIT_SEED)
        rows = cut["test"] if held_out else cut["train"]
    limit = options.limit(split)
    return rows if limit is None or limit >= len(rows) else rows.shuffle(SPLIT_SEED).select(range(limit))


def _read(task: Task, split: str, data_dir: Path | None) -> datasets.Dataset:
    if task.generated and data_dir is None:
        data_dir = paths.generated_data()
        if not (data_dir / task.name / f"{split}.jsonl").exists():
            demo_task.write_dataset(data_dir / task.name)
    if data_dir is None:
        hub = dict(task.hub)
        try:
            return datasets.load_dataset(hub.pop("path"), **hub, split=task.splits[split])
        except Exception as error:
            raise UserError(
                f"cannot load {task.name} from the hub ({type(error).__name__}: {error}); "
                "give --DATA_DIR, a folder of local data sets"
            ) from error
    file = find_split_file(data_dir / task.name, split)
    delimiter = {"delimiter": "\t"} if ".tsv" in file.suffixes else {}
    try:
        return datasets.load_dataset(_reader(file), data_files=str(file), split="train", **delimiter)
    except Exception as error:
        cause = error.__cause__ or error
        raise UserError(f"cannot read {file}: {type(cause).__name__}: {cause}") from error


def find_split_file(folder: Path, split: str) -> Path:
    """The file <folder>/<split>.<known ending>, perhaps gzipped.

    Raises:
        UserError: there is none.
    """
    found = [file for file in sorted(folder.glob(f"{split}.*")) if _reader(file)]
    if not found:
        raise UserError(f"no file {folder / split} with one of the endings {', '.join(READERS)} (or these with .gz)")
    return found[0]


def _reader(file: Path) -> str | None:
    """Name of the `datasets` builder that reads the file, by its ending."""
    ending = next((s for s in reversed(file.suffixes) if s != ".gz"), "")
    return READERS.get(ending)


def _check(task: Task, split: str, rows: datasets.Dataset) -> None:
    missing = [c for c in (*task.text_columns, task.label_column) if c not in rows.column_names]
    if missing:
        raise UserError(
            f"{task.name} {split} has no column {', '.join(map(repr, missing))}; it has {', '.join(rows.column_names)}"
        )
    if len(rows) == 0:
        raise UserError(f"{task.name} {split} has no rows")
    labels = np.asarray(rows[task.label_column][:])
    allowed = range(-1 if split == "test" else 0, len(task.label_names))  # GLUE hides test labels behind -1
    if not np.issubdtype(labels.dtype, np.integer) or labels.min() < allowed[0] or labels.max() > allowed[-1]:
        wrong = next(i for i, label in enumerate(labels) if label not in allowed)
        raise UserError(
            f"{task.name} {split}, row {wrong}: label {labels[wrong]!r} is none of 0..{len(task.label_names) - 1}"
        )


@dataclass(frozen=True)
class Examples:
    """Tokenised examples.

    Attributes:
        row_ids: each example's row in the split it was read from, int64 [N].
        input_ids, token_type_ids: ragged int32 [N, None], [CLS] and [SEP] included.
        labels: int32 [N]; -1 where unknown.
        pad_id: what fills up batches.
        saliency: ragged float32 [N, None] over the same tokens, once joined.
    """

    row_ids: np.ndarray
    input_ids: tf.RaggedTensor
    token_type_ids: tf.RaggedTensor
    labels: np.ndarray
    pad_id: int
    saliency: tf.RaggedTensor | None = None

    def __len__(self) -> int:
        return len(self.row_ids)

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each example, int64 [N]."""
        return self.input_ids.row_lengths().numpy()

    @property
    def labelled(self) -> bool:
        return bool((self.labels >= 0).all())

    def take(self, order: np.ndarray) -> Examples:
        """The examples at positions `order`."""
        ragged = {
            name: None if getattr(self, name) is None else tf.gather(getattr(self, name), order)
            for name in ("input_ids", "token_type_ids", "saliency")
        }
        return replace(self, row_ids=self.row_ids[order], labels=self.labels[order], **ragged)

    def token_checksums(self) -> np.ndarray:
        """CRC-32 of each example's token ids, uint32 [N]: tells whether a stored row still belongs to its example."""
        ids = self.input_ids.values.numpy().astype("<i4")
        starts = self.input_ids.row_splits.numpy()
        return np.array([zlib.crc32(ids[a:b].tobytes()) for a, b in itertools.pairwise(starts)], np.uint32)

    def shuffled(self, seed: int) -> Examples:
        """The examples in the one order that a seed gives."""
        return self.take(np.random.default_rng(seed).permutation(len(self)))

    def batches(self, batch_size: int, reshuffle_seed: int | None = None) -> tf.data.Dataset:
        """Batches (inputs, targets), each padded to its own longest example.

        They come in the examples' order, or with `reshuffle_seed` in another one each epoch.
        """
        inputs = {"input_ids": self.input_ids, "token_type_ids": self.token_type_ids}
        targets = {"labels": self.labels}
        if self.saliency is not None:
            targets["saliency"] = self.saliency
        examples = tf.data.Dataset.from_tensor_slices((inputs, targets))
        if reshuffle_seed is not None:
            examples = examples.shuffle(len(self), seed=reshuffle_seed)
        return examples.batch(batch_size).map(self._pad).prefetch(2)

    def _pad(self, inputs: dict, targets: dict) -> tuple[dict, dict]:
        padded = {
            "input_ids": inputs["input_ids"].to_tensor(self.pad_id),
            "token_type_ids": inputs["token_type_ids"].to_tensor(),
            "attention_mask": tf.ones_like(inputs["input_ids"]).to_tensor(),
        }
        dense = {k: v.to_tensor() if isinstance(v, tf.RaggedTensor) else v for k, v in targets.items()}
        return padded, dense


def load_examples(
    task: Task, split: str, tokenizer: PreTrainedTokenizerBase, max_length: int, options: DataOptions
) -> Examples:
    """Rows of a split as tokens, truncated to `max_length` (the longer text of a pair loses first)."""
    return encode(load_rows(task, split, options), task, tokenizer, max_length)


def encode(rows: datasets.Dataset, task: Task, tokenizer: PreTrainedTokenizerBase, max_length: int) -> Examples:
    """Tokenises in batches; `datasets` keeps the result on disk for the next stage."""

    def tokenise(batch: dict) -> dict:
        texts = [batch[column] for column in task.text_columns]
        encoded = tokenizer(*texts, truncation=True, max_length=max_length, return_token_type_ids=True)
        return {name: encoded[name] for name in ("input_ids", "token_type_ids")}

    key = (rows._fingerprint, tokenizer.backend_tokenizer.to_str(), task.text_columns, max_length)
    tokens = rows.map(
        tokenise,
        batched=True,
        remove_columns=rows.column_names,
        new_fingerprint=datasets.fingerprint.Hasher.hash(key),
        desc="tokenising",
    )
    return Examples(
        row_ids=np.asarray(rows["row_id"][:], np.int64),
        input_ids=_ragged(tokens, "input_ids"),
        token_type_ids=_ragged(tokens, "token_type_ids"),
        labels=np.asarray(rows[task.label_column][:], np.int32),
        pad_id=tokenizer.pad_token_id,
    )


def _ragged(tokens: datasets.Dataset, column: str) -> tf.RaggedTensor:
    """A column of lists, straight from its Arrow buffers."""
    lists = tokens.with_format("arrow")[column][:].combine_chunks()
    values = np.asarray(lists.flatten(), np.int32)
    lengths = np.asarray(lists.value_lengths(), np.int64)
    return tf.RaggedTensor.from_row_lengths(values, lengths)
