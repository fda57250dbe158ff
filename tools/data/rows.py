"""Rows of a task's splits, from the hub or from local files. One reader for all tasks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sklearn.model_selection import GroupShuffleSplit, train_test_split

from tools.common import paths
from tools.common.errors import UserError
from tools.common.locks import locked
from tools.common.task_names import CUSTOM
from tools.data import demo_task, phrases, readers
from tools.data.files import READERS, read_file
from tools.data.tasks import Task, custom_task

SPLIT_SEED = 1234
"""Seed of the dev cut and of MAX_*_EXAMPLES subsets: the same rows for every DATA_SEED."""


@dataclass(frozen=True)
class DataOptions:
    """What a run wants of a data set; None means all rows. `by_group` keeps the task's groups out of two splits."""

    data_dir: Path | None = None
    max_train_examples: int | None = None
    max_eval_examples: int | None = None
    by_group: bool = False

    def limit(self, split: str) -> int | None:
        return self.max_train_examples if split == "train" else self.max_eval_examples


def make_custom_task(data_dir: Path | None, text_columns: Sequence[str], label_column: str) -> Task:
    """The task of a user's own files; its label names are the sorted labels of the training file.

    Integer labels 0..k-1 keep their numbers.

    Raises:
        UserError: there is no DATA_DIR, no file for training or validation, no such column, a name that a text column
            cannot have, a row without a label, or only one label.
    """
    if data_dir is None:
        raise UserError("--TASK custom needs --DATA_DIR, a folder with train.*, validation.* and perhaps test.*")
    if len(text_columns) > 2 or len(set(text_columns)) < len(text_columns):
        raise UserError(f"--TEXT_COLUMNS {' '.join(text_columns)}: one column or two different ones are expected")
    if reserved := set(text_columns) & {"row_id", "label", label_column}:
        raise UserError(f"--TEXT_COLUMNS: a text column cannot be called '{min(reserved)}'; rename it in the files")
    file = find_split_file(data_dir, "train", "train")
    rows = read_file(file)
    if label_column not in rows.column_names:
        raise UserError(f"{file} has no column '{label_column}'; it has {', '.join(rows.column_names)}: --LABEL_COLUMN")
    given = rows[label_column][:]
    empty = next((row for row, label in enumerate(given) if label is None or not str(label).strip()), None)
    if empty is not None:
        raise UserError(f"{file}, row {empty} (from 0): column '{label_column}' is empty where a label was expected")
    if not all(isinstance(label, int | str) for label in given) or len(set(given)) < 2:
        raise UserError(f"{file}: column '{label_column}' needs at least two labels, integers or strings: {given[:5]}")
    names = tuple(map(str, sorted(set(given), key=lambda label: (str(type(label)), label))))
    find_split_file(data_dir, "validation", "validation")
    splits = ["train", "validation", *(["test"] if _split_files(data_dir, "test") else [])]
    return custom_task(tuple(text_columns), label_column, names, splits)


def load_rows(task: Task, split: str, options: DataOptions, with_rationale: bool = False) -> datasets.Dataset:
    """Rows of one split with columns row_id (the row's number in its file), the text columns and the label.

    Args:
        with_rationale: with column rationale, a 0/1 for each word of the text.

    Raises:
        UserError: the split does not exist or cannot be read, a column is missing, a label is out of range, or the task
            knows no groups to split by.
    """
    held_out = split == "validation" and "validation" not in task.splits and "train" in task.splits
    if split not in task.splits and not held_out:
        raise UserError(f"{task.name} has no {split} split; it has {', '.join(task.splits)}")
    if options.by_group and task.group_column is None:
        raise UserError(f"--SPLIT_BY_BODY is for fnc; {task.name} has no bodies that several rows share: leave it out")
    source = "train" if held_out else split
    data_dir = _generated(task) if task.generated and options.data_dir is None else options.data_dir
    where = _where(task, source, data_dir)
    published = _read(task, source, data_dir)
    rows = _labelled(task, source, published, where)
    if with_rationale and not task.windowed:
        rows = rows.add_column("rationale", _rationales(task, published, where))
    if task.held_out and split in ("train", "validation") and "validation" not in task.splits:
        rows = _held_out_part(task, rows, options.by_group)[held_out]
    limit = options.limit(split)
    return rows if limit is None or limit >= len(rows) else rows.shuffle(SPLIT_SEED).select(range(limit))


