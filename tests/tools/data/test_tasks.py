"""Every row of the task table on tiny files in the hub's schema, and on the real data where it lies beside."""

import csv
import gzip
import io
import json
import tarfile
from collections import Counter

import numpy as np
import pytest
from transformers import BertTokenizerFast

from tests.tiny_task import WORDS
from tools.common.errors import UserError
from tools.common.paths import ROOT
from tools.data.examples import has_evidence
from tools.data.loading import load_examples
from tools.data.rows import DataOptions, load_rows, make_custom_task
from tools.data.tasks import TABLE, hold_out
from tools.data.windows import PER_DOCUMENT, cut, document_logits, documents_of, tokenise

SHARED = ROOT.parent / "shared" / "data"
SPECIAL = ("demo", "fnc", "movie_rationales")
ORDINARY = sorted(set(TABLE) - set(SPECIAL))
LABELS = {
    "demo": ["negative", "positive"],
    "sst2": ["negative", "positive"],
    "mrpc": ["not_equivalent", "equivalent"],
    "qqp": ["not_duplicate", "duplicate"],
    "qnli": ["entailment", "not_entailment"],
    "rte": ["entailment", "not_entailment"],
    "wnli": ["not_entailment", "entailment"],
    "cola": ["unacceptable", "acceptable"],
    "stsb": [],
    "mnli": ["entailment", "neutral", "contradiction"],
    "ax": ["entailment", "neutral", "contradiction"],
    "imdb": ["neg", "pos"],
    "ag_news": ["World", "Sports", "Business", "Sci/Tech"],
    "dbpedia": [
        *("Company", "EducationalInstitution", "Artist", "Athlete", "OfficeHolder", "MeanOfTransportation"),
        *("Building", "NaturalPlace", "Village", "Animal", "Plant", "Album", "Film", "WrittenWork"),
    ],
    "amazon": ["1 star", "2 stars", "3 stars", "4 stars", "5 stars"],
    "hatexplain": ["hatespeech", "normal", "offensive"],
    "scitail": ["neutral", "entails"],
    "fnc": ["unrelated", "discuss", "agree", "disagree"],
    "movie_rationales": ["NEG", "POS"],
}
"""Names by number of the label, as the data sets' pages give them."""
PRIMARY = {"mrpc": "f1", "qqp": "f1", "cola": "matthews", "stsb": "spearman", "fnc": "fnc_relative"}
"""Primary metrics; accuracy elsewhere."""


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    file = tmp_path_factory.mktemp("vocabulary") / "vocab.txt"
    file.write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS, "##s", "##ly"]) + "\n")
    return BertTokenizerFast(str(file))


def row(task, number: int) -> dict:
    """A row as the hub has it."""
    names = LABELS[task.name]
    label = number % max(len(names), 1)
    raw = {column: f"the {column} was very good {number}" for column in task.text_columns}
    if task.name == "amazon":
        return {**raw, "stars": str(label + 1), "product_title": "a film"}
    if task.name == "scitail":
        return {**raw, "label": names[label]}
    if task.name == "hatexplain":
        return {"post_tokens": ["the", "film", str(number)], "annotators": {"label": [label, label, 0]}}
    if task.name == "stsb":
        return {**raw, "label": number / 4, "idx": number}
    return {**raw, "label": label, "idx": number, "title": "not read"}


def write(task, root, rows: int = 12):
    folder = root / task.name
    folder.mkdir(parents=True)
    for split, hub_split in task.splits.items():
        lines = [row(task, number) for number in range(rows)]
        if "glue" in str(task.hub) and split.startswith("test"):
            lines = [{**line, "label": -1} for line in lines]
        (folder / f"{hub_split}.jsonl").write_text("\n".join(map(json.dumps, lines)))
    return DataOptions(root)


@pytest.mark.parametrize("name", sorted({*TABLE, *LABELS}))
def test_labels_and_metrics(name):
    assert list(TABLE[name].label_names) == LABELS[name]
    assert TABLE[name].primary_metric == PRIMARY.get(name, "accuracy")
    assert TABLE[name].class_weights == ((1, 3, 3, 3) if name == "fnc" else None)


