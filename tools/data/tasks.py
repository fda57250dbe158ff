"""The table of tasks: every fact about a data set, each in one place."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from operator import itemgetter

from tools.common.errors import UserError
from tools.common.task_names import CUSTOM, GENERATED


@dataclass(frozen=True)
class Task:
    """One data set.

    Attributes:
        text_columns: one column, or two for sentence pairs.
        label_names: names by label id; none for a regression.
        metrics: names known to `tools.evaluation.metrics`; the first is the primary one, which chooses checkpoints.
        splits: our split -> its published name; a split missing here does not exist.
        hub: arguments of `datasets.load_dataset`, or None for a data set that is not on the hub.
        held_out: validation rows cut from train where none is published; never more than a twentieth of fewer rows
            than `published_train`.
        convert: raw hub row -> row with text and label columns, where the hub's schema differs.
        generated: the project makes this data set itself (see `tools.data.demo_task`).
        read: function of `tools.data.readers` for local files that are not one table a split.
        group_column: column whose values several rows share, by which a dev set can be cut.
        rationale: row -> the words, separated by white space, that humans marked, 0/1 each (none: nobody was asked).
        windowed: long documents are cut into windows (see `tools.data.windows`); rows have `spans`.
        empty_texts: some of the published texts are empty; elsewhere an empty text is an error.
        phrases: rows of train are sentences and phrases of them (see `tools.data.phrases`).
    """

    name: str
    text_columns: tuple[str, ...]
    label_names: tuple[str, ...]
    metrics: tuple[str, ...]
    splits: Mapping[str, str]
    hub: Mapping[str, str] | None = None
    held_out: int = 0
    published_train: int = 0
    convert: Callable[[dict], dict] | None = None
    class_weights: tuple[float, ...] | None = None
    generated: bool = False
    label_column: str = "label"
    read: str | None = None
    group_column: str | None = None
    rationale: Callable[[dict], list[int]] | None = None
    windowed: bool = False
    empty_texts: bool = False
    phrases: bool = False

    @property
    def outputs(self) -> int:
        """Outputs of the classifier: one a label, or one for a regression."""
        return len(self.label_names) or 1

    @property
    def evaluation_splits(self) -> list[str]:
        """Every split but train."""
        own = ["validation"] if "train" in self.splits else []
        return own + [split for split in self.splits if split not in ("train", "validation")]

    @property
    def primary_metric(self) -> str:
        return self.metrics[0]

    def held_out_rows(self, train_rows: int) -> int:
        """Validation rows to cut from a local train split of `train_rows`."""
        return self.held_out if train_rows >= self.published_train else min(self.held_out, train_rows // 20)


def hold_out(task: Task, rows: int) -> Task:
    """The task with `rows` training rows for validation and its published validation splits for test.

    For tasks whose test labels are hidden: settings are chosen on rows that no score is reported for. Where train has
    phrases, the rows are whole sentences, and train loses their phrases.

    Raises:
        UserError: the task has no published validation split.
    """
    if "validation" not in task.splits:
        raise UserError(f"--HOLD_OUT is for tasks with a validation split; {task.name} holds out training rows anyway")
    published = {split: name for split, name in task.splits.items() if split.startswith("validation")}
    tests = {split.replace("validation", "test"): name for split, name in published.items()}
    return replace(task, splits={"train": task.splits["train"], **tests}, held_out=rows, published_train=0)


ALL_SPLITS = {"train": "train", "validation": "validation", "test": "test"}
TRAIN_AND_TEST = {"train": "train", "test": "test"}
MNLI_SPLITS = {
    "train": "train",
    "validation": "validation_matched",
    "validation_mismatched": "validation_mismatched",
    "test": "test_matched",
    "test_mismatched": "test_mismatched",
}
PAIR = ("sentence1", "sentence2")
PREMISE = ("premise", "hypothesis")
ENTAILMENT = ("entailment", "not_entailment")
NLI = ("entailment", "neutral", "contradiction")


def majority_label(row: dict) -> dict:
    """HateXplain's raw rows: the annotators' majority (a three-way tie is label 0, as published), tokens joined."""
    if "label" in row:
        return row
    label, votes = Counter(row["annotators"]["label"]).most_common(1)[0]
    return {**row, "label": label if votes > 1 else 0, "text": " ".join(row["post_tokens"])}


def majority_rationale(row: dict) -> list[int]:
    """HateXplain's marked words: those that at least half of the annotators who marked any marked."""
    votes = row["rationales"]
    return [int(2 * sum(marks) >= len(marks)) for marks in zip(*votes, strict=True)]


def stars_to_label(row: dict) -> dict:
    """Amazon's one to five stars as labels 0 to 4."""
    return {**row, "label": int(row["stars"]) - 1}


