"""Result files made for tests, in the forms that the programs write, and the pages of a folder of them."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path

from tools.common.paths import README, RESULTS, RESULTS_PAGE
from tools.results.benchmark_tables import DROPPING, LR_MODE, PACKED, PADDED, PLAIN
from tools.results.result_files import read_folder
from tools.results.write_pages import pages, with_headline

DEMO = json.loads((RESULTS / "demo_demo_bert_22.json").read_text(encoding="utf-8"))
RATIONALES = json.loads((RESULTS / "rationales_hatexplain.json").read_text(encoding="utf-8"))


def run_of(
    task: str, seed: int, target: float, difference: float = -0.004, half_width: float = 0.005, **changes
) -> dict:
    """A run with a target speedup; its score is 0.9 fine-tuned, and differs by `difference` plus or minus the rest."""
    run = copy.deepcopy(DEMO) | {"task": task, "backbone": "minilm", "seed": seed, "target_speedup": target}
    for settings in run["settings"].values():
        settings |= {"data_seed": seed, "task": task, "backbone": "minilm"}
    run["settings"]["train_adapler"]["target_speedup"] = target
    for split in ("validation", "test"):
        interval = {"difference": difference, "low": difference - half_width, "high": difference + half_width}
        scores = {"speedup": 1.01 * target, "score": 0.9 + difference, "fine_tuned": 0.9}
        run["splits"][split] = {**scores, **interval, "constant": 0.5, "examples": 1234}
        run["bert"][split]["accuracy"], run["adapler"][split]["accuracy"] = 0.9, 0.9 + difference
        run["adapler"][split]["speedup"] = 1.01 * target
    return run | changes


def tried_of(run: dict, difference: float, half_width: float = 0.01, **settings) -> dict:
    """A finished run of stage 3 towards 2x, trimmed to it; fine-tuned, the score is 0.9."""
    tried = copy.deepcopy(run["tried"][0])
    tried["settings"] |= {
        "target_speedup": 2.0,
        "epochs": 2,
        "data_seed": run["seed"],
        "learning_rate": 5e-5,
    } | settings
    tried["best_fine_tuned"], tried["chosen_epoch"] = 0.89, 2
    tried["epochs"] = [
        {"validation": {"accuracy": 0.8, "speedup": 1.1}},
        {"validation": {"accuracy": 0.88, "speedup": 1.9}},
    ]
    interval = {"difference": difference, "low": difference - half_width, "high": difference + half_width}
    tried["trimmed"] = {"speedup": 2.0, "score": 0.9 + difference, "metric": "accuracy", **interval}
    return tried


def published_of(run: dict) -> dict:
    tried = tried_of(run, 0.0, target_speedup=None, gamma=0.005, phi=0.0005, initial_model_path=None)
    del tried["trimmed"]
    return tried


def alternatives_of(run: dict, ours: float = 20.0, layers: float = 30.0, layers_score: float = 0.88) -> dict:
    """What a user could pick instead of a run's model: milliseconds per text for AdapLeR and for fewer layers."""
    split = run["splits"]["test"]
    points = []
    for engine, precision, factor in (("TensorFlow", "float32", 2), ("ONNX Runtime", "int8", 1)):
        for method, setting, speedup, score, batch in (
            ("BERT", "", 1.0, split["fine_tuned"], 60.0),
            ("AdapLeR", "", split["speedup"], split["score"], ours),
            ("AdapLeR", "eta_scale 0.5", 0.6 * split["speedup"], split["score"] + 0.001, 1.5 * ours),
            ("first layers", "3 layers", 2.0, layers_score, layers),
        ):
            times = {"1": batch / 8, "8": batch / 3, "32": batch}
            point = {"method": method, "setting": setting, "engine": engine, "precision": precision}
            point |= {"flops_speedup": speedup, "score": score, "difference": score - 0.9}
            point |= {
                "low": score - 0.91,
                "high": score - 0.89,
                "texts_per_second": {n: 1000 / (factor * t) for n, t in times.items()},
            }
            point["milliseconds"] = {n: {"p50": factor * t, "p99": factor * 1.2 * t} for n, t in times.items()}
            points.append(point | {"memory_mb": 100.0, "startup_seconds": 1.0, "file_mb": 50.0})
    names = {name: run[name] for name in ("task", "metric", "backbone", "seed", "commit", "machine")}
    agreement = {"labels": 1.0, "lengths": 1.0, "largest_logit_difference": 1e-5}
    return {
        **{"kind": "alternatives", **names, "points": points, "examples": {"validation": 1234, "test": 1234}},
        **{"settings": {"threads": 2, "timed_texts": 256, "onnxruntime": "1.0", "not_trained": []}},
        "agreement": {"float32": agreement, "int8": agreement | {"difference": -0.001, "low": -0.003, "high": 0.001}},
        "fixed_lengths": [
            {"tokens": 64, "batch": 32, "milliseconds": point["milliseconds"]["32"]["p50"] * (2 if number % 4 else 1)}
            | {name: point[name] for name in ("method", "engine", "precision")}
            for number, point in enumerate(points)
            if not point["setting"]
        ],
        "dial": [{"eta_scale": 1.0, "flops_speedup": 2.0, "score": 0.89, "milliseconds": 5.0}],
    }


