"""The ablation: what its four runs of stage 3 differ in, and that the recipe's model alone is scored."""

import re

import pytest

from tests.noted_commands import ADAPLER, FINE_TUNED, noted_commands, stage_names
from tools.runtime.argument_parser import parse
from tools.runtime.arguments import STAGES


def test_the_variants_share_stages_1_and_2_and_differ_in_stage_3(tmp_path):
    done, commands = noted_commands("run_files/ablation.sh mrpc 9 --MIXED_PRECISION --PUBLISHED", tmp_path)
    assert done.returncode == 0, done.stderr
    assert stage_names(commands) == [
        *("run_classification_bert", "store_saliencies"),
        *["run_classification_w_lr"] * 4,
        *["run_classification_evaluation"] * 2,
        "run_summary",
    ]
    published, from_backbone, labels_only, recipe = (
        parse(STAGES["train_adapler"], "", words[1:]) for words in commands[2:6]
    )
    names = [stage.save_name for stage in (published, from_backbone, labels_only, recipe)]
    assert names == ["published", "from_backbone", "labels_only", "run"]
    assert (published.target_speedup, published.gamma, published.phi) == (None, 0.005, 0.0005)
    assert published.learning_rate == 3e-5
    assert not published.distills and published.initial_model_path is None and not published.group_by_length
    assert from_backbone.initial_model_path is None and from_backbone.distills
    assert str(labels_only.initial_model_path) == FINE_TUNED and not labels_only.distills
    assert str(recipe.initial_model_path) == FINE_TUNED and recipe.distills
    for stage in (from_backbone, labels_only, recipe):
        assert (stage.target_speedup, stage.learning_rate, stage.gamma) == (2, 1e-4, None)
    assert all(stage.epochs == 5 and stage.mixed_precision for stage in (published, from_backbone, labels_only, recipe))
    scored = [words[words.index("--MODEL_PATH") + 1] for words in commands[6:]]
    assert scored == [FINE_TUNED, *[ADAPLER.removesuffix(".h5")] * 2]


@pytest.mark.parametrize(
    "flag",
    [
        *("--TARGET_SPEEDUP 3", "--gamma=0.1", "--PHI 1", "--NO_DISTILL", "--INITIAL_MODEL_PATH bert.h5"),
        *("--SAVE_NAME labels_only", "--LEARNING_RATE 7e-5", "--SPEEDUP_LEARNING_RATE=0.1", "--GROUP_BY_LENGTH"),
    ],
    ids=str,
)
def test_flags_in_which_the_variants_differ_are_refused_before_any_training(flag, tmp_path):
    done, commands = noted_commands(f"run_files/ablation.sh mrpc 9 {flag}", tmp_path)
    assert done.returncode == 2 and f"itself sets {re.split('[ =]', flag)[0].upper()}" in done.stderr and not commands
