"""Writes RESULTS.md from the committed files in results/; `--check` only tells whether it is up to date."""

from __future__ import annotations

import argparse
import itertools
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tools.common.atomic_files import atomic_write
from tools.common.paths import FIGURES, RESULTS, RESULTS_PAGE, ROOT
from tools.results.benchmark_tables import inference_tables
from tools.results.result_files import is_run, kind, read_results, start, training_rows
from tools.results.seed_means import seeds_table
from tools.results.tables import (
    bad_inputs_table,
    earlier_table,
    faults_table,
    loading_table,
    precision_table,
    rationale_table,
    run_table,
    scales_table,
    training_table,
    tried_table,
)

INTRODUCTION = """# Results

Written by `python tools/write_results.py` from the files in `results/`, each of which a command of this repository
wrote; no number here is typed by hand. The backbone is named with each run: a six-layer MiniLM's results are not
BERT-base's. `minilm` is sentence-transformers/all-MiniLM-L6-v2 (its encoder), `demo_bert` is generated and untrained.
BERT-base's own, with the published settings, is one command a task and seed, and wants a GPU:

    run_files/run_task.sh sst2 22 --BACKBONE bert-base-uncased --SAVE results/sst2_bert_22.json
"""


def page(results: Path) -> str:
    """The whole page."""
    files = {file: result for file in results.glob("*.json") for result in read_results([file])}
    ordered = [files[file] for file in sorted(files, key=lambda file: (KINDS.index(kind(files[file])), file.name))]
    sections = []
    for result, following in itertools.zip_longest(ordered, ordered[1:], fillvalue={}):
        sections.append(SECTIONS[kind(result)](result) + "\n")
        if is_run(result) and not (is_run(following) and result["task"] == following["task"]):
            sections += [picture + "\n" for picture in pictures(result["task"], "tradeoff", "lengths")]
    tried = read_results(sorted((results / "tried").glob("*.json")))
    return "\n".join([INTRODUCTION, seeds_section(ordered), *([tried_section(tried)] if tried else []), *sections])


def seeds_section(results: list[dict]) -> str:
    """All tasks at a glance."""
    about = (
        "Mean and standard deviation over seeds of one setting, on test where its labels are known and nothing was "
        "chosen on it, else on validation; rows are training examples. FLOPs are counted without padding; wall clock "
        "likewise, where it ran: compiled lr_mode against compiled BERT without padding, batches of 32 of the task's "
        "dev examples."
    )
    return "\n\n".join(["## All tasks", about, seeds_table(results)]) + "\n"


def tried_section(summaries: list[dict]) -> str:
    """Runs in results/tried/, whose place a later setting took."""
    about = (
        "Runs whose place a later setting took, in `results/tried/`. Mean tokens tell whether the dev set that a "
        "setting was chosen on is like the test set."
    )
    return "\n\n".join(["## What was tried before", about, earlier_table(summaries)]) + "\n"


def run_section(summary: dict) -> str:
    """One run's heading, conditions, table and what else was tried."""
    fine_tune, adapler = (summary["settings"][stage] for stage in ("fine_tune", "train_adapler"))
    held_out = f", {adapler['hold_out']} more for validation" if adapler.get("hold_out") else ""
    scored = f", {adapler['max_eval_examples']} scored of a split" if adapler["max_eval_examples"] else ""
    other_task = f" from {fine_tune['initial_model_path']}" if fine_tune["initial_model_path"] else ""
    conditions = (
        f"Backbone {summary['backbone']}, {training_rows(summary)} training examples{held_out}{scored}, MAX_LENGTH "
        f"{adapler['max_length']}. Fine-tuning: {fine_tune['epochs']} epochs at {fine_tune['learning_rate']}"
        f"{_means(fine_tune)}{other_task}. AdapLeR: {adapler['epochs']} epochs at {adapler['learning_rate']}"
        f"{_means(adapler)}, speed-up rate {adapler['speedup_learning_rate']}, "
        f"rate of the predictors {adapler['cp_learning_rate'] or adapler['learning_rate']}, "
        f"from the {start(adapler)} model, gamma {adapler['gamma']}, phi {adapler['phi']}. "
        f"Machine: {summary['machine']}; commit {summary['commit']}."
    )
    parts = [f"## {summary['task']}, {summary['backbone']}, seed {summary['seed']}", conditions, run_table(summary)]
    if len(summary["tried"]) > 1:
        parts += ["Every setting that was tried, by its dev scores:", tried_table(summary)]
    if scales := summary.get("eta_scales"):
        parts += ["The speed dial (`tools/calibrate.py`), by its dev scores:", scales_table(summary["metric"], scales)]
    return "\n\n".join(parts)


def _means(settings: dict) -> str:
    """How a training stage was made faster."""
    precision = " in bfloat16" if settings["mixed_precision"] else ""
    return precision + (" in batches of similar length" if settings.get("group_by_length") else "")


