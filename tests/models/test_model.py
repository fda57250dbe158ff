"""The model as people use it: conversion, outputs, saving and loading, refusals."""

import numpy as np
import pytest
import tensorflow as tf
from transformers import BatchEncoding, DistilBertConfig, TFBertForSequenceClassification

from models import TFAdapLeRForSequenceClassification
from tests import tiny
from tests.compare import assert_close


def test_plain_model_is_bert(tmp_path):
    model = tiny.make_model(converted=False)
    model.save_pretrained(tmp_path)
    bert = TFBertForSequenceClassification.from_pretrained(tmp_path)
    assert [w.shape for w in model.weights] == [w.shape for w in bert.weights]
    assert_close(model(tiny.inputs()).logits, bert(tiny.inputs()).logits, 0)


def test_h5_weights_of_transformers_load(tmp_path):
    bert = TFBertForSequenceClassification(tiny.config())
    bert.build_in_name_scope()
    bert.save_weights(str(tmp_path / "bert.h5"))
    model = tiny.make_model(seed=5, converted=False)
    model.load_weights(str(tmp_path / "bert.h5"))
    assert_close(model(tiny.inputs()).logits, bert(tiny.inputs()).logits, 0)


def test_conversion_makes_all_variables_at_once():
    model = tiny.make_model(converted=False)
    before = len(model.weights)
    model.to_AdapLeR()
    encoder = model.bert.encoder
    assert encoder.eta.shape == 3 and encoder.theta.shape == 2 and encoder.removal_lambda.shape == ()
    assert [p.hidden.units for p in encoder.contribution_predictors] == [32, 32, 32]
    assert [p.score.units for p in encoder.contribution_predictors] == [1, 1, 1]
    assert np.allclose(encoder.eta, 0.25) and np.allclose(encoder.theta, 1)
    assert float(encoder.removal_lambda) == pytest.approx(1e20)
    assert len(model.weights) == before + 3 * 4 + 2


def test_converting_twice_keeps_what_was_learnt():
    model = tiny.make_model()
    model.bert.encoder.eta.assign([0.1, 0.2, 0.3])
    model.to_AdapLeR()
    assert np.allclose(model.bert.encoder.eta, [0.1, 0.2, 0.3])


def test_outputs_of_the_soft_mode():
    outputs = tiny.make_model()(tiny.inputs(), output_hidden_states=True, output_attentions=True)
    assert outputs.logits.shape == (3, 3)
    assert [tuple(e.shape) for e in outputs.explanations] == [(3, 7)] * 3
    assert [tuple(n.shape) for n in outputs.lengths] == [(3,)] * 3
    assert len(outputs.hidden_states) == 4 and len(outputs.attentions) == 3
    assert outputs.kept_positions is None


def test_outputs_of_lr_mode():
    outputs = tiny.make_model()(tiny.inputs([7]), lr_mode=True)
    entering = 7
    for explanation, kept, length in zip(outputs.explanations, outputs.kept_positions, outputs.lengths, strict=True):
        assert explanation.shape.as_list() == [1, None] and explanation.row_lengths()[0] == entering
        entering = int(length[0])
        assert kept.row_lengths()[0] == entering and kept[0, 0] == 0
    assert entering < 7


def test_batch_encoding_keywords_and_positions_are_the_same():
    model, arrays = tiny.make_model(), tiny.inputs()
    expected = model(arrays).logits
    assert_close(model(BatchEncoding({k: tf.constant(v) for k, v in arrays.items()})).logits, expected, 0)
    assert_close(model(**arrays).logits, expected, 0)
    assert_close(model(arrays["input_ids"], attention_mask=arrays["attention_mask"]).logits, expected, 1e-6)
    assert_close(model(arrays, return_dict=False)[0], expected, 0)


def test_eta_scale_is_a_speed_dial():
    model = tiny.make_model()
    lengths = [float(sum(model(tiny.inputs([7]), lr_mode=True, eta_scale=s).lengths)[0]) for s in (0, 1, 1.5)]
    assert lengths[0] == 21 and lengths[0] > lengths[1] >= lengths[2]
    model.bert.encoder.eta.assign(model.bert.encoder.eta * 1.5)
    assert float(sum(model(tiny.inputs([7]), lr_mode=True).lengths)[0]) == lengths[2]


@pytest.mark.parametrize("lr_mode", [False, True])
def test_eta_scale_takes_eta_up_to_1_and_no_further(lr_mode):
    model, inputs = tiny.make_model(), tiny.inputs([15] * 20)
    model.bert.encoder.eta.assign([0.5] * 3)
    less, at_1, more, most = (
        np.stack(model(inputs, lr_mode=lr_mode, eta_scale=scale).lengths) for scale in (1.8, 2, 3, 1e9)
    )
    assert less.sum() > at_1.sum() and at_1[-1].max() > 1
    assert np.array_equal(at_1, more) and np.array_equal(at_1, most)


def test_save_pretrained_round_trip(tmp_path):
    model = tiny.make_model()
    model.bert.encoder.theta.assign([0.5, 1.5])
    model.bert.encoder.removal_lambda.assign(1000.0)
    model.save_pretrained(tmp_path)
    again = TFAdapLeRForSequenceClassification.from_pretrained(tmp_path)
    assert again.is_adapler and float(again.bert.encoder.removal_lambda) == pytest.approx(1e20)
    model.bert.encoder.removal_lambda.assign(1e20)
    assert np.array_equal(again.bert.encoder.eta, model.bert.encoder.eta)
    assert np.array_equal(again.bert.encoder.theta, model.bert.encoder.theta)
    assert_close(again(tiny.inputs()).logits, model(tiny.inputs()).logits, 0)


def test_h5_round_trip_without_compiling(tmp_path):
    model = tiny.make_model()
    model.save_weights(str(tmp_path / "w.h5"))
    other = tiny.make_model(seed=9)
    other.load_weights(str(tmp_path / "w.h5"))
    assert_close(other(tiny.inputs()).logits, model(tiny.inputs()).logits, 0)


def test_another_architecture_is_refused_by_name(tmp_path):
    DistilBertConfig().save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="distilbert"):
        TFAdapLeRForSequenceClassification.from_pretrained(tmp_path)


def test_lr_mode_needs_a_converted_model():
    with pytest.raises(ValueError, match="to_AdapLeR"):
        tiny.make_model(converted=False)(tiny.inputs(), lr_mode=True)


def test_left_padding_is_refused():
    arrays = tiny.inputs()
    arrays["attention_mask"] = arrays["attention_mask"][:, ::-1]
    for lr_mode in (False, True):
        with pytest.raises(ValueError, match="CLS"):
            tiny.make_model()({k: v[2:] for k, v in arrays.items()}, lr_mode=lr_mode)


@pytest.mark.parametrize("rows, columns", [(1, 9), (3, 4), (3, 12)])
@pytest.mark.parametrize("in_graph", [False, True])
def test_a_mask_of_another_shape_than_the_tokens_is_refused(rows, columns, in_graph):
    ids, mask, model = tf.ones((3, 9), tf.int32), tf.ones((rows, columns), tf.int32), tiny.make_model()
    call = lambda ids, mask: model({"input_ids": ids, "attention_mask": mask}, lr_mode=True).lengths  # noqa: E731
    if in_graph:
        call = tf.function(call, input_signature=[tf.TensorSpec((None, None), tf.int32)] * 2)
    with pytest.raises((ValueError, tf.errors.InvalidArgumentError), match="mask"):
        call(ids, mask)
