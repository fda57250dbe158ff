"""The generated task: always the same, honest about its rationales, and not for bags of words."""

import hashlib
import json

import numpy as np
import pytest
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from transformers import AutoTokenizer

from tests.tiny_task import run
from tools.common import paths
from tools.common.paths import TaskPaths
from tools.data.rows import DataOptions, demo_task, load_rows
from tools.data.tasks import TABLE

FINGERPRINT = "35f0e825b3780481a50d181f60b70682c1a0813f93591ab74790b91404e170f4"


@pytest.fixture(scope="module")
def splits():
    return {split: demo_task.generate(split) for split in demo_task.SIZES}


def test_the_generator_stays_as_it_is(splits):
    assert hashlib.sha256(json.dumps(splits).encode()).hexdigest() == FINGERPRINT


def test_sizes_balance_and_no_leakage(splits):
    texts = {split: {example["text"] for example in examples} for split, examples in splits.items()}
    assert {split: len(t) for split, t in texts.items()} == demo_task.SIZES
    assert not texts["train"] & (texts["validation"] | texts["test"])
    for examples in splits.values():
        assert 0.45 < np.mean([example["label"] for example in examples]) < 0.55


def label_from(words: list[str]) -> int:
    """The label, from the rationale's words alone: [the aspect that matters, its opinion's words in order]."""
    opinion = next(word for word in words if word in demo_task.OPINIONS[0] + demo_task.OPINIONS[1])
    negated = any(word in demo_task.NEGATIONS for word in words)
    return int((opinion in demo_task.OPINIONS[1]) != negated)


def test_the_rationale_decides_the_label(splits):
    for example in splits["test"]:
        words = example["text"].split()
        assert len(words) == len(example["rationale"])
        told = [word for word, is_rationale in zip(words, example["rationale"], strict=True) if is_rationale]
        assert sum(word in demo_task.ASPECTS for word in told) == 2 and len(set(told) & set(demo_task.ASPECTS)) == 1
        assert label_from(told) == example["label"]


def test_a_bag_of_words_does_not_solve_it(splits):
    texts = {split: [example["text"] for example in examples] for split, examples in splits.items()}
    labels = {split: [example["label"] for example in examples] for split, examples in splits.items()}
    counts = CountVectorizer()
    classifier = LogisticRegression(max_iter=1000).fit(counts.fit_transform(texts["train"]), labels["train"])
    assert classifier.score(counts.transform(texts["test"]), labels["test"]) <= 0.75


def test_backbone_is_always_the_same_and_some_words_are_pieces(tmp_path):
    for name in "ab":
        demo_task.build_backbone(tmp_path / name)
    for file in ("vocab.txt", "config.json", "tokenizer.json"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "a")
    assert tokenizer.tokenize("the view was disappointing .") == [
        "the",
        "view",
        "was",
        "disappoint",
        "##ing",
        ".",
    ]
    unknown = [e for e in demo_task.generate("test") if tokenizer.unk_token_id in tokenizer(e["text"])["input_ids"]]
    assert not unknown


def test_the_examples_of_an_earlier_version_are_written_anew(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "DIRECTORY", tmp_path)
    sizes = {"train": 30, "validation": 5, "test": 5}
    for train in (20, 30):
        monkeypatch.setattr(demo_task, "SIZES", sizes | {"train": train})
        assert len(load_rows(TABLE["demo"], "train", DataOptions())) == train


@pytest.mark.slow
def test_bert_solves_what_a_bag_of_words_does_not():
    """Stage 1 with the task's own settings; the bag of words is scored above."""
    script = "python run_files/run_classification_bert.py --TASK demo --DATA_SEED 22"
    flags = "${COMMON[*]} ${RECIPE[*]} ${TARGET_FINE_TUNE[*]}"
    result = run(f"bash -euc 'source run_files/tasks/demo.sh && {script} {flags}'")
    assert result.returncode == 0, result.stderr[-3000:]
    log = json.loads(TaskPaths("demo_bert", 22, "demo").fine_tuning_log.read_text())
    assert max(entry["validation"]["accuracy"] for entry in log) >= 0.9
