"""What RESULTS.md says of how its numbers came about."""

from pathlib import Path

import pandas
import pytest

from tests.tools.results.made_results import published_of, rows_of, run_of, tried_of, write_results
from tools.results import figures
from tools.results.result_files import read_folder
from tools.results.write_pages import pages


def page_of(folder: Path, name: str = "RESULTS.md") -> str:
    return pages(folder, folder / "RESULTS.md")[folder / name]


def fine_tuned_best_at(epoch: int, run: dict) -> dict:
    return run | {"bert": run["bert"] | {"model": f"bert_{run['task']}_{epoch}.h5"}}


def test_baselines_that_were_still_rising_are_named(tmp_path):
    epochs = run_of("mrpc", 22, 2.0)["settings"]["fine_tune"]["epochs"]
    best = {("mrpc", 22): epochs, ("mrpc", 23): epochs - 1, ("sst2", 22): epochs, ("sst2", 23): epochs}
    runs = [fine_tuned_best_at(epoch, run_of(task, seed, 2.0)) for (task, seed), epoch in best.items()]
    text = page_of(write_results(tmp_path / "made", runs))
    assert "- In 3 of 4 runs, the last epoch of fine-tuning is the best on validation, so" in text
    assert "baselines: mrpc 22 and sst2 22 23.\n" in text
    text = page_of(write_results(tmp_path / "settled", runs[1:2]))
    assert "last epoch of fine-tuning" not in text


def test_a_page_shows_the_epochs_of_fine_tuning(tmp_path):
    run = fine_tuned_best_at(2, run_of("mrpc", 22, 2.0)) | {"fine_tuning_scores": [0.8, 0.9, 0.85]}
    older = fine_tuned_best_at(3, run_of("mrpc", 23, 2.0))
    del older["fine_tuning_scores"]
    folder = write_results(tmp_path / "made", [run, older])
    text = page_of(folder, "mrpc.md")
    assert "Best on validation: epoch 2 of 0.8000, 0.9000, 0.8500.\n" in text
    assert "Best on validation: epoch 3.\n" in text


def test_runs_that_compare_settings_are_in_their_table_and_in_no_mean(tmp_path):
    """Their looks at the test set are in the list."""
    run, compared = run_of("mrpc", 22, 2.0, -0.004), run_of("mrpc", 25, 2.0, -0.09, date="2020-02-03")
    run["tried"] = [tried_of(run, -0.01)]
    compared["tried"] = [tried_of(compared, -0.02), tried_of(compared, -0.03, no_distill=True)]
    for each in (run, compared):
        each["settings"]["train_adapler"] = each["tried"][0]["settings"]
    folder = write_results(tmp_path / "made", [run])
    write_results(folder / "ablation", [compared])
    text = page_of(folder)
    (row,) = [row for row in rows_of(text) if row.get("task") == "mrpc" and "seeds" in row and "goal" in row]
    assert (row["seeds"], row["difference (95 %)"][:4]) == ("22", "-0.4")
    (look,) = [row for row in rows_of(text) if row.get("date") == "2020-02-03"]
    assert (look["task"], look["seeds"]) == ("mrpc", "25")
    page = page_of(folder, "mrpc.md")
    rows = {row["learns from"]: row for row in rows_of(page) if "AdapLeR minus the first row's" in row}
    assert [row["seeds"] for row in rows.values()] == ["22 25", "25"]
    assert rows["labels"]["AdapLeR minus the first row's"] == "-1.0"
    assert "the runs that the goal is about: mrpc 25." in page
    places = [page.index(text) for text in ("mrpc, minilm, seed 22", "Trained to compare", "mrpc, minilm, seed 25")]
    assert places == sorted(places)
    assert read_folder(folder).tasks == ["mrpc"]


def test_the_arithmetic_of_training_is_said_where_all_runs_share_it(tmp_path):
    runs = [run_of("mrpc", 22, 2.0), run_of("sst2", 22, 2.0)]
    for run in runs:
        for settings in run["settings"].values():
            settings["mixed_precision"] = True
    assert "- All training is in mixed precision" in page_of(write_results(tmp_path / "made", runs))
    runs[1]["settings"]["fine_tune"]["mixed_precision"] = False
    assert "mixed precision" not in page_of(write_results(tmp_path / "other", runs))


def test_the_recipe_at_other_targets_is_on_the_page_and_in_the_figure(tmp_path):
    run = run_of("sst2", 23, 2.0)
    run["tried"] = [tried_of(run, -0.01), tried_of(run, -0.025, target_speedup=6.0)]
    run["tried"][1]["trimmed"]["speedup"] = 6.1
    run["settings"]["train_adapler"] = run["tried"][0]["settings"]
    text = page_of(write_results(tmp_path / "made", [run]))
    assert "other targets" in text and "more than 3% off: sst2: 6x -2.5 (-3.5 to -1.5; seed 23).\n" in text
    chosen = [row for row in figures.tradeoff_rows([run]) if row["series"] == "chosen, seed 23"]
    assert [row["speedup"] for row in chosen] == pytest.approx([2.02, 6.1])
    assert [row["score"] for row in chosen] == pytest.approx([89.6, 87.5])
    assert [chosen[1][end] for end in ("low", "high")] == pytest.approx([-3.5, -1.5])
    figure = figures.draw_tradeoff(pandas.DataFrame(figures.tradeoff_rows([run])))
    names = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert sorted(names) == ["chosen, seed 23", "epochs of all settings", "fine-tuned", "one point lost"]
    assert "other targets" not in page_of(write_results(tmp_path / "one", [run_of("sst2", 23, 2.0)]))


def test_settings_that_differ_from_the_recipe_beyond_their_interval_are_named(tmp_path):
    """With fewer than three seeds nothing is said, and of settings without a target neither."""
    runs = [run_of("mrpc", seed, 2.0) for seed in (22, 23, 24)]
    for number, run in enumerate(runs):
        run["tried"] = [tried_of(run, -0.01), tried_of(run, -0.01 * number, no_distill=True), published_of(run)]
        run["settings"]["train_adapler"] = run["tried"][0]["settings"]
        run["tried"][2]["epochs"][1]["validation"]["accuracy"] = 0.95
    text = page_of(write_results(tmp_path / "same", runs))
    assert "labels alone +0.0 (" in text and "none has an interval that leaves out zero.\n" in text
    for run in runs:
        run["tried"][1]["trimmed"]["score"] = 0.94
    text = page_of(write_results(tmp_path / "other", runs))
    assert "these have an interval that leaves out zero: labels alone on mrpc.\n" in text
    assert "leaves out zero" not in page_of(write_results(tmp_path / "two", runs[:2]))
