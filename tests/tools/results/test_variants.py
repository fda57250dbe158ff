"""The table of the settings of stage 3 that were tried."""

import pytest

from tests.tools.results.made_results import published_of, run_of, tried_of
from tools.results.variants import variant_records, variants_table


def runs_of(*seeds: int) -> list[dict]:
    """Runs with four settings each: the recipe, without distillation, from the backbone, and as published."""
    runs = []
    for seed in seeds:
        run = run_of("mrpc", seed, 2.0)
        other = tried_of(run, -0.03, no_distill=True)
        run["tried"] = [tried_of(run, -0.01 * (seed - 21)), other, tried_of(run, -0.02, initial_model_path=None)]
        run["tried"].append(published_of(run))
        runs.append(run)
    return runs


def test_settings_are_compared_by_their_means_over_the_seeds():
    recipe, labels_only, from_backbone, published = variant_records(runs_of(22, 23))
    assert [r["learns_from"] for r in (recipe, labels_only)] == ["labels, fine-tuned logits", "labels"]
    assert [r["start"] for r in (recipe, from_backbone)] == ["fine-tuned", "pretrained"]
    assert (recipe["seeds"], recipe["speedup"]) == ("22 23", pytest.approx(2.0))
    assert [recipe[name] for name in ("fine_tuned", "score", "difference")] == pytest.approx([90.0, 88.5, -1.5])
    assert [recipe[name] for name in ("low", "high")] == pytest.approx([-2.5, -0.5])
    assert (labels_only["difference"], from_backbone["difference"]) == pytest.approx((-3.0, -2.0))
    assert published["aim"] == "gamma 0.005, phi 0.0005" and published["learns_from"] == "labels"
    assert [published[name] for name in ("fine_tuned", "score", "speedup")] == pytest.approx([89.0, 88.0, 1.9])
    assert "low" not in published


def test_the_last_epoch_stands_for_a_run_that_kept_none():
    (run,) = runs_of(22)
    run["tried"][3]["chosen_epoch"] = None
    run["tried"][3]["epochs"][1]["validation"] = {"accuracy": 0.5, "speedup": 9.0}
    assert variant_records([run])[3]["score"] == pytest.approx(50.0)


def test_stopped_runs_and_single_settings_are_left_out():
    (run,) = runs_of(22)
    del run["tried"][1]["trimmed"]
    run["tried"][3]["epochs"].pop()
    assert len(variant_records([run])) == 2
    run["tried"] = run["tried"][:1]
    assert len(variant_records([run])) == 1 and variants_table([run]) == ""
    assert variants_table([]) == ""
