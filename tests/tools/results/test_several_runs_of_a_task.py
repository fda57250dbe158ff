"""Runs of one task that no mean joins, because their backbones or data differ, keep apart in words and tables."""

import pytest

from tests.tools.results.made_results import rows_of, run_of, texts_of, tried_of, write_results
from tools.results.figures import draw_figures
from tools.results.result_files import read_folder
from tools.results.seed_means import seed_records
from tools.results.write_pages import pages


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """mrpc with two backbones, and sst2 with one."""
    small, base, other = run_of("mrpc", 22, 2.0), run_of("mrpc", 22, 1.5, -0.05), run_of("sst2", 22, 2.0)
    base["backbone"] = "bert"
    for run in (small, base):
        run["tried"] = [tried_of(run, -0.004), tried_of(run, -0.02, no_distill=True)]
        for tried in run["tried"]:
            tried["settings"] |= {"backbone": run["backbone"]}
        run["settings"]["train_adapler"] = run["tried"][0]["settings"]
    return write_results(tmp_path_factory.mktemp("several") / "made", [small, base, other])


def test_sentences_and_tables_name_the_backbone_where_a_task_has_several(folder):
    text = texts_of(folder)["RESULTS.md"]
    assert "needs 1.52 (mrpc (bert)) to 2.02 (" in text
    assert "lower on mrpc (bert) (-5.0)" in text
    assert "on mrpc (minilm) (-0.4) and sst2 (-0.4)" in text
    assert text.count("50.0 on mrpc") == 1
    names = [row["task"] for row in rows_of(text) if "seed: difference" in row]
    assert names == ["mrpc (bert)", "mrpc (minilm)", "sst2"]
    assert "Scores of BERT-base" not in text


def test_settings_are_compared_within_one_backbone(folder, tmp_path):
    texts = {file.name: text for file, text in pages(folder, folder / "RESULTS.md").items()}
    text, page = texts["RESULTS.md"], texts["mrpc.md"]
    assert "mrpc (bert): labels alone -1.6; mrpc (minilm): labels alone -1.6." in text and "other flags" not in text
    assert [name for name in draw_figures(read_folder(folder), tmp_path) if name.startswith("mrpc")] == [
        "mrpc_bert_tradeoff",
        "mrpc_minilm_tradeoff",
    ]
    assert all(f"figures/mrpc_{name}_tradeoff.png" in page for name in ("bert", "minilm"))
    assert page.count("training with bert, compared") == page.count("training with minilm, compared") == 1


def test_data_sets_of_a_user_are_not_averaged():
    runs = []
    for seed, data in ((1, "spam"), (2, "spam"), (3, "topics")):
        runs.append(run_of("custom", seed, 2.0, -0.001 if data == "spam" else -0.085))
        for settings in runs[-1]["settings"].values():
            settings["data_dir"] = data
    records = seed_records(runs)
    assert [(r["name"], r["seeds"]) for r in records] == [("custom (spam)", "1 2"), ("custom (topics)", "3")]
    for run in runs:
        run["task"] = "mrpc"
        for settings in run["settings"].values():
            settings["task"] = "mrpc"
    assert [(record["name"], record["seeds"]) for record in seed_records(runs)] == [("mrpc", "1 2 3")]


def test_short_runs_are_told_in_minutes_and_an_empty_folder_claims_nothing(tmp_path):
    run = run_of("custom", 1, 2.0)
    run["seconds"] = {"fine_tune": 60, "store_saliencies": 10, "train_adapler": 50}
    assert "of 2 minutes to 2 minutes," in texts_of(write_results(tmp_path / "made", [run]))["RESULTS.md"]
    (tmp_path / "empty").mkdir()
    text = texts_of(tmp_path / "empty")["RESULTS.md"]
    assert "BERT-base: all" not in text and "## Rationales" not in text
