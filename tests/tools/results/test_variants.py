"""The table of the settings of stage 3 that were tried."""

import numpy as np
import pytest
from scipy import stats

from tests.tools.results.made_results import published_of, run_of, tried_of
from tools.results.variants import other_settings, other_targets, variant_records, variants_table


def runs_of(*seeds: int) -> list[dict]:
    """Runs with four settings each: the recipe, without distillation, from the backbone, and as published."""
    runs = []
    for seed in seeds:
        run = run_of("mrpc", seed, 2.0)
        other = tried_of(run, -0.03, no_distill=True)
        run["tried"] = [tried_of(run, -0.01 * (seed - 21)), other, tried_of(run, -0.02, initial_model_path=None)]
        run["tried"].append(published_of(run))
        run["settings"]["train_adapler"] = run["tried"][0]["settings"]
        runs.append(run)
    return runs


def test_settings_are_compared_by_their_means_over_the_seeds():
    recipe, labels_only, from_backbone = variant_records(runs_of(22, 23))
    assert [r["learns_from"] for r in (recipe, labels_only)] == ["labels, fine-tuned logits", "labels"]
    assert [r["start"] for r in (recipe, from_backbone)] == ["fine-tuned", "pretrained"]
    assert (recipe["seeds"], recipe["speedup"]) == ("22 23", pytest.approx(2.0))
    assert [recipe[name] for name in ("fine_tuned", "score", "difference")] == pytest.approx([90.0, 88.5, -1.5])
    assert [recipe[name] for name in ("low", "high")] == pytest.approx([-2.5, -0.5])
    assert (labels_only["difference"], from_backbone["difference"]) == pytest.approx((-3.0, -2.0))


def test_the_recipe_comes_first_and_the_others_are_compared_with_it_on_the_same_seeds():
    runs = runs_of(22, 23, 24, 25)
    recipe_scores, others = (0.89, 0.88, 0.87, 0.86), (0.80, 0.83, 0.87, 0.82)
    for run, score, other in zip(runs, recipe_scores, others, strict=True):
        run["tried"][0]["trimmed"]["score"], run["tried"][1]["trimmed"]["score"] = score, other
    runs[1]["tried"].reverse()
    runs[0]["tried"].pop(1)
    recipe, labels_only = (record for record in variant_records(runs) if record["start"] == "fine-tuned")
    assert (recipe["learns_from"], recipe["than_first"]) == ("labels, fine-tuned logits", "")
    half_width = stats.t(2).isf(0.025) * np.std([-5, 0, -4], ddof=1) / np.sqrt(3)
    assert labels_only["seeds"] == "23 24 25"
    assert labels_only["than_first"] == f"{-3:+.1f} ({-3 - half_width:+.1f} to {-3 + half_width:+.1f})"
    assert variant_records(runs[1:3])[2]["than_first"] == "-2.5"


def test_a_setting_without_a_seed_of_the_recipe_is_shown_and_not_compared():
    runs = runs_of(22, 23)
    runs[0]["tried"], runs[1]["tried"] = runs[0]["tried"][:1], runs[1]["tried"][1:2]
    assert [record["than_first"] for record in variant_records(runs)] == ["", ""]
    del runs[0]["tried"][0]["trimmed"]
    (labels_only,) = variant_records(runs)
    assert labels_only["learns_from"] == "labels" and labels_only["than_first"] == ""


def test_a_setting_without_a_target_has_the_interval_of_its_seeds():
    runs = runs_of(22, 23, 24)
    for run, score in zip(runs, (0.87, 0.88, 0.89), strict=True):
        run["tried"][3]["epochs"][1]["validation"]["accuracy"] = score
    published = variant_records(runs)[3]
    assert published["aim"] == "gamma 0.005, phi 0.0005" and published["learns_from"] == "labels"
    assert [published[name] for name in ("fine_tuned", "score", "speedup")] == pytest.approx([89.0, 88.0, 1.9])
    half_width = stats.t(2).isf(0.025) * 1.0 / np.sqrt(3)
    assert [published[name] for name in ("low", "high")] == pytest.approx([-1 - half_width, -1 + half_width])


def test_the_last_epoch_stands_for_a_run_that_kept_none():
    runs = runs_of(22, 23, 24)
    for run in runs:
        run["tried"][3]["chosen_epoch"] = None
        run["tried"][3]["epochs"][0]["validation"]["accuracy"] = 0.95
        run["tried"][3]["epochs"][1]["validation"] = {"accuracy": 0.5, "speedup": 9.0}
    assert variant_records(runs)[3]["score"] == pytest.approx(50.0)


def test_equal_runs_of_a_seed_count_once():
    (run,) = runs_of(22)
    run["tried"].append(tried_of(run, -0.01, save_name="again"))
    assert variant_records([run])[0]["seeds"] == "22" and len(variant_records([run])) == 3


def test_stopped_runs_and_single_settings_are_left_out():
    runs = runs_of(22, 23, 24)
    assert len(variant_records(runs)) == 4
    for run in runs:
        del run["tried"][1]["trimmed"]
    assert len(variant_records(runs)) == 3
    runs[0]["tried"][3]["epochs"].pop()
    assert len(variant_records(runs)) == 2
    runs[0]["tried"] = runs[0]["tried"][:1]
    assert len(variant_records(runs[:1])) == 1 and variants_table(runs[:1]) == ""
    assert variants_table([]) == ""


def test_other_settings_are_told_in_words():
    runs = runs_of(22, 23, 24)
    for run in runs:
        run["tried"][1]["settings"]["epochs"] = 3
        run["tried"][2]["settings"]["gamma"] = 0.005
        for tried, score in zip(run["tried"], (0.89, 0.85, 0.9), strict=False):
            tried["trimmed"]["score"] = score
    weights = "from the pretrained weights and gamma 0.005 +1.0"
    assert [r["aim"] for r in variant_records(runs)[:3]] == ["target 2x", "target 2x", "target 2x, gamma 0.005"]
    text = other_settings(runs)
    assert text.startswith("labels alone and 3 epochs -4.0 (") and f", {weights} (" in text
    assert " and the published settings (1.90x against 2.00x) -1.0 (" in text
    assert other_settings(runs[:2]) == f"labels alone and 3 epochs -4.0 and {weights}"
    assert other_settings([]) == "" == other_settings([runs[0] | {"tried": runs[0]["tried"][:1]}])


def test_the_recipe_at_other_targets_is_told_apart_from_other_settings():
    runs = runs_of(22, 23)
    for target, difference, run in ((6.0, -0.05, runs[1]), (3.0, -0.02, runs[1]), (4.0, -0.04, runs[0])):
        run["tried"].append(tried_of(run, difference, target_speedup=target))
        run["tried"][-1]["trimmed"]["speedup"] = {6.0: 4.2, 3.0: 3.05, 4.0: 4.0}[target]
    runs[1]["tried"].append(tried_of(runs[1], -0.09, target_speedup=3.0, no_distill=True))
    text = other_targets(runs)
    three, six = "3x -2.0 (-3.0 to -1.0; seed 23)", "6x, 4.20x reached, -5.0 (-6.0 to -4.0; seed 23)"
    assert text == f"{three}, 4x -4.0 (-5.0 to -3.0; seed 22) and {six}"
    assert "3x and labels alone" in other_settings(runs)
    assert not any(target in other_settings(runs) for target in ("4x", "6x"))
    assert other_targets(runs_of(22)) == "" == other_targets([])
