"""The ablation: what its four runs of stage 3 differ in, and that the recipe's model alone is scored."""

from tests.noted_commands import ADAPLER, FINE_TUNED, noted_commands, stage_names
from tests.tiny_task import run
from tools.runtime.argument_parser import parse
from tools.runtime.arguments import STAGES


def test_the_variants_share_stages_1_and_2_and_differ_in_stage_3(tmp_path):
    done, commands = noted_commands("run_files/ablation.sh mrpc 9 --MIXED_PRECISION", tmp_path)
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
    assert not published.distills and published.initial_model_path is None and not published.group_by_length
    assert from_backbone.initial_model_path is None and from_backbone.distills
    assert str(labels_only.initial_model_path) == FINE_TUNED and not labels_only.distills
    assert str(recipe.initial_model_path) == FINE_TUNED and recipe.distills
    for stage in (from_backbone, labels_only, recipe):
        assert (stage.target_speedup, stage.learning_rate, stage.gamma) == (2, 1e-4, None)
    assert all(stage.epochs == 5 and stage.mixed_precision for stage in (published, from_backbone, labels_only, recipe))
    scored = [words[words.index("--MODEL_PATH") + 1] for words in commands[6:]]
    adapler = ADAPLER.removesuffix(".h5")
    assert scored == [FINE_TUNED, adapler, adapler]


def test_a_target_of_the_users_is_refused_before_any_training(tmp_path):
    done, commands = noted_commands("run_files/ablation.sh mrpc 9 --TARGET_SPEEDUP 3", tmp_path)
    assert done.returncode == 2 and "--TARGET_SPEEDUP" in done.stderr and not commands
    assert "Usage" in run("run_files/ablation.sh mrpc").stderr
