"""The configuration of AdapLeR models: validation, independence of models, and loading by class and by Auto classes."""

import json
import os
import subprocess
import sys

import pytest
from transformers import AutoConfig, AutoTokenizer, BertConfig, BertTokenizerFast, TFAutoModelForSequenceClassification

from models import AdapLeRConfig, TFAdapLeRForSequenceClassification
from tests import tiny
from tests.compare import assert_close

WRONG = {
    "adapler": [1, "true", None],
    "eta_scale": [float("nan"), float("inf"), -0.1, "1", True, None],
    "max_input_length": [0, -3, 2.5, "64", True],
    "text_columns": ["text", [], ["a", "b", "c"], [1]],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in WRONG.items() for value in values])
def test_wrong_values_are_refused(name, value):
    with pytest.raises(ValueError, match=name):
        AdapLeRConfig(**{name: value})
    config = AdapLeRConfig()
    for assign in (lambda: setattr(config, name, value), lambda: config.update({name: value})):
        with pytest.raises(ValueError, match=name):
            assign()
    assert config.to_dict() == AdapLeRConfig().to_dict()


def test_inputs_are_no_longer_than_the_positions():
    with pytest.raises(ValueError, match="16 positions"):
        AdapLeRConfig(max_input_length=17, max_position_embeddings=16)


def test_two_models_of_one_config_do_not_affect_each_other():
    shared = tiny.config()
    first, second = (TFAdapLeRForSequenceClassification(shared) for _ in range(2))
    first.to_AdapLeR()
    assert first.is_adapler and not second.is_adapler and not getattr(shared, "adapler", False)
    assert second(tiny.inputs()).logits.shape == (3, 3)
    third = TFAdapLeRForSequenceClassification(first.config)
    third.build_in_name_scope()
    third.config.eta_scale = 1.5
    assert third.is_adapler and first.eta_scale == 1.0


def saved_config(directory) -> dict:
    return json.loads((directory / "config.json").read_text())


def test_a_plain_model_is_saved_as_bert(tmp_path):
    tiny.make_model(converted=False).save_pretrained(tmp_path)
    assert saved_config(tmp_path)["model_type"] == "bert"
    assert type(AutoConfig.from_pretrained(tmp_path)) is BertConfig


@pytest.fixture
def directory(tmp_path):
    """A converted model with settings of its own, and a tokenizer."""
    model = tiny.make_model()
    model.config.update({"eta_scale": 1.25, "max_input_length": 9, "text_columns": ["premise", "hypothesis"]})
    model.save_pretrained(tmp_path)
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"w{number}" for number in range(45))]
    (tmp_path / "vocab.txt").write_text("\n".join(words))
    BertTokenizerFast(str(tmp_path / "vocab.txt")).save_pretrained(tmp_path)
    return tmp_path


def assert_same_model(loaded, expected):
    assert isinstance(loaded, TFAdapLeRForSequenceClassification) and loaded.is_adapler
    assert (loaded.eta_scale, loaded.longest_input) == (1.25, 9)
    assert loaded.config.text_columns == ["premise", "hypothesis"]
    batch = tiny.inputs()
    assert_close(loaded(batch, lr_mode=True).logits, expected(batch, lr_mode=True, eta_scale=1.25).logits, 0)


def test_auto_classes_load_a_converted_model(directory):
    values = saved_config(directory)
    assert values["model_type"] == AdapLeRConfig.model_type != "bert"
    assert "eta" not in values and "theta" not in values and "MAX_LENGTH" not in values
    assert_same_model(TFAutoModelForSequenceClassification.from_pretrained(directory), tiny.make_model())
    assert isinstance(AutoTokenizer.from_pretrained(directory), BertTokenizerFast)


def test_the_auto_tokenizer_needs_no_tokenizer_class(directory):
    file = directory / "tokenizer_config.json"
    file.write_text(json.dumps({k: v for k, v in json.loads(file.read_text()).items() if k != "tokenizer_class"}))
    assert isinstance(AutoTokenizer.from_pretrained(directory), BertTokenizerFast)


def test_a_directory_of_an_earlier_version_loads(directory, tmp_path_factory):
    values = saved_config(directory)
    values["MAX_LENGTH"] = values.pop("max_input_length")
    values |= {"model_type": "bert", "eta": [0.9] * 3, "theta": [1.0] * 2}
    (directory / "config.json").write_text(json.dumps(values))
    model = TFAdapLeRForSequenceClassification.from_pretrained(directory)
    assert_same_model(model, tiny.make_model())
    again = tmp_path_factory.mktemp("again")
    model.save_pretrained(again)
    assert saved_config(again)["model_type"] == AdapLeRConfig.model_type and "eta" not in saved_config(again)


WITHOUT_THE_PROJECT = """
import sys
from transformers import AutoTokenizer, TFAutoModelForSequenceClassification
assert AutoTokenizer.from_pretrained(sys.argv[1]).is_fast
TFAutoModelForSequenceClassification.from_pretrained(sys.argv[1])
"""


def test_a_converted_directory_is_an_error_without_the_project(directory):
    command = [sys.executable, "-c", WITHOUT_THE_PROJECT, str(directory)]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True)
    assert done.returncode == 1 and f"`{AdapLeRConfig.model_type}`" in done.stderr
