"""The formulas against TensorFlow's profiler, as a table."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from tqdm import tqdm
from transformers import AutoConfig, BertConfig

from tools.common.errors import UserError
from tools.common.markdown import markdown
from tools.flops.profiler import Operation, by_place, total

SHOWN = 0.0001
"""Places that are this part of the total, or more, are listed; of those not in the formula, all."""


def compare(
    backbone: str,
    lengths: Sequence[int],
    formula: Callable[[BertConfig, int], float],
    terms: Callable[[BertConfig, int], dict],
    profile: Callable[[BertConfig, int], list[Operation]],
) -> None:
    """Prints FLOPs by formula and by profiler for every length, then both in detail for the longest.

    Raises:
        UserError: the backbone cannot be loaded, or is too short for a length.
    """
    config = config_of(backbone)
    if max(lengths) > config.max_position_embeddings:
        raise UserError(
            f"an input of {max(lengths)} tokens is longer than the {config.max_position_embeddings} positions of "
            f"'{backbone}'; name shorter ones with --LENGTHS"
        )
    rows, operations = [], []
    for tokens in tqdm(sorted(lengths), desc="lengths", leave=False):
        operations = profile(config, tokens)
        ours, theirs = float(formula(config, tokens)), total(operations)
        difference = f"{100 * (theirs / ours - 1):+.3f} %"
        rows.append({"tokens": tokens, "formula": f"{ours:.0f}", "profiler": theirs, "difference": difference})
    print(markdown(rows))
    longest = max(lengths)
    print(f"\nThe formula's terms at {longest} tokens:\n")
    print(markdown([{"term": name, "FLOPs": f"{float(flops):.0f}"} for name, flops in terms(config, longest).items()]))
    print(f"\nWhat the profiler counts at {longest} tokens, summed over layers; starred: not in the formula:\n")
    print(_places(operations))


def config_of(backbone: str) -> BertConfig:
    """The config of a hub id, a directory or a config.json, as a plain BERT's.

    Raises:
        UserError: there is none, or it is no BERT's.
    """
    path = Path(backbone)
    try:
        if path.suffix == ".json":
            values = json.loads(path.read_text(encoding="utf-8"))
            config = AutoConfig.for_model(values.pop("model_type", "bert"), **values)
        else:
            config = AutoConfig.from_pretrained(backbone)
    except (OSError, ValueError) as error:
        raise UserError(f"cannot load a config from '{backbone}': {str(error).splitlines()[0]}") from error
    if not isinstance(config, BertConfig):
        raise UserError(f"'{backbone}' is a '{config.model_type}' checkpoint; AdapLeR here is built on 'bert' only")
    config.adapler = False
    return config


def not_in_formula(place: str) -> bool:
    """Whether the formula leaves an operation out: additions (but for biases and masks), gelu's negation, checks."""
    kind = place[place.rindex("(") + 1 : -1]
    if place.endswith("/self/Add (AddV2)"):  # the attention mask, which is in the softmax's term
        return False
    return kind in ("AddV2", "Add", "Neg", "Less", "Greater", "Equal")


def _places(operations: list[Operation]) -> str:
    places: Counter[str] = by_place(operations)
    least = SHOWN * sum(places.values())
    rows = []
    for name, flops in places.most_common():
        left_out = not_in_formula(name)
        if flops > least or left_out:
            rows.append({"operations": name, "FLOPs": flops, "": "*" if left_out else ""})
    return markdown(rows)