def glue(
    name: str, columns: tuple[str, ...], labels: tuple[str, ...], *metrics: str, splits=ALL_SPLITS, **more
) -> Task:
    """A row of GLUE: https://huggingface.co/datasets/nyu-mll/glue, label names and order as there."""
    return Task(name, columns, labels, metrics, splits, {"path": "nyu-mll/glue", "name": name}, **more)


def single(name: str, column: str, labels: tuple[str, ...], splits: Mapping[str, str], hub: str | None, **more) -> Task:
    """A classification of single texts, scored by accuracy."""
    return Task(name, (column,), labels, ("accuracy",), splits, hub and {"path": hub}, **more)


# GLUE's metrics are those that its server reports; the first is the primary one
# fmt: off
ROWS = (
    single(GENERATED, "text", ("negative", "positive"), ALL_SPLITS, None,
           generated=True, rationale=itemgetter("rationale")),
    glue("sst2", ("sentence",), ("negative", "positive"), "accuracy", phrases=True),
    glue("mrpc", PAIR, ("not_equivalent", "equivalent"), "f1", "accuracy"),
    glue("qqp", ("question1", "question2"), ("not_duplicate", "duplicate"), "f1", "accuracy", empty_texts=True),
    glue("qnli", ("question", "sentence"), ENTAILMENT, "accuracy"),
    glue("rte", PAIR, ENTAILMENT, "accuracy"),
    glue("wnli", PAIR, ("not_entailment", "entailment"), "accuracy"),
    glue("cola", ("sentence",), ("unacceptable", "acceptable"), "matthews", "accuracy"),
    glue("stsb", PAIR, (), "spearman", "pearson"),  # similarity from 0 to 5: a regression
    glue("mnli", PREMISE, NLI, "accuracy", splits=MNLI_SPLITS),
    glue("ax", PREMISE, NLI, "accuracy", splits={"test": "test"}),  # the diagnostic set, for a model of mnli
    # the paper cuts the dev sets of imdb, ag_news and dbpedia from train
    single("imdb", "text", ("neg", "pos"), TRAIN_AND_TEST, "stanfordnlp/imdb", held_out=4096, published_train=25_000),
    single("ag_news", "text", ("World", "Sports", "Business", "Sci/Tech"), TRAIN_AND_TEST, "fancyzhx/ag_news",
           held_out=6000, published_train=120_000),
    single("dbpedia", "content",  # the title is left out, as published
           ("Company", "EducationalInstitution", "Artist", "Athlete", "OfficeHolder", "MeanOfTransportation",
            "Building", "NaturalPlace", "Village", "Animal", "Plant", "Album", "Film", "WrittenWork"),
           TRAIN_AND_TEST, "fancyzhx/dbpedia_14", held_out=6000, published_train=560_000),
    # amazon_reviews_multi has left the hub; review_body only, as published
    single("amazon", "review_body", ("1 star", "2 stars", "3 stars", "4 stars", "5 stars"), ALL_SPLITS, None,
           convert=stars_to_label),
    # the hub's parquet conversion needs no loader script
    Task("hatexplain", ("text",), ("hatespeech", "normal", "offensive"), ("accuracy",), ALL_SPLITS,
         {"path": "Hate-speech-CNERG/hatexplain", "revision": "refs/convert/parquet"},
         rationale=majority_rationale, convert=majority_label),
    Task("scitail", PREMISE, ("neutral", "entails"), ("accuracy",), ALL_SPLITS,
         {"path": "allenai/scitail", "name": "tsv_format"}),
    # http://www.fakenewschallenge.org: stances and bodies; weights as published. The dev set shares bodies with train.
    Task("fnc", ("Headline", "articleBody"), ("unrelated", "discuss", "agree", "disagree"),
         ("fnc_relative", "fnc_score", "accuracy", "related_accuracy"), {"train": "train", "test": "competition_test"},
         held_out=4096, published_train=49_972, class_weights=(1.0, 3.0, 3.0, 3.0), label_column="Stance",
         group_column="articleBody", read="read_fnc"),
    # https://www.eraserbenchmark.com: movies.tar.gz
    single("movie_rationales", "text", ("NEG", "POS"), {"train": "train", "validation": "val", "test": "test"}, None,
           label_column="classification", read="read_movies", windowed=True),
)
# fmt: on
TABLE = {task.name: task for task in ROWS}


def get_task(name: str) -> Task:
    """The task's row.

    Raises:
        UserError: there is no such task.
    """
    if name == CUSTOM:
        raise UserError(f"this program takes no custom task; tasks are {', '.join(sorted(TABLE))}")
    if name not in TABLE:
        raise UserError(f"unknown task '{name}'; tasks are {', '.join(sorted(TABLE))}, {CUSTOM}")
    return TABLE[name]


def custom_task(columns: tuple[str, ...], label_column: str, labels: tuple[str, ...], splits: list[str]) -> Task:
    """A user's own classification task: DATA_DIR itself holds a file for each of the splits."""
    named = {split: split for split in splits}
    return Task(CUSTOM, columns, labels, ("accuracy", "macro_f1"), named, label_column=label_column)