def inference_at_base_size() -> dict:
    """Milliseconds at BERT-base's size: one text and a batch, with nothing and with most tokens dropped."""
    points = []
    for batch_size, length, speedup in ((1, 64, 1), (1, 64, 5), (8, 256, 3)):
        plain = {"milliseconds": 10.0 * batch_size, "flops_speedup": 1.0}
        variants = {name: plain for name in (PLAIN, *PADDED.values(), *PACKED.values())}
        variants[LR_MODE] = {"milliseconds": plain["milliseconds"] / max(1, speedup / 2), "flops_speedup": speedup}
        for name in DROPPING.values():
            variants[name] = {"milliseconds": plain["milliseconds"] / max(1, speedup / 4), "flops_speedup": speedup}
        point = {"batch_size": batch_size, "length": length, "forced_speedup": speedup, "rounds": 7}
        points.append(point | {"variants": variants})
    names = {name: DEMO[name] for name in ("commit", "machine")}
    versions = {"versions": {"tensorflow": "2"}}
    return {"kind": "inference", "task": None, "model": "BERT-base size", "points": points, **names, **versions}


def rationales_of(run: dict) -> dict:
    """Agreement of a run's model with human rationales."""
    names = {name: run[name] for name in ("task", "backbone", "seed", "commit")}
    return copy.deepcopy(RATIONALES) | names | {"model": run["adapler"]["model"]}


def write_results(folder: Path, results: list[dict]) -> Path:
    """Writes results as a folder of result files."""
    folder.mkdir(exist_ok=True)
    for result in results:
        name = f"{result['kind']}_" if "kind" in result else ""
        file = folder / f"{name}{result['task']}_{result['backbone']}_{result['seed']}.json"
        file.write_text(json.dumps(result), encoding="utf-8")
    return folder


def made_folder(folder: Path) -> Path:
    """Six tasks, one to three seeds each, with alternatives and rationales of some."""
    runs = [run_of("sst2", seed, 2.0, d, 0.012) for seed, d in ((22, -0.003), (23, -0.001), (24, -0.006))]
    runs += [run_of("imdb", seed, 4.0, -0.004, 0.003) for seed in (22, 23)]
    runs += [run_of("ag_news", 22, 7.0, -0.02, 0.004), run_of("mrpc", 22, 2.0, 0.001), run_of("scitail", 22, 2.0)]
    runs += [run_of("hatexplain", seed, 3.0, d) for seed, d in ((22, -0.011), (23, -0.015))]
    runs[6]["tried"] = [tried_of(runs[6], 0.001), tried_of(runs[6], -0.004, no_distill=True)]
    results = [*runs, alternatives_of(runs[0]), alternatives_of(runs[5], layers=10.0, layers_score=0.95)]
    write_results(folder, results + [rationales_of(run) for run in runs if run["task"] == "hatexplain"])
    (folder / "inference_bert_base.json").write_text(json.dumps(inference_at_base_size()), encoding="utf-8")
    return folder


def texts_of(folder) -> dict[str, str]:
    """RESULTS.md and the README's headline about a folder of results."""
    page = RESULTS_PAGE if folder == RESULTS else folder / "RESULTS.md"
    readme = with_headline(README.read_text(encoding="utf-8"), read_folder(folder))
    headline = readme.partition("write_pages -->")[2].partition("<!-- end")[0]
    return {"RESULTS.md": pages(folder, page)[page], "README.md": headline}


def rows_of(text: str) -> list[dict[str, str]]:
    """The rows of all Markdown tables, as title -> cell."""
    rows = []
    for table in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        titles, _, *lines = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table.splitlines()]
        rows += [dict(zip(titles, line, strict=True)) for line in lines]
    return rows