@pytest.mark.parametrize("name", ORDINARY)
def test_rows_in_the_hubs_schema(name, tmp_path, tokenizer):
    task = TABLE[name]
    options = write(task, tmp_path, rows=60 if task.held_out else 12)
    for split in task.splits:
        examples = load_examples(task, split, tokenizer, 16, options)
        assert len(examples) == (57 if task.held_out and split == "train" else 60 if task.held_out else 12)
        assert examples.lengths.max() <= 16
        hidden = "glue" in str(task.hub) and split.startswith("test")
        if name == "stsb":
            expected = [-1 if hidden else number / 4 for number in examples.row_ids]
        else:
            expected = [-1 if hidden else number % len(LABELS[name]) for number in examples.row_ids]
        if not (task.held_out and split != "test"):  # rows cut from train are numbered anew
            assert examples.labels.tolist() == expected
        elif split == "train":
            assert set(examples.labels.tolist()) == set(range(len(LABELS[name])))
    if task.held_out:
        train, dev = (load_examples(task, split, tokenizer, 16, options) for split in ("train", "validation"))
        assert len(dev) == 3 and not set(dev.row_ids) & set(train.row_ids)


def test_regression_labels_are_numbers(tmp_path, tokenizer):
    examples = load_examples(TABLE["stsb"], "train", tokenizer, 16, write(TABLE["stsb"], tmp_path))
    assert examples.labels.dtype == np.float32 and examples.labels[3] == 0.75


def test_hatexplain_majority():
    convert = TABLE["hatexplain"].convert
    for votes, label in (([2, 2, 1], 2), ([1, 0, 1], 1), ([0, 1, 2], 0)):
        assert convert({"post_tokens": ["a", "b"], "annotators": {"label": votes}}) == {
            "post_tokens": ["a", "b"],
            "annotators": {"label": votes},
            "label": label,
            "text": "a b",
        }


@pytest.fixture(scope="module")
def fnc(tmp_path_factory):
    root = tmp_path_factory.mktemp("fnc")
    (root / "fnc").mkdir()
    stances = ["unrelated", "discuss", "agree", "disagree"]
    for prefix, rows in (("train", 40), ("competition_test", 8)):
        with gzip.open(root / "fnc" / f"{prefix}_bodies.csv.gz", "wt", newline="") as file:
            csv.writer(file).writerows([["Body ID", "articleBody"], [7, 'the "plot"\nwas good'], [9, "a film"]])
        with gzip.open(root / "fnc" / f"{prefix}_stances.csv.gz", "wt", newline="") as file:
            rows_ = [["a film", (7, 9)[i % 2], stances[i % 4]] for i in range(rows)]
            csv.writer(file).writerows([["Headline", "Body ID", "Stance"], *rows_])
    return DataOptions(root)


def test_fnc_joins_bodies_and_tests_on_the_competition(fnc):
    task = TABLE["fnc"]
    train, dev, test = (load_rows(task, split, fnc) for split in ("train", "validation", "test"))
    assert (len(train), len(dev), len(test)) == (38, 2, 8)
    assert test[0]["articleBody"] == 'the "plot"\nwas good' and test["label"][:] == [0, 1, 2, 3] * 2


@pytest.fixture(scope="module")
def movies(tmp_path_factory):
    root = tmp_path_factory.mktemp("movies")
    (root / "movie_rationales").mkdir()
    with tarfile.open(root / "movie_rationales" / "movies.tar.gz", "w:gz") as archive:

        def add(name: str, text: str) -> None:
            member = tarfile.TarInfo(f"movies/{name}")
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))

        add("docs/a.txt", "the film was very good\nthe plot was bad seen it")
        add("docs/b.txt", "films " * 30)
        evidence = [[{"docid": "a.txt", "start_token": 3, "end_token": 6, "text": "very good the"}]]
        rows = [
            {"annotation_id": "a.txt", "classification": "POS", "evidences": evidence},
            {"annotation_id": "b.txt", "classification": "NEG", "evidences": []},
        ]
        for split in ("train", "val", "test"):
            add(f"{split}.jsonl", "\n".join(map(json.dumps, rows[:1] if split == "test" else rows)))
    return DataOptions(root)