CAPTIONS = {
    "tradeoff": "dev score against FLOPs speedup",
    "lengths": "tokens left per layer",
    "rationales": "false positive rate by layer, every method keeping as many words as AdapLeR",
}


def pictures(task: str, *names: str) -> list[str]:
    """The task's figures, if tools/plot_tradeoff.py and tools/plot_rationales.py have drawn them."""
    drawn = [(FIGURES / f"{task}_{name}.png", CAPTIONS[name]) for name in names]
    return [f"![{task}: {caption}]({file.relative_to(ROOT)})" for file, caption in drawn if file.exists()]


def inference_section(result: dict) -> str:
    """One inference benchmark."""
    conditions = (
        f"`tools/benchmark_inference.py`; machine: {result['machine']}; TensorFlow {result['versions']['tensorflow']}; "
        f"commit {result['commit']}. Speedups are medians of rounds in which the variants took turns, with the lowest "
        "and highest round, over BERT compiled and padded to the longest example of the batch; efficiency is the "
        "measured speedup over that of FLOPs."
    )
    whose = [result[name] for name in ("task", "backbone") if result.get(name)]
    seed = [f"seed {result['seed']}"] if "seed" in result else []
    title = f"## Inference: {', '.join([*whose, *seed, result['model']])}"
    return "\n\n".join([title, conditions, inference_tables(result)])


def measured(title: str, program: str, result: dict, *parts: str, given: str = "") -> str:
    """A heading, by what and where it was measured, and the rest."""
    conditions = f"`tools/{program}.py`; {given}machine: {result['machine']}; commit {result['commit']}."
    return "\n\n".join([f"## {title}", conditions, *parts])


def loading_section(result: dict) -> str:
    """One measurement of the loader."""
    return measured(f"Loading: {result['task']}", "benchmark_loading", result, loading_table([result]))


def faults_section(result: dict) -> str:
    """What faults did to runs, and what bad input was answered."""
    return measured("Faults and bad input", "inject_faults", result, faults_table(result), bad_inputs_table(result))


def precision_section(result: dict) -> str:
    """One model in two precisions."""
    given = f"model {result['model']}, batches of {result['batch_size']} dev examples; "
    title = f"Mixed precision: {result['task']}"
    return measured(title, "benchmark_precision", result, precision_table(result), given=given)


def training_section(result: dict) -> str:
    """One measurement of what training costs."""
    given = (
        f"backbone {result['backbone']}, {result['labels']} labels, batches of {result['batch_size']}, MAX_LENGTH "
        f"{result['max_length']}; "
    )
    title = f"Training cost: {result['task']}"
    return measured(title, "benchmark_training", result, training_table(result), given=given)


def rationales_section(result: dict) -> str:
    """One comparison with human rationales."""
    conditions = (
        f"`tools/evaluate_rationales.py`: {result['examples']} examples of {result['split']} with a marked word; "
        f"backbone {result['backbone']}, MAX_LENGTH {result['max_length']}, seed {result['seed']}; commit "
        f"{result['commit']}. Means over examples, with 95 % bootstrap intervals; every method keeps as many words as "
        "AdapLeR's last layer. Comprehensiveness and sufficiency are those of the fine-tuned BERT. " + claim(result)
    )
    parts = [f"## Rationales: {result['task']}", conditions, rationale_table(result)]
    return "\n\n".join([*parts, *pictures(result["task"], "rationales")])


def claim(result: dict) -> str:
    """Whether the paper's claim held: fewer false positives than saliency and attention at equal numbers of words.

    By the intervals of the differences, example by example, of the other methods' false positive rates from AdapLeR's.
    """
    over = {name: values for name, values in result["fpr_over_adapler"].items() if name != "random"}
    fewer = [name for name, difference in over.items() if difference["low"] > 0]
    more = [name for name, difference in over.items() if difference["high"] < 0]
    unclear = [name for name in over if name not in (*fewer, *more)]
    told = [
        f"{verdict} {', '.join(f'“{name}”' for name in names)}"
        for verdict, names in (("fewer than", fewer), ("more than", more), ("about as many as", unclear))
        if names
    ]
    held = "held" if not (more or unclear) else "did not hold" if not fewer else "held in part"
    return f"The paper's claim, fewer false positives, {held}: AdapLeR keeps {'; '.join(told)}."


SECTIONS = {
    "run": run_section,
    "inference": inference_section,
    "training": training_section,
    "rationales": rationales_section,
    "loading": loading_section,
    "precision": precision_section,
    "faults": faults_section,
}
"""Kind of a result file -> what writes its section."""
KINDS = list(SECTIONS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="exit with 1 if RESULTS.md is out of date")
    if parser.parse_args().check:
        sys.exit(RESULTS_PAGE.read_text(encoding="utf-8") != page(RESULTS))
    with atomic_write(RESULTS_PAGE) as temporary:
        temporary.write_text(page(RESULTS), encoding="utf-8")


if __name__ == "__main__":
    main()
