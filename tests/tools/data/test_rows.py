"""Which rows of local files are read: custom tasks, rows held out, splits by body."""

import json
from pathlib import Path

import pytest

from tools.common.errors import UserError
from tools.data.rows import DataOptions, load_rows, make_custom_task
from tools.data.tasks import TABLE, hold_out


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


def test_fnc_can_be_split_by_body(tmp_path):
    (tmp_path / "fnc").mkdir()
    bodies = "".join(f'{i},"text of {i}"\n' for i in range(40))
    (tmp_path / "fnc" / "train_bodies.csv").write_text("Body ID,articleBody\n" + bodies)
    stances = "".join(f"headline {i},{i % 40},{'agree' if i % 2 else 'unrelated'}\n" for i in range(400))
    (tmp_path / "fnc" / "train_stances.csv").write_text("Headline,Body ID,Stance\n" + stances)
    options = DataOptions(tmp_path, by_group=True)
    train, dev = (set(load_rows(TABLE["fnc"], split, options)["articleBody"][:]) for split in ("train", "validation"))
    assert dev and not train & dev and len(train | dev) == 40
    for task, split in (("imdb", "validation"), ("imdb", "test"), ("mrpc", "train")):
        with pytest.raises(UserError, match=f"SPLIT_BY_BODY is for fnc; {task}"):
            load_rows(TABLE[task], split, options)


def test_custom_files_without_test_and_with_negative_labels(tmp_path):
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


def test_words_that_look_like_missing_values_and_quotes_are_text(tmp_path):
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
    with pytest.raises(UserError, match=r"row 0 \(from 0\): label 0 where one of 1, 2, 3 was expected"):
        load_rows(task, "test", DataOptions(tmp_path))


@pytest.mark.parametrize("empty", ["", " "])
def test_a_row_without_a_label_is_refused_and_makes_no_class(tmp_path, empty):
    for split in ("train", "validation"):
        (tmp_path / f"{split}.csv").write_text(f"text,label\na film,0\na plot,1\nit,{empty}\n")
    with pytest.raises(UserError, match=r"train.csv, row 2 \(from 0\): column 'label' is empty"):
        make_custom_task(tmp_path, ["text"], "label")


@pytest.mark.parametrize(
    "columns, message",
    [
        (["a", "b", "c"], "one column or two different"),
        (["a", "a"], "one column or two different"),
        (["a", "label"], "cannot be called 'label'"),
        (["row_id"], "cannot be called 'row_id'"),
        (["topic"], "cannot be called 'topic'"),
    ],
)
def test_text_columns_that_cannot_be(tmp_path, columns, message):
    with pytest.raises(UserError, match=f"--TEXT_COLUMNS.*{message}"):
        make_custom_task(tmp_path, columns, "topic")


def test_files_beside_those_of_a_split_are_not_read(tmp_path):
    for name in ("train.old.csv", "train.csv~", "train.csv.md5", "train.csv", "validation.csv"):
        (tmp_path / name).write_text("text,label\n" + ("old,0\n" if "old" in name else "new,0\nnew,1\n"))
    task = make_custom_task(tmp_path, ["text"], "label")
    assert load_rows(task, "train", DataOptions(tmp_path))["text"][:] == ["new", "new"]
    assert task.evaluation_splits == ["validation"]
    (tmp_path / "train.jsonl").write_text("{}")
    with pytest.raises(UserError, match=r"train\.jsonl and train\.csv for one split"):
        make_custom_task(tmp_path, ["text"], "label")


def test_a_task_without_training_rows_has_no_validation_split():
    with pytest.raises(UserError, match="ax has no validation split; it has test"):
        load_rows(TABLE["ax"], "validation", DataOptions(Path("nowhere")))


@pytest.mark.parametrize("split", ["test", "test_mismatched"])
def test_test_files_need_no_labels(tmp_path, split):
    (tmp_path / "mnli").mkdir()
    file = tmp_path / "mnli" / f"{TABLE['mnli'].splits[split]}.jsonl"
    file.write_text('{"premise": "a film", "hypothesis": "a plot"}\n')
    assert load_rows(TABLE["mnli"], split, DataOptions(tmp_path))["label"][:] == [-1]


def test_more_rows_held_out_than_there_are(tmp_path):
    (tmp_path / "sst2").mkdir()
    (tmp_path / "sst2" / "train.jsonl").write_text('{"sentence": "a film", "label": 0}\n' * 5)
    with pytest.raises(UserError, match="9 cannot be held out"):
        load_rows(hold_out(TABLE["sst2"], 9), "train", DataOptions(tmp_path))