def test_movie_windows(movies, tokenizer):
    task = TABLE["movie_rationales"]
    every = load_examples(task, "validation", tokenizer, 7, movies)
    told = load_examples(task, "train", tokenizer, 7, movies)
    # budget 5: [the film was] [very good the plot was] [bad seen it]; the rationale, words 3 to 5, stays whole
    assert every.lengths[:3].tolist() == [5, 7, 5]
    assert told.row_ids.tolist() == [1] and has_evidence(every).sum() == 1
    assert told.rationale.to_list() == [[0, 1, 1, 1, 0, 0, 0]]
    # "films" is two pieces, two of them fit a window with one piece to spare
    assert (every.row_ids >= PER_DOCUMENT).sum() == 15 and every.documents.tolist() == [0] * 3 + [1] * 15
    assert every.labels.tolist() == [1] * 3 + [0] * 15


def test_a_document_without_tokens_is_refused(tokenizer):
    batch = {"text": ["a film", "\u200b\u200b"], "spans": [[], []], "row_id": [0, 1], "label": [0, 0]}
    with pytest.raises(UserError, match=r"row 1 \(from 0\): the tokenizer finds no token in"):
        tokenise(batch, tokenizer, 7)


def test_documents_of_windows(movies, tokenizer):
    every = load_examples(TABLE["movie_rationales"], "validation", tokenizer, 7, movies)
    assert documents_of(every.row_ids).tolist() == every.documents.tolist()


def test_cut():
    assert cut([1] * 10, [], 4) == [(0, 4), (4, 8), (8, 10)]
    assert cut([1] * 10, [[3, 6]], 4) == [(0, 3), (3, 7), (7, 10)]
    assert cut([1] * 10, [[1, 4], [3, 6]], 5) == [(0, 1), (1, 6), (6, 10)]
    assert cut([1] * 10, [[2, 9]], 4) == [(0, 2), (2, 6), (6, 10)]
    assert cut([9, 1], [], 4) == [(0, 1), (1, 2)]


def test_document_logits():
    logits, first = document_logits(np.array([[1.0, 0], [3, 0], [0, 5]]), np.array([4, 4, 2]))
    assert logits.tolist() == [[0, 5], [2, 0]] and first.tolist() == [2, 0]


@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl", "parquet"])
def test_custom_files(ending, tmp_path, tokenizer):
    import pandas

    frame = pandas.DataFrame({"headline": ["good", "bad film"] * 3, "kind": ["yes", "no"] * 3})
    writers = {
        "csv": lambda file: frame.to_csv(file, index=False),
        "tsv": lambda file: frame.to_csv(file, index=False, sep="\t"),
        "jsonl": lambda file: frame.to_json(file, orient="records", lines=True),
        "parquet": lambda file: frame.to_parquet(file),
    }
    for split in ("train", "validation"):
        writers[ending](tmp_path / f"{split}.{ending}")
    task = make_custom_task(tmp_path, ["headline"], "kind")
    assert task.label_names == ("no", "yes")
    examples = load_examples(task, "validation", tokenizer, 16, DataOptions(tmp_path))
    assert examples.labels.tolist() == [1, 0] * 3


def test_questions_of_qqp_may_be_empty(tmp_path, tokenizer):
    options = write(TABLE["qqp"], tmp_path)
    file = tmp_path / "qqp" / "train.jsonl"
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    lines[1]["question2"] = ""
    file.write_text("\n".join(map(json.dumps, lines)))
    assert len(load_examples(TABLE["qqp"], "train", tokenizer, 16, options)) == len(lines)


