"""Rationale metrics by hand and by scikit-learn; attention rollout; what the commands write."""

import json

import numpy as np
import pytest
import tensorflow as tf
from sklearn.metrics import f1_score, precision_score, recall_score

from tests import tiny
from tests.compare import assert_close
from tests.tiny_task import run_here, write_backbone
from tools.common.atomic_files import file_checksum
from tools.common.paths import TaskPaths
from tools.data.examples import Examples
from tools.data.tasks import majority_rationale
from tools.explanations import evaluate_rationales
from tools.explanations.attentions import mean_attentions, rollout
from tools.explanations.rationale_metrics import agreement, by_word, highest, mean_with_interval, ranking
from tools.explanations.token_scores import METHODS, TokenScores, faithfulness, score_examples


def test_agreement_by_hand():
    truth = np.array([1, 1, 0, 0, 0, 0], bool)
    chosen = np.array([1, 0, 1, 0, 0, 0], bool)
    assert agreement(chosen, truth) == {"tpr": 0.5, "fpr": 0.25, "precision": 0.5, "f1": 0.5}
    assert agreement(~chosen, truth) == {"tpr": 0.5, "fpr": 0.75, "precision": 0.25, "f1": pytest.approx(1 / 3)}
    nothing = agreement(np.zeros(6, bool), truth)
    assert nothing["tpr"] == nothing["fpr"] == nothing["f1"] == 0 and np.isnan(nothing["precision"])


def test_agreement_is_scikit_learns():
    rng = np.random.default_rng(0)
    for _ in range(50):
        truth, chosen = rng.random((2, 9)) < 0.5
        truth[0] = chosen[0] = True
        ours = agreement(chosen, truth)
        theirs = [function(truth, chosen) for function in (recall_score, precision_score, f1_score)]
        assert [ours["tpr"], ours["precision"], ours["f1"]] == pytest.approx(theirs)


def test_ranking_by_hand():
    truth = np.array([1, 0, 1, 0], bool)
    assert ranking(np.array([4.0, 3, 2, 1]), truth) == {
        "average_precision": pytest.approx((1 + 2 / 3) / 2),
        "roc_auc": 0.75,
    }
    assert all(np.isnan(value) for value in ranking(np.arange(4.0), np.ones(4, bool)).values())


def test_highest_and_words():
    assert highest(np.array([1.0, 3, 3, 2]), 2).tolist() == [False, True, True, False]
    assert not highest(np.ones(3), 0).any()
    by_layer = np.array([[9, 1, 5, 2, 9], [9, 7, 5, 0, 9]])
    assert by_word(by_layer, np.array([-1, 0, 0, 3, -1])).tolist() == [[5, 2], [7, 0]]
    assert by_word(by_layer[0], np.array([-1, 0, 0, 3, -1])).tolist() == [5, 2]


def test_mean_leaves_nan_out():
    interval = mean_with_interval([1.0, np.nan, 0.0, 1.0, 0.0])
    assert interval["mean"] == 0.5 and interval["examples"] == 4 and interval["low"] < 0.5 < interval["high"]
    assert mean_with_interval([0.3, 0.3])["low"] == 0.3
    assert mean_with_interval([np.nan])["examples"] == 0 and np.isnan(mean_with_interval([np.nan])["mean"])


def test_examples_of_one_document_are_drawn_together():
    """40 documents of 25 equal windows each have the interval of 40 examples, not of 1,000."""
    rng = np.random.default_rng(0)
    values, documents = rng.random(40), rng.permutation(40)
    windows = np.repeat(np.arange(40), 25)
    together, alone = mean_with_interval(values[windows], documents[windows]), mean_with_interval(values)
    assert together["mean"] == pytest.approx(values.mean()) and together["examples"] == 1000
    assert together["high"] - together["low"] == pytest.approx(alone["high"] - alone["low"], rel=0.1)


def test_majority_of_annotators():
    assert majority_rationale({"rationales": [[1, 0, 1], [1, 0, 0], [0, 0, 0]]}) == [1, 0, 0]
    assert majority_rationale({"rationales": [[1, 0], [0, 0]]}) == [1, 0]
    assert majority_rationale({"rationales": []}) == []


