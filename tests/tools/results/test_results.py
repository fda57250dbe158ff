"""RESULTS.md and the figures hold what the committed result files hold, and nothing in them names a machine's paths."""

import csv
import json
import re
import shutil
import subprocess
import sys

import pytest

from tools.common.markdown import markdown
from tools.common.paths import FIGURES, README, RESULTS, RESULTS_PAGE, ROOT
from tools.evaluation.run_summary import portable
from tools.results import tables
from tools.results.figures import ROWS, draw_figures
from tools.results.result_files import LAYOUT, by_section, flags, read_results
from tools.results.seed_means import seeds_table
from tools.results.write_pages import page, with_headline

FILES = sorted(RESULTS.glob("*.json"))
RESULTS_READ = read_results(FILES)
RUNS = [result for result in RESULTS_READ if "kind" not in result]
FIGURE_CASES = [
    (f"{task}_{name}", name, group)
    for (section, task), group in by_section(RESULTS_READ)
    for name in LAYOUT["figures"].get(section, {})
]


def cells(table: str) -> list[list[str]]:
    """The cells of a Markdown table, the titles first."""
    lines = [line for line in table.splitlines() if not line.startswith("|-")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def test_markdown_formats_columns_and_leaves_blanks():
    records = [{"name": "a", "value": 1.25}, {"name": "b", "other": {"x": [3, 4]}}]
    columns = {"Name": "{name}", "value": "{value:.1f}", "y": "{other[x][1]}", "none": "{missing}"}
    assert cells(markdown(records, columns)) == [["Name", "value", "y"], ["a", "1.2", ""], ["b", "", "4"]]
    assert cells(markdown([{"rows": 3, "text": "0.90"}, {"rows": 4}])) == [["rows", "text"], ["3", "0.90"], ["4", ""]]


def test_results_page_is_up_to_date():
    assert RESULTS_PAGE.read_text(encoding="utf-8") == page(RESULTS)


@pytest.mark.parametrize("columns", sorted(LAYOUT["columns"].keys() - {"choice"}))
def test_every_column_of_the_layout_is_in_a_table_of_the_page(columns):
    lines = [line for line in RESULTS_PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    assert any(set(LAYOUT["columns"][columns]) <= set(row) for row in cells("\n".join(lines)))


@pytest.mark.parametrize("stem, name, results", FIGURE_CASES, ids=[case[0] for case in FIGURE_CASES])
def test_figures_are_up_to_date(stem, name, results):
    with open(FIGURES / f"{stem}.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows and rows == [{key: str(value) for key, value in row.items()} for row in ROWS[name](results)]
    assert (FIGURES / f"{stem}.png").stat().st_size > 1000


def test_figures_and_their_numbers_are_drawn(tmp_path):
    draw_figures(RUNS[:1], tmp_path)
    stems = {f"{RUNS[0]['task']}_{name}" for name in ("tradeoff", "lengths")}
    assert {file.name for file in tmp_path.iterdir()} == {f"{stem}.{kind}" for stem in stems for kind in ("csv", "png")}


def test_pages_of_another_folder_are_written_into_it(tmp_path):
    for name in ("mrpc_minilm_22", "mrpc_minilm_23"):
        shutil.copy(RESULTS / f"{name}.json", tmp_path)
    command = [sys.executable, "-m", "tools.results.write_pages", str(tmp_path)]
    assert subprocess.run([*command, "--check"], cwd=ROOT).returncode == 1
    assert subprocess.run(command, cwd=ROOT).returncode == 0
    assert subprocess.run([*command, "--check"], cwd=ROOT).returncode == 0
    text = (tmp_path / "RESULTS.md").read_text()
    pictures = re.findall(r"!\[.*?\]\((.*?)\)", text)
    assert len(pictures) == 2 and all((tmp_path / picture).exists() for picture in pictures)
    assert text.count("\n## mrpc, minilm, seed") == 2 and "Superseded" not in text


@pytest.mark.parametrize("file", sorted(RESULTS.rglob("*.json")), ids=lambda file: file.stem)
def test_result_files_name_no_paths(file):
    assert '"/' not in file.read_text(encoding="utf-8")


def test_portable():
    assert portable({"a": ["/home/x/model.h5", "b/c", 1], "d": None}) == {"a": ["model.h5", "b/c", 1], "d": None}


def timed(run: dict, **other) -> dict:
    points = [
        {"method": method, "engine": engine, "precision": precision, "milliseconds": {"32": {"p50": milliseconds}}}
        for method, engine, precision, milliseconds in [
            ("BERT", "TensorFlow", "float32", 3.0),
            ("AdapLeR", "TensorFlow", "float32", 1.5),
            ("AdapLeR", "TensorFlow", "bfloat16", 1.0),
            ("BERT", "ONNX Runtime", "float32", 9.0),
        ]
    ]
    return {
        "kind": "alternatives",
        **{name: run[name] for name in ("task", "backbone", "seed")},
        "points": points,
        **other,
    }


def test_wall_clock_stands_beside_the_run_whose_model_was_timed():
    run = next(run for run in RUNS if run["task"] == "mrpc")
    second = json.loads(json.dumps(run)) | {"seed": 23}
    assert "2.00x" in seeds_table([run, timed(run)])
    assert "2.00 ± 0.00x" in seeds_table([run, second, timed(run, seed=22), timed(run, seed=23)])
    for other in ({"task": "sst2"}, {"seed": 24}, {"backbone": "bert"}):
        assert "2.00x" not in seeds_table([run, timed(run, **other)])


def test_only_seeds_of_one_setting_are_averaged():
    run = next(run for run in RUNS if run["task"] == "mrpc")
    second, other = (json.loads(json.dumps(run)) | {"seed": seed} for seed in (98, 99))
    for stage in second["settings"].values():
        stage["data_seed"] = 98
    other["settings"]["train_adapler"]["phi"] = 7
    lines = seeds_table([run, second, other]).splitlines()[2:]
    assert len(lines) == 2 and sum("±" in line for line in lines) == 1
    assert [f"{run['seed']} 98", "99"] == sorted(row[3] for row in cells("\n".join(lines)))


def test_a_table_counts_no_run_twice():
    with pytest.raises(Exception, match="same seed"):
        seeds_table(RUNS[:1] * 2)


SETTINGS = {
    **{"gamma": 0.1, "phi": 0.2, "learning_rate": 1e-3, "cp_learning_rate": None, "speedup_learning_rate": 0.5},
    **{"initial_model_path": None, "max_train_examples": 50, "epochs": 2, "resume": True, "reshuffle": True},
}
CURVE = {
    "fine_tuned": 0.8,
    "chosen": 0.5,
    "curve": [{"eta_scale": 0.5, "score": 0.75, "speedup": 2}, {"eta_scale": 1.0, "score": 0.5, "speedup": 4}],
}


def test_flags_of_a_setting():
    flag_text = flags(SETTINGS)
    assert flag_text.startswith("--EPOCHS 2 --GAMMA 0.1 --LEARNING_RATE 0.001") and "RESUME" not in flag_text
    assert flag_text.endswith("--RESHUFFLE --SPEEDUP_LEARNING_RATE 0.5")


def test_cells_of_the_table_of_a_run():
    summary = {
        **{"metric": "f1", "seconds": {"fine_tune": 1, "store_saliencies": 2, "train_adapler": 3.4}},
        "settings": {"train_adapler": SETTINGS},
        "bert": {"validation": {"f1": 0.8}, "test": {}},
        "adapler": {
            "validation": {
                **{"f1": 0.7, "speedup": 2, "mean_lengths": [9, 5.25]},
                "lr_mode": {"examples": 4, "same_label": 3, "same_lengths": 2, "largest_logit_difference": 0.01},
            },
            "test": {"speedup": 3, "mean_lengths": [8, 4]},
        },
    }
    lines = tables.run_table(summary).splitlines()
    titles, validation, test = cells("\n".join(lines[:4]))
    assert validation == ["validation", "f1", "0.8000", "0.7000", "2.00x", "9.0, 5.2", "3 of 4", "2 of 4", "1.0e-02"]
    assert test == ["test", "f1", "", "", "3.00x", "8.0, 4.0", "", "", ""] and len(titles) == 9
    assert lines[-1] == "Times: fine-tuning 1 s, saliencies 2 s, training AdapLeR 3 s."
    (_, row) = cells(tables.superseded_table([summary | {"task": "t", "backbone": "b", "seed": 1, "commit": "c"}]))
    assert row[:11] == ["t", "b", "1", "50", "", "2", "0.1", "0.2", "0.001, 0.001, 0.5", "pretrained", "validation"]
    assert row[11:] == ["9.0", "f1", "0.8000", "0.7000", "2.00x", "c"]


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
    tried = [{"settings": SETTINGS, "epochs": epochs, "chosen_epoch": 2, "eta_scales": CURVE}]
    rows = cells(tables.tried_table({"metric": "f1", "tried": tried}))
    assert [row[4:] for row in rows] == [
        ["epoch", "f1", "FLOPs speedup", ""],
        ["1", "0.5000", "2.00x", ""],
        ["2", "0.6000", "2.00x", "chosen"],
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


def test_readme_headline_is_up_to_date():
    readme = README.read_text(encoding="utf-8")
    assert with_headline(readme, RESULTS_READ) == readme and "| sst2" in readme
