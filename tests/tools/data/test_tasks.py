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

from models import TFAdapLeRForSequenceClassification
from tests import tiny
from tests.tiny_task import WORDS, write_backbone
from tools.common.errors import UserError
from tools.common.paths import ROOT
from tools.data.examples import has_evidence
from tools.data.loading import load_examples
from tools.data.rows import DataOptions, load_rows, make_custom_task
from tools.data.tasks import TABLE, hold_out
from tools.data.windows import PER_DOCUMENT, cut, document_logits
from tools.training.extend_positions import extend

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
        return {**raw, "stars": label + 1, "product_title": "a film"}
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


def test_hold_out_moves_the_published_validation_split_to_test(tmp_path):
    (tmp_path / "sst2").mkdir()
    for split, count in (("train", 30), ("validation", 7), ("test", 5)):
        lines = [json.dumps({"sentence": f"{split} {i}", "label": i % 2}) for i in range(count)]
        (tmp_path / "sst2" / f"{split}.jsonl").write_text("\n".join(lines))
    task, options = hold_out(TABLE["sst2"], 10), DataOptions(tmp_path)
    rows = {split: load_rows(task, split, options)["sentence"][:] for split in ("train", "validation", "test")}
    assert [len(texts) for texts in rows.values()] == [20, 10, 7]
    assert all(text.startswith("validation") for text in rows["test"])
    assert not set(rows["train"]) & set(rows["validation"])
    with pytest.raises(UserError, match="imdb"):
        hold_out(TABLE["imdb"], 10)
    assert list(hold_out(TABLE["mnli"], 10).splits) == ["train", "test", "test_mismatched"]


def test_hold_out_of_phrases_takes_whole_sentences_and_leaves_none_of_their_phrases(tmp_path):
    whole = ["a film to see twice ", "not a film for me ", "dull ", "so slow that i slept "]
    parts = ["a film", "to  see", "for me ", "film", "slow that i", "a film to see twice"]
    options = DataOptions(tmp_path)
    (tmp_path / "sst2").mkdir()
    for split, texts in (("train", parts[:3] + whole + parts[3:]), ("validation", ["an odd one"])):
        lines = [json.dumps({"sentence": text, "label": i % 2}) for i, text in enumerate(texts)]
        (tmp_path / "sst2" / f"{split}.jsonl").write_text("\n".join(lines))
    task = hold_out(TABLE["sst2"], 2)
    train, validation = (load_rows(task, split, options)["sentence"][:] for split in ("train", "validation"))
    assert len(validation) == 2 and set(validation) < set(whole)
    spaced = [f" {' '.join(sentence.split())} " for sentence in validation]
    kept = [text for text in parts + whole if not any(f" {' '.join(text.split())} " in held for held in spaced)]
    assert sorted(train) == sorted(kept) and set(parts) - set(train)
    with pytest.raises(UserError, match="4 whole sentences"):
        load_rows(hold_out(TABLE["sst2"], 4), "train", options)


def test_hold_out_reads_the_published_validation_file(movies):
    train, dev, test = (
        len(load_rows(hold_out(TABLE["movie_rationales"], 1), split, movies))
        for split in ("train", "validation", "test")
    )
    assert (train, dev, test) == (1, 1, 2)


def test_fnc_can_be_split_by_body(tmp_path):
    (tmp_path / "fnc").mkdir()
    bodies = "".join(f'{i},"text of {i}"\n' for i in range(40))
    (tmp_path / "fnc" / "train_bodies.csv").write_text("Body ID,articleBody\n" + bodies)
    stances = "".join(f"headline {i},{i % 40},{'agree' if i % 2 else 'unrelated'}\n" for i in range(400))
    (tmp_path / "fnc" / "train_stances.csv").write_text("Headline,Body ID,Stance\n" + stances)
    options = DataOptions(tmp_path, by_group=True)
    train, dev = (set(load_rows(TABLE["fnc"], split, options)["articleBody"][:]) for split in ("train", "validation"))
    assert dev and not train & dev and len(train | dev) == 40
    with pytest.raises(UserError, match="SPLIT_BY_BODY"):
        load_rows(TABLE["imdb"], "validation", imdb_options(tmp_path))


def imdb_options(folder) -> DataOptions:
    (folder / "imdb").mkdir()
    rows = [json.dumps({"text": f"text {i}", "label": i % 2}) for i in range(40)]
    (folder / "imdb" / "train.jsonl").write_text("\n".join(rows))
    return DataOptions(folder, by_group=True)