def test_rollout_by_hand():
    attentions = np.random.default_rng(0).dirichlet(np.ones(4), (2, 3, 4)).astype(np.float32)
    rolled = rollout(tf.constant(attentions)).numpy()
    for example in range(2):
        product = np.eye(4)
        for layer in range(3):
            product = (attentions[example, layer] + np.eye(4)) / 2 @ product
            assert_close(rolled[example, layer], product, 1e-6)


def test_mean_attentions_are_of_plain_bert_and_sum_to_one():
    attentions = mean_attentions(tiny.make_model(converted=False), tiny.inputs((7, 5))).numpy()
    assert attentions.shape == (2, 3, 7, 7)
    assert_close(attentions.sum(axis=-1), np.ones((2, 3, 7)), 1e-5)
    assert attentions[1, :, :, 5:].max() == 0


def test_faithfulness_by_hand():
    """Comprehensiveness is what is lost without the chosen tokens, sufficiency what is lost on them alone."""
    bert = tiny.make_model(converted=False)
    tokens = [[2, 7, 9, 11, 3], [2, 8, 10, 3]]
    chosen = [np.array([False, True, False, False, False]), np.array([False, False, True, False])]
    words = tf.ragged.constant([[-1, 0, 1, 2, -1], [-1, 0, 1, -1]], dtype=tf.int32)
    ids = tf.ragged.constant(tokens, dtype=tf.int32)
    examples = Examples(np.arange(2), ids, tf.zeros_like(ids), np.zeros(2, np.int32), 0, word=words)
    labels = [2, 0]

    def probability(ids: list[int], label: int) -> float:
        return float(tf.nn.softmax(bert({"input_ids": tf.constant([ids])}).logits)[0, label])

    whole = [probability(row, label) for row, label in zip(tokens, labels, strict=True)]
    scored = [TokenScores({}, np.ones((3, 1), bool), *pair) for pair in zip(labels, whole, strict=True)]
    losses = faithfulness(bert, examples, scored, chosen, batch_size=1)
    without = probability([2, 9, 11, 3], 2), probability([2, 8, 3], 0)
    alone = probability([2, 7, 3], 2), probability([2, 10, 3], 0)
    for row in range(2):
        assert losses[row]["comprehensiveness"] == pytest.approx(whole[row] - without[row], abs=1e-5)
        assert losses[row]["sufficiency"] == pytest.approx(whole[row] - alone[row], abs=1e-5)
    assert max(abs(without[row] - alone[row]) for row in range(2)) > 1e-3


def test_a_random_score_is_drawn_for_each_word():
    """A word of three pieces is as likely to be the best as a word of one."""
    ids = tf.ragged.constant([[2, 7, 9, 11, 8, 3]] * 40, dtype=tf.int32)
    words = tf.ragged.constant([[-1, 4, 4, 4, 9, -1]] * 40, dtype=tf.int32)
    examples = Examples(np.arange(40), ids, tf.zeros_like(ids), np.zeros(40, np.int32), 0, word=words)
    scored = score_examples(tiny.make_model(), tiny.make_model(converted=False), examples, batch_size=40)
    scores = np.array([example.scores["random"] for example in scored])
    assert (scores[:, 1:4] == scores[:, [1]]).all() and len(np.unique(scores[:, [1, 4]])) == 80
    assert 10 < (scores[:, 1] > scores[:, 4]).sum() < 30  # of 40; outside once in 700 times


