"""The shared loop over batches, and compiled functions that are freed with their model."""

import gc
import weakref

import numpy as np
import pytest

from tests import tiny
from tests.compare import assert_close
from tests.golden_quantities import examples_of
from tools.evaluation.evaluate import predict
from tools.explanations.saliencies import saliency_matrix
from tools.explanations.token_traces import trace_tokens
from tools.runtime.batches import collect_results, stream_results

LENGTHS = (7, 2, 5, 1, 9)


@pytest.fixture
def examples():
    return examples_of(tiny.inputs(LENGTHS), np.array([0, 1, 2, 0, 1], np.int32))


def test_results_come_in_the_order_of_the_examples(examples):
    def count(inputs, targets):
        return inputs["attention_mask"].numpy().sum(axis=1), targets["labels"]

    rows = collect_results(count, examples, batch_size=2, desc="")
    assert [(int(length), int(label)) for length, label in rows] == list(zip(LENGTHS, (0, 1, 2, 0, 1), strict=True))


def test_batches_hold_examples_of_similar_length(examples):
    results = list(stream_results(lambda inputs, _: [inputs["input_ids"]], examples, batch_size=2, desc=""))
    assert [position for position, _ in results] == [3, 1, 2, 0, 4]
    assert [len(row) for _, (row,) in results] == [2, 2, 7, 7, 9]


def test_compiled_functions_are_reused_until_the_model_is_converted(examples):
    model = tiny.make_model(converted=False)
    for batch_size in (2, 3):
        assert predict(model, examples, batch_size).lengths.tolist() == [[length] * 4 for length in LENGTHS]
    (forward,) = model._compiled_functions.values()
    assert forward.experimental_get_tracing_count() == 1
    model.to_AdapLeR()
    assert (predict(model, examples, 2).lengths[:, -1] < LENGTHS).any()


def test_compiled_functions_are_freed_with_the_model(examples):
    def use_a_model() -> weakref.ref:
        model = tiny.make_model(converted=False, num_hidden_layers=1)
        saliency_matrix(model, examples, 16, 2)
        predict(model, examples, 2)
        return weakref.ref(model)

    reference = use_a_model()
    for _ in range(3):  # finalisers of one pass release what the next one collects
        gc.collect()
    assert reference() is None


def test_tokens_are_traced_as_by_the_models_own_positions():
    outputs = tiny.make_model()(tiny.inputs(LENGTHS), lr_mode=True)
    kept, contributions = trace_tokens(outputs)
    assert kept.shape == contributions.shape == (5, 3, 9)
    for layer, positions in enumerate(outputs.kept_positions):
        assert [np.flatnonzero(row).tolist() for row in kept[:, layer]] == positions.to_list()
        assert_close(contributions[:, layer].sum(axis=1), np.ones(5), 1e-5)
        entered = kept[:, layer - 1] if layer else np.arange(9) < np.array(LENGTHS)[:, None]
        assert not contributions[:, layer][~entered].any()
