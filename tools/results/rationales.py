"""Agreement of the kept words with human rationales: means over seeds, and the claim in words."""

from __future__ import annotations

import numpy as np

from tools.common.task_names import GENERATED
from tools.results.result_files import Results
from tools.results.seed_means import interval_over_seeds
from tools.results.words import listing

CHANCE = "random"
FEWER, MORE, UNCLEAR = "fewer than", "more than", "not distinguishable from"


def agreement_records(results: Results) -> list[dict]:
    """One record a task and method, means over seeds.

    These are `fpr`, `f1`, `layers` (FPR after each layer), and `over`, the excess of FPR over AdapLeR's.
    """
    records, groups = [], {}
    for result in results.of("rationales"):
        groups.setdefault((result["task"], result["backbone"]), []).append(result)
    for (task, _), group in groups.items():
        seeds = " ".join(str(result["seed"]) for result in group)
        for method in group[0]["methods"] if task != GENERATED else ():
            record = {"task": task, "seeds": seeds, "method": method}
            for metric in ("fpr", "f1"):
                record[metric] = interval_over_seeds([result["methods"][method][metric] for result in group], "mean")
            layers = [[layer["fpr"] for layer in result["layers"][method]] for result in group]
            record["layers"] = np.mean(layers, axis=0).tolist()
            if method != "AdapLeR":
                excess = [result["fpr_over_adapler"][method] for result in group]
                record["over"] = interval_over_seeds(excess, "mean")
            records.append(record)
    return records


def claims(records: list[dict]) -> list[str]:
    """The claim's verdict on each task, one sentence a task."""
    tasks = dict.fromkeys(record["task"] for record in records)
    return [f"{task}: {claim([r for r in records if r['task'] == task])}" for task in tasks]


def claim(records: list[dict]) -> str:
    """Whether the paper's claim held: fewer false positives than other methods at equal numbers of words.

    By the intervals of the differences, example by example, of the other methods' false positive rates from AdapLeR's.
    A method that is worse than random words holds nothing, whatever it is compared with.
    """
    methods: dict[str, list[str]] = {FEWER: [], MORE: [], UNCLEAR: []}
    chance, worse_than_chance = "", False
    for record in records:
        if record["method"] == "AdapLeR":
            continue
        verdict = UNCLEAR
        if record["over"]["low"] > 0:
            verdict = FEWER
        elif record["over"]["high"] < 0:
            verdict = MORE
        if record["method"] == CHANCE:
            chance, worse_than_chance = f" They are {verdict} those of random words.", verdict == MORE
        else:
            methods[verdict].append(f"“{record['method']}”")
    found = [verdict for verdict, names in methods.items() if names]
    if worse_than_chance:
        held = "did not hold"
    elif FEWER in found:
        count = sum(map(len, methods.values()))
        held = "held" if len(found) == 1 else f"held against {len(methods[FEWER])} of {count} methods"
    else:
        held = "did not hold" if MORE in found else "is undecided"
    verdicts = "; ".join(f"{verdict} those of {listing(methods[verdict])}" for verdict in found)
    return f"the paper's claim, fewer false positives, {held}. AdapLeR's are {verdicts}.{chance} {layer_means(records)}"


def layer_means(records: list[dict]) -> str:
    """After which layers AdapLeR has the lowest mean rate of false positives."""
    rates = {record["method"]: np.array(record["layers"]) for record in records}
    ours = rates.pop("AdapLeR")
    lowest = np.flatnonzero((ours < np.array(list(rates.values()))).all(axis=0)) + 1
    names = f"{'layers' if len(lowest) > 1 else 'layer'} {listing([str(layer) for layer in lowest])} of {len(ours)}"
    layers = names if len(lowest) else "no layer"
    return f"This is after the last layer; by the means alone, AdapLeR's are the fewest after {layers}."
