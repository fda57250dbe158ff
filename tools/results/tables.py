"""Summaries of runs as Markdown tables."""

from __future__ import annotations

from tools.common.markdown import markdown
from tools.results.result_files import chosen_point, start, training_rows


def run_table(summary: dict) -> str:
    """Scores of BERT and AdapLeR, speedup, tokens per layer, lr_mode agreement and times of one run."""
    bert, adapler, metric = summary["bert"], summary["adapler"], summary["metric"]
    rows = [("", "BERT", "AdapLeR")]
    for split in ("validation", "test"):
        if metric in adapler.get(split, {}):
            rows.append((f"{split} {metric}", f"{bert[split][metric]:.4f}", f"{adapler[split][metric]:.4f}"))
    for split in (split for split in ("validation", "test") if split in adapler):
        rows.append((f"{split} FLOPs speedup", "1.00x", f"{adapler[split]['speedup']:.2f}x"))
    entered, *layers = adapler["validation"]["mean_lengths"]
    rows.append(("mean tokens of a validation example", *2 * (f"{entered:.1f}",)))
    if entered_test := adapler.get("test", {}).get("mean_lengths"):
        rows.append(("the same on test", *2 * (f"{entered_test[0]:.1f}",)))
    for number, length in enumerate(layers, start=1):
        rows.append((f"layer {number}", f"{entered:.1f}", f"{length:.1f}"))
    agreement = adapler["validation"].get("lr_mode")
    if agreement:
        rows.append(("lr_mode, same label", "", f"{agreement['same_label']} of {agreement['examples']}"))
        rows.append(("lr_mode, same lengths", "", f"{agreement['same_lengths']} of {agreement['examples']}"))
        rows.append(("lr_mode, largest logit difference", "", f"{agreement['largest_logit_difference']:.1e}"))
    seconds = summary["seconds"]
    rows.append(("training time", f"{seconds['fine_tune']:.0f} s", f"{seconds['train_adapler']:.0f} s"))
    rows.append(("saliencies", "", f"{seconds['store_saliencies']:.0f} s"))
    return markdown(rows)


STAGE_3_HEAD = ("gamma", "phi", "rates (BERT, CPs, speed-up)", "start")


def _stage_3_cells(settings: dict) -> tuple:
    """What tells one setting of stage 3 from another, under STAGE_3_HEAD."""
    names = ("learning_rate", "cp_learning_rate", "speedup_learning_rate")
    rates = ", ".join(str(settings[name] or settings["learning_rate"]) for name in names)
    return settings["gamma"], settings["phi"], rates, start(settings)


def tried_table(summary: dict) -> str:
    """All AdapLeR runs of a task: settings, and score and speedup of each epoch on validation."""
    rows = [(*STAGE_3_HEAD, "epoch", summary["metric"], "FLOPs speedup", "")]
    for run in summary["tried"]:
        asked = _stage_3_cells(run["settings"])
        for number, epoch in enumerate(run["epochs"], start=1):
            values, chosen = epoch["validation"], "chosen" if number == run["chosen_epoch"] else ""
            score, speedup = f"{values[summary['metric']]:.4f}", f"{values['speedup']:.2f}x"
            rows.append((*asked, number, score, speedup, chosen))
        if dial := run.get("eta_scales") and chosen_point(run["eta_scales"]):
            last = f"{dial['score']:.4f}", f"{dial['speedup']:.2f}x", f"dial at {dial['eta_scale']:g}"
            rows.append((*asked, "", *last))
    return markdown(rows)


def choice_table(curves: dict[str, dict], best: str | None) -> str:
    """What tools/calibrate.py found of several models on validation, a row each."""
    rows = [("model", "fine-tuned", "eta scale", "AdapLeR", "FLOPs speedup", "")]
    for name, scales in curves.items():
        point = chosen_point(scales)
        found = (f"{point['eta_scale']:g}", f"{point['score']:.4f}", f"{point['speedup']:.2f}x") if point else [""] * 3
        mark = "chosen" if name == best else "" if point else "loses too much at any"
        rows.append((name, f"{scales['fine_tuned']:.4f}", *found, mark))
    return markdown(rows)


def earlier_table(summaries: list[dict]) -> str:
    """A row for every run and split that was scored: its settings, scores of BERT and AdapLeR, FLOPs speedup."""
    head = ("task", "backbone", "seed", "rows", "held out", "epochs", *STAGE_3_HEAD, "split", "mean tokens", "metric")
    rows = [(*head, "BERT", "AdapLeR", "FLOPs speedup", "commit")]
    for run in summaries:
        settings, metric = run["settings"]["train_adapler"], run["metric"]
        sizes = training_rows(run), settings.get("hold_out") or "", settings["epochs"]
        whose = run["task"], run["backbone"], run["seed"], *sizes, *_stage_3_cells(settings)
        for split in ("validation", "test"):
            scored = run["adapler"].get(split, {})
            if metric in scored:
                scores = (f"{run[model][split][metric]:.4f}" for model in ("bert", "adapler"))
                tokens = f"{scored['mean_lengths'][0]:.1f}"
                rows.append((*whose, split, tokens, metric, *scores, f"{scored['speedup']:.2f}x", run["commit"]))
    return markdown(rows)