def _held_out_part(task: Task, rows: datasets.Dataset, by_group: bool) -> tuple[datasets.Dataset, datasets.Dataset]:
    """(train, validation) of a train split.

    Raises:
        UserError: so many cannot be held out.
    """
    count = task.held_out_rows(len(rows))
    if not 0 < count < len(rows):
        raise UserError(f"{task.name} has {len(rows)} training rows: {count} cannot be held out for validation")
    if by_group:
        return _groups_apart(task, rows, count)
    if task.phrases:
        return _sentences_held_out(task, rows, count)
    cut = rows.train_test_split(count, seed=SPLIT_SEED)
    return cut["train"], cut["test"]


def _groups_apart(task: Task, rows: datasets.Dataset, count: int) -> tuple[datasets.Dataset, datasets.Dataset]:
    """(train, validation): about `count` rows for validation, no group in both."""
    splitter = GroupShuffleSplit(1, test_size=count / len(rows), random_state=SPLIT_SEED)
    train, validation = next(splitter.split(rows, groups=rows[task.group_column][:]))
    return rows.select(train), rows.select(validation)


def _sentences_held_out(task: Task, rows: datasets.Dataset, count: int) -> tuple[datasets.Dataset, datasets.Dataset]:
    """(train, validation): the rows that are no phrase of `count` whole sentences, and these.

    Raises:
        UserError: there are not more sentences than that.
    """
    texts = rows[task.text_columns[0]][:]
    whole = phrases.whole_texts(texts)
    if count >= len(whole):
        raise UserError(f"{task.name} has {len(whole)} whole sentences for training: {count} cannot be held out")
    _, validation = train_test_split(whole, test_size=count, random_state=SPLIT_SEED)
    return rows.select(phrases.texts_outside(texts, (texts[row] for row in validation))), rows.select(validation)


def _generated(task: Task) -> Path:
    """Data directory of a task that the project makes itself; written when it is first needed."""
    data_dir = paths.generated_data()
    with locked(data_dir, wait=True):
        if not demo_task.is_written(data_dir / task.name):
            demo_task.write_dataset(data_dir / task.name)
    return data_dir


def _read(task: Task, split: str, data_dir: Path | None) -> datasets.Dataset:
    """A split's rows as they were published."""
    if data_dir is None:
        return _read_hub(task, split)
    folder = _folder(task, data_dir)
    if task.read:
        return getattr(readers, task.read)(folder, task.splits[split])
    return read_file(find_split_file(folder, split, task.splits[split]))


def _folder(task: Task, data_dir: Path) -> Path:
    return data_dir if task.name == CUSTOM else data_dir / task.name


def _read_hub(task: Task, split: str) -> datasets.Dataset:
    if task.hub is None:
        raise UserError(f"{task.name} is not on the hub; give --DATA_DIR, a folder with {task.name}'s files in it")
    hub = dict(task.hub)
    try:
        return datasets.load_dataset(hub.pop("path"), **hub, split=task.splits[split])
    except Exception as error:
        raise UserError(
            f"cannot load {task.name} from the hub ({type(error).__name__}: {error}); "
            "give --DATA_DIR, a folder of local data sets"
        ) from error


def find_split_file(folder: Path, split: str, hub_split: str) -> Path:
    """The file <folder>/<split>.<known ending>, perhaps gzipped; the hub's name of the split comes first.

    Raises:
        UserError: there is none, or more than one.
    """
    found = _split_files(folder, hub_split) or _split_files(folder, split)
    if not found:
        raise UserError(f"no file {folder / split} with one of the endings {', '.join(READERS)} (or these with .gz)")
    if len(found) > 1:
        names = " and ".join(file.name for file in found)
        raise UserError(f"{folder} has {names} for one split; leave one of them there")
    return found[0]


def _split_files(folder: Path, name: str) -> list[Path]:
    """The files that can hold a split; <name>.old.csv is none."""
    files = (folder / f"{name}{ending}{packed}" for ending in READERS for packed in ("", ".gz"))
    return [file for file in files if file.exists()]