def test_custom_files_without_test_and_with_negative_labels(tmp_path, tokenizer):
    lines = [json.dumps({"text": f"text {i}", "label": 2 * (i % 2) - 1}) for i in range(6)]
    (tmp_path / "train.jsonl").write_text("\n".join(lines))
    with pytest.raises(UserError, match="validation"):
        make_custom_task(tmp_path, ["text"], "label")
    (tmp_path / "validation.jsonl").write_text("\n".join(lines))
    task = make_custom_task(tmp_path, ["text"], "label")
    assert task.label_names == ("-1", "1") and task.evaluation_splits == ["validation"]
    assert load_rows(task, "train", DataOptions(tmp_path))["label"][:] == [0, 1, 0, 1, 0, 1]
    (tmp_path / "test.csv").write_text("text\na text\n")
    task = make_custom_task(tmp_path, ["text"], "label")
    assert task.evaluation_splits == ["validation", "test"]
    assert load_rows(task, "test", DataOptions(tmp_path))["label"][:] == [-1]


def test_labels_that_are_true_or_false_and_a_folder_with_brackets(tmp_path):
    folder = tmp_path / "a[1]"
    folder.mkdir()
    for split in ("train", "validation"):
        (folder / f"{split}.csv").write_text("text,label\ngood,True\nbad,False\n")
    task = make_custom_task(folder, ["text"], "label")
    assert task.label_names == ("False", "True")
    assert load_rows(task, "train", DataOptions(folder))["label"][:] == [1, 0]


def test_words_that_look_like_missing_values_and_quotes_are_text(tmp_path, tokenizer):
    rows = [("None", "yes"), ('"an open quote', "no"), ("NA", "yes")]
    for split in ("train", "validation"):
        (tmp_path / f"{split}.tsv").write_text("text\tlabel\n" + "".join(f"{a}\t{b}\n" for a, b in rows))
    task = make_custom_task(tmp_path, ["text"], "label")
    assert load_rows(task, "validation", DataOptions(tmp_path))["text"][:] == [text for text, _ in rows]


def test_custom_labels_from_one(tmp_path):
    for split, labels in (("train", (1, 2, 3)), ("validation", (3, 1)), ("test", (0, 1))):
        (tmp_path / f"{split}.csv").write_text("text,label\n" + "".join(f"a text,{label}\n" for label in labels))
    task = make_custom_task(tmp_path, ["text"], "label")
    assert task.label_names == ("1", "2", "3")
    assert load_rows(task, "validation", DataOptions(tmp_path))["label"][:] == [2, 0]
    with pytest.raises(UserError, match="row 0: label 0"):
        load_rows(task, "test", DataOptions(tmp_path))


def test_more_rows_held_out_than_there_are(tmp_path):
    (tmp_path / "sst2").mkdir()
    (tmp_path / "sst2" / "train.jsonl").write_text('{"sentence": "a film", "label": 0}\n' * 5)
    with pytest.raises(UserError, match="9 cannot be held out"):
        load_rows(hold_out(TABLE["sst2"], 9), "train", DataOptions(tmp_path))


def test_extended_positions_are_tiled(tmp_path):
    write_backbone(tmp_path / "short")
    extend(str(tmp_path / "short"), 40, tmp_path / "long")
    short, long = (TFAdapLeRForSequenceClassification.from_pretrained(tmp_path / name) for name in ("short", "long"))
    tables = [model.bert.embeddings.position_embeddings.numpy() for model in (short, long)]
    assert np.array_equal(tables[1], np.concatenate([tables[0], tables[0], tables[0]])[:40])
    batch = tiny.inputs((7, 5))
    batch["input_ids"] %= 15
    assert np.allclose(short.bert(batch).pooler_output, long.bert(batch).pooler_output, atol=1e-6)
    assert long(tiny.inputs((30,), width=30) | {"input_ids": np.ones((1, 30), np.int32)}).logits.shape == (1, 2)
    with pytest.raises(UserError, match="already"):
        extend(str(tmp_path / "short"), 16, tmp_path / "no")
    short.to_AdapLeR()
    short.save_pretrained(tmp_path / "short")
    with pytest.raises(UserError, match="trained AdapLeR"):
        extend(str(tmp_path / "short"), 40, tmp_path / "no")