def test_windows_of_one_document_are_compared_together(monkeypatch):
    ids = tf.ragged.constant([[2, 7, 9, 3]] * 4, dtype=tf.int32)
    words = tf.ragged.constant([[-1, 0, 1, -1]] * 4, dtype=tf.int32)
    marks = tf.ragged.constant([[0, 1, 0, 0]] * 4, dtype=tf.int32)
    documents, labels = np.array([5, 5, 6, 6]), np.zeros(4, np.int32)
    examples = Examples(
        np.arange(4), ids, tf.zeros_like(ids), labels, 0, word=words, rationale=marks, documents=documents
    )
    bert, given = tiny.make_model(converted=False), []
    monkeypatch.setattr(evaluate_rationales, "mean_with_interval", lambda _, documents: given.append(documents))
    evaluate_rationales.compare(bert, examples, score_examples(tiny.make_model(), bert, examples, 4), 4)
    assert len(given) > 40 and all(documents is examples.documents for documents in given)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    root = tmp_path_factory.mktemp("rationales")
    backbone = write_backbone(root / "tiny_marks")
    rng = np.random.default_rng(0)
    (root / "data" / "demo").mkdir(parents=True)
    for split, count in (("train", 40), ("validation", 9), ("test", 9)):
        rows = []
        for _ in range(count):
            words = rng.choice(["a", "film", "plot", "the", "very"], 6).tolist()
            label, place = int(rng.integers(2)), int(rng.integers(6))
            words[place] = ("bad", "good")[label]
            rows.append({"text": " ".join(words), "label": label, "rationale": [int(i == place) for i in range(6)]})
        (root / "data" / "demo" / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    flags = f"--BACKBONE {backbone} --DATA_DIR {root / 'data'} --MAX_LENGTH 16"
    flags = f"--TASK demo --DATA_SEED 4 {flags}"
    for command in (
        "run_files/run_classification_bert.py --EPOCHS 1",
        "tools/store_saliencies.py",
        "run_files/run_classification_w_lr.py --EPOCHS 1 --GAMMA 0.1 --PHI 0.1 --SPEEDUP_LEARNING_RATE 0.1",
    ):
        result = run_here(f"python {command} {flags}")
        assert result.returncode == 0, result.stderr[-3000:]
    return TaskPaths("tiny_marks", 4, "demo"), flags


@pytest.mark.slow
@pytest.mark.ci
def test_evaluate_rationales(trained):
    paths, flags = trained
    model = next(path for path in paths.adaptive_models.iterdir() if path.is_dir())
    result = run_here(f"python -m tools.explanations.evaluate_rationales {flags} --MODEL_PATH {model}")
    assert result.returncode == 0, result.stderr[-3000:]
    comparison = json.loads(paths.rationales(model, "test").read_text())
    assert comparison["weights"] == file_checksum(model / "tf_model.h5")
    assert comparison["examples"] == 9 and set(comparison["methods"]) == set(METHODS) == set(comparison["layers"])
    for values in comparison["methods"].values():
        assert 0 <= values["fpr"]["low"] <= values["fpr"]["mean"] <= values["fpr"]["high"] <= 1
    assert len(comparison["kept"]) == 3
    means = {name: values["fpr"]["mean"] for name, values in comparison["methods"].items()}
    for name, difference in comparison["fpr_over_adapler"].items():
        assert difference["mean"] == pytest.approx(means[name] - means["AdapLeR"])


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.parametrize("kind", ["", "--ROLLOUT", "--ONLY_LAST_LAYER"])
def test_store_attentions(trained, kind):
    _, flags = trained
    result = run_here(f"python tools/store_attentions.py {flags} --SPLIT test {kind}")
    assert result.returncode == 0, result.stderr[-3000:]
    with np.load(result.stdout.splitlines()[-1], allow_pickle=False) as stored:
        assert len(stored.files) == 9
        attention = stored[stored.files[0]]
    assert attention.shape == (1 if "LAST" in kind else 3, 8, 8)
    assert_close(attention.sum(axis=-1), np.ones(attention.shape[:2]), 1e-5)


@pytest.mark.slow
@pytest.mark.ci
def test_a_task_without_rationales_is_refused(trained):
    paths, flags = trained
    model = next(path for path in paths.adaptive_models.iterdir() if path.is_dir())
    result = run_here(
        f"python -m tools.explanations.evaluate_rationales {flags.replace('demo', 'sst2', 1)} --MODEL_PATH {model}"
    )
    assert result.returncode == 2 and "Traceback" not in result.stderr
