"""The formulas against what TensorFlow's own profiler counts."""

import pytest
from transformers import BertConfig

from models import AdapLeRConfig
from tests.tiny_task import run_here
from tools.bert_w_lr_flops_calc import all_kept
from tools.flops.comparison import config_of, not_in_formula
from tools.flops.formulas import adapler_flops, bert_flops
from tools.flops.profiler import by_place, profile_adapler, profile_bert, total

CONFIGS = {
    "base, 2 layers": {"num_hidden_layers": 2},
    "384": {"hidden_size": 384, "intermediate_size": 1536, "num_hidden_layers": 3, "num_labels": 4},
    "128": {"hidden_size": 128, "intermediate_size": 512, "num_attention_heads": 2, "num_hidden_layers": 2},
    "relu": {"hidden_size": 256, "num_attention_heads": 4, "num_hidden_layers": 2, "hidden_act": "relu"},
}


@pytest.mark.parametrize("tokens", [2, 64, 512])
@pytest.mark.parametrize("name", CONFIGS)
def test_formulas_agree_with_the_profiler(name, tokens):
    config = BertConfig(**CONFIGS[name])
    assert bert_flops(config, tokens) == pytest.approx(total(profile_bert(config, tokens)), rel=0.006)
    adapler = adapler_flops(config, all_kept(config, tokens))
    assert adapler == pytest.approx(total(profile_adapler(config, tokens)), rel=0.006)


def test_what_the_formula_leaves_out_explains_the_difference():
    config = BertConfig(**CONFIGS["128"])
    places = by_place(profile_bert(config, 64))
    counted = sum(flops for place, flops in places.items() if not not_in_formula(place))
    assert bert_flops(config, 64) == pytest.approx(counted, rel=2e-4)


def test_the_backbone_of_an_adapler_is_profiled_as_plain_bert(tmp_path):
    config = BertConfig(**CONFIGS["128"])
    adapler = AdapLeRConfig.copy_of(config)
    adapler.adapler = True
    adapler.save_pretrained(tmp_path)
    assert profile_bert(config_of(str(tmp_path)), 5) == profile_bert(config, 5)


def test_the_commands(tmp_path):
    BertConfig(**CONFIGS["128"]).save_pretrained(tmp_path)
    for script in ("bert_flops_calc", "bert_w_lr_flops_calc"):
        done = run_here(f"python tools/{script}.py --BACKBONE {tmp_path / 'config.json'} --LENGTHS 7 5")
        assert done.returncode == 0, done.stderr[-2000:]
        assert all(word in done.stdout for word in ("AddV2", "at 7 tokens", "projections", " %"))
