"""The pages and figures hold what the committed result files hold; tables of one result."""

import csv
import json
import re
import shutil

import numpy as np
import pytest
from scipy import stats

from tests.tiny_task import run_here
from tests.tools.results.made_results import made_folder, run_of, write_results
from tools.common.errors import UserError
from tools.common.markdown import markdown
from tools.common.paths import FIGURES, README, RESULTS, RESULTS_PAGE, ROOT
from tools.evaluation.run_summary import portable
from tools.results import figures, tables
from tools.results.result_files import LAYOUT, PAPER, flags, read_folder
from tools.results.seed_means import interval_over_seeds, seed_records, speeds_on_validation
from tools.results.write_pages import pages, with_headline, write_pages
from tools.runtime.arguments import ALLOWED_LOSS, TARGET_TOLERANCE

COMMITTED = read_folder(RESULTS)


def cells(table: str) -> list[list[str]]:
    """The cells of a Markdown table, the titles first."""
    lines = [line for line in table.splitlines() if not line.startswith("|-")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return made_folder(tmp_path_factory.mktemp("results") / "made")


@pytest.fixture(scope="module")
def made_pages(folder):
    return {file.name: text for file, text in pages(folder, folder / "RESULTS.md").items()}


def test_markdown_formats_columns_and_leaves_blanks():
    records = [{"name": "a", "value": 1.25}, {"name": "b", "other": {"x": [3, 4]}}]
    columns = {"Name": "{name}", "value": "{value:.1f}", "y": "{other[x][1]}", "none": "{missing}"}
    assert cells(markdown(records, columns)) == [["Name", "value", "y"], ["a", "1.2", ""], ["b", "", "4"]]
    assert cells(markdown([{"rows": 3, "text": "0.90"}, {"rows": 4}])) == [["rows", "text"], ["3", "0.90"], ["4", ""]]


def test_committed_pages_are_up_to_date():
    for file, text in pages(RESULTS, RESULTS_PAGE).items():
        assert file.read_text(encoding="utf-8") == text, f"{file}: run python -m tools.results.write_pages"


@pytest.mark.parametrize("results", ["committed", "made"])
def test_figures_and_their_numbers_are_drawn(folder, tmp_path, results):
    drawn = figures.draw_figures(read_folder(folder) if results == "made" else COMMITTED, tmp_path)
    assert {file.name for file in tmp_path.iterdir()} == {f"{n}.{end}" for n in drawn for end in ("csv", "png")}
    if results == "made":
        assert {"overview", "cost", "rationales", "sst2_minilm_tradeoff", "sst2_minilm_alternatives"} <= set(drawn)
        return
    assert {file.stem for file in FIGURES.iterdir()} == set(drawn)
    for name in drawn:
        with open(FIGURES / f"{name}.csv", newline="") as ours, open(tmp_path / f"{name}.csv", newline="") as new:
            assert list(csv.reader(ours)) == list(csv.reader(new)), "run python -m tools.results.write_pages"
        assert (FIGURES / f"{name}.png").stat().st_size > 1000


def test_pages_of_another_folder_are_written_into_it(folder, tmp_path):
    for name in ("mrpc_minilm_22", "scitail_minilm_22"):
        shutil.copy(folder / f"{name}.json", tmp_path)
    command = f"python -m tools.results.write_pages {tmp_path}"
    assert [run_here(f"{command} {flag}").returncode for flag in ("--check", "", "--check")] == [1, 0, 0]
    for name in ("RESULTS.md", "mrpc.md", "scitail.md", "benchmarks.md"):
        text = (tmp_path / name).read_text()
        links = re.findall(r"\]\(([^)]*)\)", text)
        assert links and all((tmp_path / link).exists() for link in links)
    text = (tmp_path / "RESULTS.md").read_text()
    (tmp_path / "RESULTS.md").write_text(text.replace("2.02x", "2.03x"))
    assert run_here(f"{command} --check").returncode == 1


@pytest.mark.parametrize("file", sorted(RESULTS.rglob("*.json")), ids=lambda file: file.stem)
def test_result_files_name_no_paths(file):
    assert '"/' not in file.read_text(encoding="utf-8")


def test_portable():
    assert portable({"a": ["/home/x/model.h5", "b/c", 1], "d": None}) == {"a": ["model.h5", "b/c", 1], "d": None}


def differences(group: list[dict]) -> list[dict]:
    return [{"difference": d, "low": d - w, "high": d + w} for d, w in group]


def test_interval_over_seeds_by_hand():
    one = interval_over_seeds(differences([(-0.01, 0.005)]), "difference")
    assert one == pytest.approx({"difference": -0.01, "low": -0.015, "high": -0.005})
    two = interval_over_seeds(differences([(-0.01, 0.004), (-0.03, 0.006)]), "difference")
    assert two == pytest.approx({"difference": -0.02, "low": -0.025, "high": -0.015})
    values = np.array([-0.01, -0.03, -0.02])
    three = interval_over_seeds(differences([(value, 0.005) for value in values]), "difference")
    of_examples, of_seeds = 0.005 / 1.959964, 0.01 / np.sqrt(3)
    half_width = stats.t(2 * (1 + (of_examples / of_seeds) ** 2) ** 2).isf(0.025) * np.hypot(of_examples, of_seeds)
    assert three == pytest.approx({"difference": -0.02, "low": -0.02 - half_width, "high": -0.02 + half_width})


@pytest.mark.parametrize("spread, enough", [(0.7, 950), (1.5, 930)])
@pytest.mark.parametrize("shared", [0.0, 0.5, 1.0])
def test_interval_over_three_seeds_covers_the_truth(shared, spread, enough):
    """Whatever part of the examples' noise the seeds share; a little less often where seeds differ by more than it."""
    rng, noise, covered = np.random.default_rng(0), 1.0, 0
    for _ in range(1000):
        of_examples = np.sqrt(shared) * rng.normal(0, noise) + np.sqrt(1 - shared) * rng.normal(0, noise, 3)
        values = rng.normal(0, spread, 3) + of_examples
        interval = interval_over_seeds(differences([(value, 1.96 * noise) for value in values]), "difference")
        covered += interval["low"] <= 0 <= interval["high"]
    assert covered >= enough


@pytest.mark.parametrize(
    "difference, half_width, speedup, goal",
    [
        (-0.004, 0.005, 2.0, "reached"),
        (-0.02, 0.005, 2.0, "missed: score"),
        (-0.008, 0.005, 2.0, "undecided"),
        (0.0, 0.001, 1.9, "missed: speed"),
        (-0.02, 0.005, 1.9, "missed: speed and score"),
    ],
)
def test_goals(difference, half_width, speedup, goal):
    run = run_of("mrpc", 22, 2.0, difference, half_width)
    run["splits"]["test"]["speedup"] = speedup
    (record,) = seed_records([run])
    assert record["goal"] == goal
    assert seed_records([run | {"task": "other"}])[0]["goal"] == "no goal"
    assert seed_records([run | {"target_speedup": 1.5}])[0]["goal"] == "no goal"


def test_goals_are_those_of_a_target():
    assert LAYOUT["task_goals"]["tolerance"] == TARGET_TOLERANCE and LAYOUT["task_goals"]["loss"] == 100 * ALLOWED_LOSS


def test_cost_of_the_tasks_without_data():
    from transformers import BertConfig

    from tools.flops.formulas import bert_flops

    cost = PAPER["cost"]
    recipe = re.search(r"RECIPE=\(--EPOCHS (\d+)", (ROOT / "run_files" / "stages.sh").read_text())
    assert cost["epochs"] == int(recipe[1]) and cost["passes"] == 3 * cost["epochs"] + 3 * 3 + 5 * cost["epochs"]
    assert cost["flops"] == pytest.approx(float(bert_flops(BertConfig(), cost["tokens"])), rel=0.005)


def test_the_cost_of_training_is_all_of_it_over_fine_tuning():
    first, second = (run_of("mrpc", seed, 2.0) for seed in (22, 98))
    first["seconds"] = {"fine_tune": 100.0, "store_saliencies": 40.0, "train_adapler": 160.0}
    second["seconds"] = {"fine_tune": 200.0, "store_saliencies": 50.0, "train_adapler": 150.0}
    assert seed_records([first, second])[0]["cost"] == pytest.approx((3 + 2) / 2)


def test_the_speeds_on_validation_are_counted_and_the_others_named():
    runs = [run_of("mrpc", 22, 2.0), run_of("mrpc", 23, 2.0), run_of("sst2", 22, 3.0), run_of("sst2", 23, 3.0)]
    for run, speedup in zip(runs, (1.901, 1.899, 3.16, 3.14), strict=True):
        run["splits"]["validation"]["speedup"] = speedup
    assert speeds_on_validation(runs[::3]).endswith(" 2 of 2 runs are within 5% of the asked speedup.")
    assert speeds_on_validation(runs).endswith(
        "2 of 4 runs are within 5% of the asked speedup; mrpc 23 reached 1.90x of 2x; sst2 22 reached 3.16x of 3x."
    )
    assert speeds_on_validation([runs[0] | {"target_speedup": None}]) == ""


def test_only_seeds_of_one_setting_are_averaged():
    first, second, other = (run_of("mrpc", seed, 2.0) for seed in (22, 98, 99))
    other["settings"]["train_adapler"]["epochs"] = 7
    assert sorted(record["seeds"] for record in seed_records([first, second, other])) == ["22 98", "99"]


def test_a_table_counts_no_run_twice():
    with pytest.raises(Exception, match="same seed"):
        seed_records([run_of("mrpc", 22, 2.0)] * 2)


SETTINGS = {
    **{"gamma": 0.1, "phi": 0.2, "learning_rate": 1e-3, "cp_learning_rate": None, "speedup_learning_rate": 0.5},
    **{"initial_model_path": None, "max_train_examples": 50, "epochs": 2, "resume": True, "reshuffle": True},
    **{"clip_norm": 0.0, "deterministic": False, "max_length": 64, "text_columns": ["head", "body"]},
}
CURVE = {
    "fine_tuned": 0.8,
    "chosen": 0.5,
    "curve": [{"eta_scale": 0.5, "score": 0.75, "speedup": 2}, {"eta_scale": 1.0, "score": 0.5, "speedup": 4}],
}


def test_flags_of_a_setting():
    flag_text = flags(SETTINGS)
    assert flag_text.startswith("--CLIP_NORM 0.0 --EPOCHS 2 --GAMMA 0.1 --LEARNING_RATE 0.001")
    assert flag_text.endswith("--RESHUFFLE --SPEEDUP_LEARNING_RATE 0.5 --TEXT_COLUMNS head body")
    assert "RESUME" not in flag_text and "DETERMINISTIC" not in flag_text


def test_cells_of_the_table_of_a_run():
    summary = {
        **{"metric": "f1", "seconds": {"fine_tune": 1, "store_saliencies": 2, "train_adapler": 3.4}},
        "settings": {"train_adapler": SETTINGS, "fine_tune": {"initial_model_path": "bert_imdb_1.h5"}},
        "bert": {"validation": {"f1": 0.8}, "test": {}},
        "adapler": {
            "validation": {
                **{"f1": 0.7, "speedup": 2, "mean_lengths": [9, 5.25]},
                "lr_mode": {"examples": 4, "same_label": 3, "same_lengths": 2, "largest_logit_difference": 0.01},
            },
            "test": {"speedup": 3, "mean_lengths": [8, 4]},
        },
        "splits": {"validation": {"difference": -0.1, "low": -0.2, "high": 0.01}},
    }
    lines = tables.run_table(summary).splitlines()
    titles, validation, test = cells("\n".join(lines[:4]))
    assert validation[:5] == ["validation", "f1", "0.8000", "0.7000", "-10.00 (-20.00 to +1.00)"]
    assert validation[5:] == ["2.00x", "9.0, 5.2", "3 of 4", "2 of 4", "1.0e-02"]
    assert test == ["test", "f1", "", "", "", "3.00x", "8.0, 4.0", "", "", ""] and len(titles) == 10
    assert lines[-1] == "Times: fine-tuning 1 s, saliencies 2 s, training AdapLeR 3 s."
    (_, row) = cells(tables.superseded_table([summary | {"backbone": "b", "seed": 1, "commit": "c"}]))
    assert row[:7] == ["b", "1", "50", "", "2", "gamma 0.1, phi 0.2", "0.001, default, 0.5"]
    assert row[7:9] == ["bert_imdb_1.h5", "pretrained"]
    assert row[9:] == ["64", "validation", "9.0", "f1", "0.8000", "0.7000", "2.00x", "c"]


def test_cells_of_the_tables_of_points():
    assert cells(tables.scales_table("f1", CURVE)) == [
        ["eta_scale", "f1", "FLOPs speedup", ""],
        ["0.5", "0.7500", "2.00x", "chosen"],
        ["1", "0.5000", "4.00x", ""],
    ]
    assert cells(tables.choice_table({"a": CURVE, "b": CURVE, "c": CURVE | {"chosen": None}}, "b"))[1:] == [
        ["a", "0.8000", "0.5", "0.7500", "2.00x", ""],
        ["b", "0.8000", "0.5", "0.7500", "2.00x", "chosen"],
        ["c", "0.8000", "", "", "", "loses too much at every eta_scale"],
    ]
    epochs = [{"validation": {"f1": score, "speedup": 2}} for score in (0.5, 0.6)]
    final = {"speedup": 2.5, "score": 0.7}
    tried = [{"settings": SETTINGS, "epochs": epochs, "chosen_epoch": 2, "eta_scales": CURVE, "trimmed": final}]
    rows = cells(tables.tried_table({"metric": "f1", "tried": tried}))
    assert [row[4:] for row in rows] == [
        ["epoch", "f1", "FLOPs speedup", ""],
        ["1 of 2", "0.5000", "2.00x", ""],
        ["2 of 2", "0.6000", "2.00x", "kept"],
        ["", "0.7000", "2.50x", "final"],
        ["", "0.7500", "2.00x", "eta_scale 0.5"],
    ]


def test_cells_of_the_table_of_faults():
    faults = [
        {"stage": "s", "fault": "f", "exit_code": 1, "lost": []},
        {"stage": "s", "fault": "f", "exit_code": 0, "lost": ["b", "a"]},
        {"stage": "s", "fault": "g", "exit_code": 1, "lost": []},
    ]
    rows = cells(tables.faults_table({"faults": faults}))[1:]
    assert rows == [["s", "f", "2", "1", "1 of 2", "a, b"], ["s", "g", "1", "1", "1 of 1", "nothing"]]
    answers = [{"kind": "k", "exit_code": 2, "message": "a|b"}]
    assert "| a\\|b" in tables.bad_inputs_table({"bad_inputs": answers})


def test_cells_of_the_tables_of_benchmarks():
    result = {"seconds": {"step": 0.1}, "ratios": {"ratio": [1, 0.5, 2]}}
    assert cells(tables.training_table(result))[1:] == [["step", "100 ms a batch"], ["ratio", "1.00 (0.50-2.00)"]]


def test_every_column_of_the_layout_is_in_a_table(made_pages):
    text = "\n".join([*made_pages.values(), *pages(RESULTS, RESULTS_PAGE).values()])
    text += with_headline(README.read_text(encoding="utf-8"), COMMITTED)
    rows = cells("\n".join(line for line in text.splitlines() if line.startswith("| ")))
    for name in LAYOUT["columns"].keys() - {"choice", "scales", "reviews", "headline", "seeds"}:
        assert any(set(LAYOUT["columns"][name]) <= set(row) for row in rows), name


def test_readme_headline_is_up_to_date(folder):
    readme = README.read_text(encoding="utf-8")
    assert with_headline(readme, COMMITTED) == readme and len(readme.splitlines()) <= 180
    made = with_headline(readme, read_folder(folder))
    (table,) = re.findall(r"(?:^\|.*\n)+", made.partition("<!-- end of headline -->")[0], re.MULTILINE)
    assert [row[0] for row in cells(table)] == ["task", "sst2", "mrpc", "hatexplain", "imdb", "ag_news", "scitail"]


def test_constant_answers_are_told_where_they_are_known(tmp_path, folder):
    page = pages(folder, folder / "RESULTS.md")[folder / "RESULTS.md"]
    assert "The best answer that is the same for every example scores 50.0 on ag_news, 50.0 on hatexplain," in page
    older = run_of("mrpc", 22, 2.0)
    for split in older["splits"].values():
        del split["constant"]
    text = pages(write_results(tmp_path / "old", [older]), tmp_path / "old" / "RESULTS.md")
    assert not any("same for every example" in page or "constant answer" in page for page in text.values())


def test_a_folder_that_does_not_exist_gets_no_pages(tmp_path):
    with pytest.raises(UserError, match="result is not a folder of result files"):
        write_pages(tmp_path / "result", only_check=False)
    assert not list(tmp_path.iterdir())


def test_a_result_of_one_json_adds_itself(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "more")
    (tmp_path / "more" / "mnli_bert_22.json").write_text(json.dumps(run_of("mnli", 22, 2.0, backbone="bert")))
    texts = {file.name: text for file, text in pages(tmp_path / "more", tmp_path / "more" / "RESULTS.md").items()}
    page = texts["RESULTS.md"]
    assert page.count("\n| mnli ") >= 2 and "the paper's tasks qnli and dbpedia" in page and "(mnli.md)" in page
    assert "mnli, bert, seed 22" in texts["mnli.md"]
    assert any("mnli" in row["label"] for row in figures.cost_rows(read_folder(tmp_path / "more")))