DAMAGES = {
    "no column": ('{"sentence": "a"}\n', "label"),
    "label out of range": ('{"sentence": "a", "label": 0}\n{"sentence": "b", "label": 2}\n', "row 1"),
    "unknown label name": ('{"sentence": "a", "label": "fine"}\n', "'fine'"),
    "empty text": ('{"sentence": "a", "label": 0}\n{"sentence": " ", "label": 0}\n', "row 1"),
    "no text": ('{"sentence": null, "label": 0}\n', "row 0"),
    "no rows": ("", "train"),
    "hidden training label": ('{"sentence": "a", "label": -1}\n', "row 0"),
    "not JSON": ('{"sentence": "a", "label": 0}\n{"sentence"\n', "train.jsonl"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_rows(damage, tmp_path):
    text, named = DAMAGES[damage]
    (tmp_path / "sst2").mkdir()
    (tmp_path / "sst2" / "train.jsonl").write_text(text)
    with pytest.raises(UserError, match=named):
        load_rows(TABLE["sst2"], "train", DataOptions(tmp_path))


@pytest.mark.parametrize(("task", "raw"), [("amazon", {"stars": ""}), ("hatexplain", {"annotators": "none"})])
def test_rows_of_another_form_than_the_hubs(task, raw, tmp_path):
    (tmp_path / task).mkdir()
    (tmp_path / task / "train.jsonl").write_text(json.dumps(row(TABLE[task], 1) | raw))
    with pytest.raises(UserError, match=rf"train\.jsonl has a row of another form than {task}'s"):
        load_rows(TABLE[task], "train", DataOptions(tmp_path))


def test_damaged_files(tmp_path):
    (tmp_path / "sst2").mkdir()
    good = gzip.compress(b'{"sentence": "a good film", "label": 0}\n' * 500)
    for name, content in (
        ("train.jsonl.gz", good[:60]),
        ("validation.jsonl", '{"sentence": "é", "label": 0}'.encode("latin-1")),
    ):
        (tmp_path / "sst2" / name).write_bytes(content)
        with pytest.raises(UserError, match=name):
            load_rows(TABLE["sst2"], name.split(".")[0], DataOptions(tmp_path))


def test_a_data_set_that_left_the_hub_says_so():
    with pytest.raises(UserError, match=r"amazon is not on the hub.*--DATA_DIR"):
        load_rows(TABLE["amazon"], "train", DataOptions())


REAL = {
    "sst2": {"train": [29780, 37569], "validation": [428, 444], "test": [0, 0]},
    "mrpc": {"train": [1194, 2474], "validation": [129, 279], "test": [578, 1147]},
    "hatexplain": {"train": [4748, 6251, 4384], "validation": [593, 781, 548], "test": [594, 782, 548]},
    "scitail": {"train": [14994, 8602], "validation": [647, 657], "test": [1284, 842]},
    "fnc": {"test": [18349, 4464, 1903, 697]},
    "ag_news": {"test": [1900] * 4},
    "imdb": {"test": [12500, 12500]},
}
TOTALS = {"imdb": 25000, "ag_news": 20895, "fnc": 49972, "movie_rationales": 1600}


@pytest.mark.slow
@pytest.mark.skipif(not SHARED.is_dir(), reason="the real data sets are not beside the project")
@pytest.mark.parametrize("name", sorted({*REAL, *TOTALS}))
def test_real_counts(name):
    task, options = TABLE[name], DataOptions(SHARED)
    for split, counts in REAL.get(name, {}).items():
        labels = Counter(load_rows(task, split, options)["label"][:])
        assert [labels[number] for number in range(task.outputs)] == counts
    if name in TOTALS:
        train, dev = (len(load_rows(task, split, options)) for split in ("train", "validation"))
        if task.windowed:
            assert (train, dev, len(load_rows(task, "test", options))) == (1600, 200, 199)
        else:
            assert train + dev == TOTALS[name] and dev == task.held_out_rows(TOTALS[name])


def test_hold_out_reads_the_published_validation_file(movies):
    train, dev, test = (
        len(load_rows(hold_out(TABLE["movie_rationales"], 1), split, movies))
        for split in ("train", "validation", "test")
    )
    assert (train, dev, test) == (1, 1, 2)