def _where(task: Task, split: str, data_dir: Path | None) -> str:
    """What to call a split in a message: its file, if it is one."""
    if data_dir is None or task.read:
        return f"{task.name} {split}"
    return str(find_split_file(_folder(task, data_dir), split, task.splits[split]))


def _labelled(task: Task, split: str, rows: datasets.Dataset, where: str) -> datasets.Dataset:
    """Checked rows with columns row_id, the text columns, label (a number) and, for windowed tasks, spans."""
    try:
        rows = rows.map(task.convert, desc=where) if task.convert else rows
    except KeyError as error:
        raise UserError(f"{where} has no column {error}; it has {', '.join(rows.column_names)}") from error
    except (TypeError, ValueError) as error:
        raise UserError(f"{where} has a row of another form than {task.name}'s: {error}") from error
    unlabelled = split.startswith("test") and task.label_column not in rows.column_names
    needed = (*task.text_columns, *([] if unlabelled else [task.label_column]))
    missing = [column for column in needed if column not in rows.column_names]
    if missing:
        raise UserError(f"{where} has no column {', '.join(map(repr, missing))}; it has {', '.join(rows.column_names)}")
    if len(rows) == 0:
        raise UserError(f"{where} has no rows")
    for column in task.text_columns:
        _check_texts(where, rows, column, task.empty_texts)
    if unlabelled:
        labels = np.full(len(rows), -1, np.int32 if task.label_names else np.float32)
    else:
        labels = _label_ids(task, where, rows[task.label_column][:], hidden_allowed=split != "train")
    rows = rows.select_columns([*task.text_columns, *(["spans"] if task.windowed else [])])
    return rows.add_column("row_id", np.arange(len(rows))).add_column("label", labels)


def _check_texts(where: str, rows: datasets.Dataset, column: str, empty_allowed: bool) -> None:
    """Raises UserError for the first row whose text is missing, not UTF-8 or, unless allowed, empty."""
    texts = rows.with_format("arrow")[column][:]
    if not pa.types.is_string(texts.type) and not pa.types.is_large_string(texts.type):
        raise UserError(f"{where}, row 0 (from 0): column '{column}' holds {texts.type} where a text was expected")
    try:
        texts.validate(full=True)
    except pa.ArrowInvalid as error:
        raise UserError(f"{where}: column '{column}' is not UTF-8 ({error})") from error
    empty = pc.is_null(texts) if empty_allowed else pc.fill_null(pc.equal(pc.utf8_trim_whitespace(texts), ""), True)
    number = pc.index(empty, True).as_py()  # -1: none
    if number >= 0:
        raise UserError(f"{where}, row {number} (from 0): column '{column}' is empty where a text was expected")


def _rationales(task: Task, rows: datasets.Dataset, where: str) -> list[list[int]]:
    """Marks of each row's words."""
    if task.rationale is None:
        raise UserError(f"{task.name} has no human rationales")
    try:
        return [task.rationale(row) for row in rows]
    except KeyError as error:
        raise UserError(f"{where} has no column {error}: its rows have no human rationales") from error


def _label_ids(task: Task, where: str, labels: list, hidden_allowed: bool) -> np.ndarray:
    """Label ids from ids or names, or a regression's values; -1 is an unknown label, as in GLUE's test sets."""
    names = {name: number for number, name in enumerate(task.label_names)}
    ids = [names.get(str(label), label if task.name != CUSTOM or label == -1 else None) for label in labels]
    if not task.label_names:
        bad = [i for i, value in enumerate(ids) if not isinstance(value, int | float) or value != value]
        expected = "a number"
    else:
        bad = [i for i, label in enumerate(ids) if not isinstance(label, int) or not -1 <= label < len(names)]
        bad += [] if hidden_allowed else [i for i, label in enumerate(ids) if label == -1]
        allowed = names if task.name == CUSTOM else (f"{number} ({name})" for name, number in names.items())
        expected = f"one of {', '.join(allowed)}"
    if bad:
        raise UserError(f"{where}, row {min(bad)} (from 0): label {labels[min(bad)]!r} where {expected} was expected")
    return np.array(ids, np.int32 if names else np.float32)