def scales_table(metric: str, scales: dict) -> str:
    """Dev score and speedup for every factor on eta that tools/calibrate.py tried."""
    rows = [("eta scale", metric, "FLOPs speedup", "")]
    for point in scales["curve"]:
        mark = "chosen" if point["eta_scale"] == scales["chosen"] else ""
        rows.append((f"{point['eta_scale']:g}", f"{point['score']:.4f}", f"{point['speedup']:.2f}x", mark))
    return markdown(rows)


RATIONALE_METRICS = {
    "fpr": "FPR",
    "tpr": "TPR",
    "precision": "precision",
    "f1": "F1",
    "average_precision": "AP",
    "roc_auc": "ROC-AUC",
    "comprehensiveness": "comprehensiveness",
    "sufficiency": "sufficiency",
}


def rationale_table(result: dict) -> str:
    """Every method's metrics, with bootstrap intervals."""
    rows = [("method", *RATIONALE_METRICS.values())]
    for method, values in result["methods"].items():
        cells = (values[name] for name in RATIONALE_METRICS)
        rows.append((method, *(f"{c['mean']:.3f} ({c['low']:.3f}-{c['high']:.3f})" for c in cells)))
    return markdown(rows)


def training_table(result: dict) -> str:
    """What tools/benchmark_training.py measured: seconds a step, and ratios with the range of the rounds."""
    rows = [("", "")]
    rows += [(name, f"{1000 * seconds:.0f} ms a batch") for name, seconds in result["seconds"].items()]
    rows += [(n, f"{median:.2f} ({low:.2f}-{high:.2f})") for n, (median, low, high) in result["ratios"].items()]
    return markdown(rows)


def faults_table(result: dict) -> str:
    """How often each stage was disturbed and resumed, and what was lost."""
    rows = [("stage", "fault", "injected", "hit before the end", "same result after --RESUME", "lost")]
    for stage, name in dict.fromkeys((fault["stage"], fault["fault"]) for fault in result["faults"]):
        faults = [fault for fault in result["faults"] if (fault["stage"], fault["fault"]) == (stage, name)]
        lost = sorted({file for fault in faults for file in fault["lost"]})
        good = sum(not fault["lost"] for fault in faults)
        hits = sum(fault["exit_code"] != 0 for fault in faults)
        rows.append((stage, name, len(faults), hits, f"{good} of {len(faults)}", ", ".join(lost) or "nothing"))
    return markdown(rows)


def bad_inputs_table(result: dict) -> str:
    """What each kind of bad input was answered."""
    rows = [("bad input", "exit code", "answer")]
    rows += [(bad["kind"], bad["exit_code"], bad["message"].replace("|", "\\|")) for bad in result["bad_inputs"]]
    return markdown(rows)


def precision_table(result: dict) -> str:
    """float32 and bfloat16 side by side, and how much faster the second is."""
    rows = [("precision", result["metric"], "FLOPs speedup", "same answer as float32", "same lengths in lr_mode")]
    for name, values in result["precisions"].items():
        same = result["same_answers"] if name == "bfloat16" else values["examples"]
        agreement = f"{values['lr_mode']['same_lengths']} of {values['examples']}"
        score = f"{values[result['metric']]:.4f}"
        rows.append((name, score, f"{values['speedup']:.2f}x", f"{same} of {values['examples']}", agreement))
    speedups = [("bfloat16 against float32", "median", "lowest", "highest")]
    speedups += [(name, *(f"{value:.2f}x" for value in values)) for name, values in result["speedups"].items()]
    return f"{markdown(rows)}\n\n{markdown(speedups)}"


def loading_table(results: list[dict]) -> str:
    """What tools/benchmark_loading.py measured, a row a task."""
    rows = [("task", "MAX_LENGTH", "texts", "tokens", "read", "texts/s, batched", "texts/s, one by one", "peak memory")]
    for result in results:
        memory = f"{result['megabytes_peak']:.0f} MB ({result['megabytes_before']:.0f} before loading)"
        rates = f"{result['per_second']:.0f}", f"{result['one_by_one_per_second']:.0f}"
        sizes = result["task"], result["max_length"], result["examples"], result["tokens"]
        rows.append((*sizes, f"{result['read_seconds']:.1f} s", *rates, memory))
    return markdown(rows)
