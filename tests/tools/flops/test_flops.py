"""FLOPs against the published constants and by hand."""

import numpy as np
import pytest
from transformers import BertConfig

from tests import tiny
from tests.golden import load
from tests.golden_quantities import examples_of
from tools.common.errors import UserError
from tools.data.tasks import get_task
from tools.evaluation.evaluate import evaluation_summary, predict
from tools.flops.comparison import compare
from tools.flops.formulas import (
    RUNNING_MASK_OPERATIONS,
    adapler_flops,
    adapler_terms,
    bert_flops,
    bert_terms,
    predictor_flops,
    published_adapler_flops,
    published_bert_flops,
)

LENGTHS = np.arange(2, 513)


def test_published_bert_constants_are_reproduced_exactly():
    # the published form takes the constant measured with two labels for that of one
    assert np.array_equal(bert_flops(BertConfig(), LENGTHS), published_bert_flops(LENGTHS, labels=1))


def test_published_adapler_constants_are_reproduced():
    lengths = np.repeat(LENGTHS[:, None], 13, axis=1)
    ours, published = adapler_flops(BertConfig(), lengths), published_adapler_flops(lengths[:, 1:], labels=1)
    assert np.abs(ours / published - 1).max() < 1e-6


def test_published_forms():
    arrays = load("7_flops")
    for column, labels in enumerate(arrays["labels"]):
        bert = published_bert_flops(arrays["bert_n"], int(labels))
        adapler = published_adapler_flops(arrays["lr_layers"], int(labels))
        assert np.array_equal(bert, arrays["bert_flops"][:, column])
        assert np.array_equal(adapler, arrays["lr_flops"][:, column])


def test_terms_of_a_tiny_config_by_hand():
    terms = bert_terms(tiny.config(num_hidden_layers=1), 2)
    assert terms == {
        "embeddings": 2 * (8 * 12 + 2 + 2),
        "projections": 2 * 4 * (2 * 12 * 12 + 12),
        "attention scores": 2 * (2 * 2 * 2 * 12),
        "softmax": 7 * 3 * 4,
        "feed-forward": 2 * (2 * 12 * 20 + 20 + 2 * 20 * 12 + 12),
        "activations": 2 * 3 * 20,
        "LayerNorms": 2 * 2 * (8 * 12 + 2),
        "pooler": 2 * 12 * 12 + 12,
        "classifier": 2 * 12 * 3 + 3,
    }


def test_a_predictor_is_charged_for_what_enters_its_layer():
    config = tiny.config()
    terms = adapler_terms(config, [7, 5, 3, 2])
    assert terms["contribution predictors"] == predictor_flops(config, 7 + 5 + 3)
    assert terms["feed-forward"] == bert_terms(config, 5 + 3 + 2)["feed-forward"] / 3


def test_with_nothing_dropped_adapler_is_slower_by_its_predictors():
    config = tiny.config()
    bert, adapler = bert_flops(config, 7), adapler_flops(config, [7] * 4)
    share = (3 * predictor_flops(config, 7) + 4 * 7) / bert
    assert bert / adapler == pytest.approx(1 / (1 + share)) and bert < adapler


@pytest.mark.parametrize("neutral", ["eta", "argument", "config"])
def test_evaluation_with_neutral_thresholds_reports_what_the_predictors_cost(neutral):
    model, labels = tiny.make_model(), np.array([0, 1, 2, 0], np.int32)
    if neutral == "eta":
        model.bert.encoder.eta.assign([0.0] * 3)
    model.config.eta_scale = 0.0 if neutral == "config" else 1.0
    examples = examples_of(tiny.inputs((7, 5, 2, 1)), labels)
    predictions = predict(model, examples, batch_size=3, eta_scale=0.0 if neutral == "argument" else None)
    reported = evaluation_summary(get_task("sst2"), model, examples, predictions)
    added = 3 * predictor_flops(model.config, 15) + RUNNING_MASK_OPERATIONS * 15
    share = added / bert_flops(model.config, np.array([7, 5, 2, 1])).sum()
    assert reported["mean_lengths"] == [15 / 4] * 4
    assert reported["speedup"] == pytest.approx(1 / (1 + share), rel=1e-9) and reported["speedup"] < 1


def test_arrays_are_counted_at_once():
    config = tiny.config()
    lengths = np.array([[[7, 5, 3, 2], [7, 7, 7, 7]]])
    assert adapler_flops(config, lengths).shape == (1, 2)
    assert adapler_flops(config, lengths)[0, 0] == adapler_flops(config, [7, 5, 3, 2])


@pytest.mark.parametrize("lengths", [7, [7, 5, 3], [[7, 5, 3, 2, 1]]])
def test_wrong_number_of_lengths(lengths):
    with pytest.raises(ValueError, match="4 entries"):
        adapler_flops(tiny.config(), lengths)


def test_lengths_beyond_the_backbones_positions_are_refused(tmp_path):
    file = tmp_path / "config.json"
    BertConfig(max_position_embeddings=16).to_json_file(file)
    with pytest.raises(UserError, match=r"17 tokens is longer than the 16 positions of .*config\.json"):
        compare(str(file), [8, 17], bert_flops, bert_terms, profile=None)
