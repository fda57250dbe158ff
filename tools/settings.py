"""Every command-line flag, once, and which stage takes which.

Run as a program, it prints the part of the given flags that a stage knows, which run_files/run_task.sh uses:
    python tools/settings.py STAGE --FLAG value ...
With `check` for a stage it prints nothing, but ends with an error if no stage of run_task.sh takes one of the flags.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tools.tasks import CUSTOM, TABLE


def at_least(lowest: int) -> Callable[[str], int]:
    """A type for argparse: integers from `lowest`."""

    def integer(text: str) -> int:
        value = int(text)
        if value < lowest:
            raise argparse.ArgumentTypeError(f"{text} is not at least {lowest}")
        return value

    return integer


positive = at_least(1)


def rate(text: str) -> float:
    """A number above 0, for argparse."""
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return value


def weight(text: str) -> float:
    """A number of at least 0, for argparse."""
    return 0.0 if float(text) == 0 else rate(text)


def part(text: str) -> float:
    """A number from 0 to 1, for argparse."""
    if not 0 <= float(text) <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
    return float(text)


def split(text: str) -> str:
    """A split's name, or the published short one, for argparse."""
    return {"val": "validation"}.get(text, text)


def shard(text: str) -> tuple[int, int]:
    """I/N with 1 <= I <= N, for argparse."""
    part, _, parts = text.partition("/")
    if not (part.isdigit() and parts.isdigit() and 1 <= int(part) <= int(parts)):
        raise argparse.ArgumentTypeError(f"{text} is not I/N with I from 1 to N, such as 2/8")
    return int(part), int(parts)


ALLOWED_LOSS = 0.01
"""How much worse than the best fine-tuned score a chosen AdapLeR may be (paper, section 4.2)."""

MAX_LENGTH = 128
"""Tokens an example is cut to where nothing says otherwise."""

FLAGS: dict[str, dict] = {
    "TASK": {"help": f"one of: {', '.join(sorted(TABLE))}, {CUSTOM}", "required": True},
    "DATA_SEED": {
        "type": at_least(0),
        "default": 22,
        "help": "shuffles the training examples, seeds weights and dropout",
    },
    "BACKBONE": {"help": "hub id or local directory of a BERT (default: bert-base-uncased; for demo, its own)"},
    "BACKBONE_NAME": {"help": "name of the backbone's folder under directory/ (default: from --BACKBONE)"},
    "DATA_DIR": {
        "type": Path,
        "help": "folder of local data sets, <DATA_DIR>/<task>/<split>.* (default: the hub)",
    },
    "TEXT_COLUMNS": {"nargs": "+", "help": "text columns, one or two (default: text, or those of --MODEL_PATH)"},
    "LABEL_COLUMN": {"default": "label", "help": "label column of a custom task"},
    "MAX_LENGTH": {
        "type": at_least(3),
        "help": f"most tokens of an example (default: {MAX_LENGTH}, or that of a directory given as MODEL_PATH)",
    },
    "BATCH_SIZE": {
        "type": positive,
        "default": 32,
        "help": "examples per batch; in training, per update",
    },
    "EVAL_BATCH_SIZE": {"type": positive, "help": "examples per batch of evaluation (default: BATCH_SIZE)"},
    "ACC_STEPS": {"type": positive, "default": 1, "help": "cut each batch into this many to save memory"},
    "EPOCHS": {"type": positive, "default": 5, "help": "passes over the training examples"},
    "LEARNING_RATE": {"type": rate, "help": "highest learning rate"},
    "SPEEDUP_LEARNING_RATE": {
        "type": rate,
        "default": 5e-4,
        "help": "highest learning rate of eta and theta",
    },
    "CP_LEARNING_RATE": {
        "type": rate,
        "help": "that of the Contribution Predictors (default: LEARNING_RATE)",
    },
    "WARMUP_RATIO": {
        "type": part,
        "default": 0.06,
        "help": "part of the steps in which the rates rise from 0",
    },
    "ETA_INIT": {"type": float, "default": 0.25, "help": "where eta starts"},
    "GAMMA": {"type": weight, "required": True, "help": "weight of the Contribution Predictors' loss"},
    "PHI": {"type": weight, "required": True, "help": "weight of the length loss"},
    "SAVE_NAME": {"default": "run", "help": "first part of the saved model's name"},
    "INITIAL_MODEL_PATH": {
        "type": Path,
        "help": "start from these fine-tuned .h5 weights, not from the backbone",
    },
    "MAX_TRAIN_EXAMPLES": {"type": positive, "help": "train on this many examples, the same in every stage"},
    "MAX_EVAL_EXAMPLES": {
        "type": positive,
        "help": "evaluate on this many examples, the same in every stage",
    },
    "RESHUFFLE": {
        "action": "store_true",
        "help": "another order of examples each epoch (published: one order)",
    },
    "GROUP_BY_LENGTH": {
        "action": "store_true",
        "help": "batches of examples of similar length, which have little padding; faster where lengths differ "
        "(published: batches at random)",
    },
    "TEXT": {"nargs": "+", "help": "a text, or the two of a pair"},
    "INDEX": {"type": int, "default": 0, "help": "row of the split, from 0"},
    "HTML": {"type": Path, "help": "also write a web page"},
    "JSON": {"type": Path, "help": "also write words, places and contributions"},
    "EPOCH": {"type": positive, "help": "which epoch of stage 1 (default: the best on dev)"},
    "ROLLOUT": {"action": "store_true", "help": "rollout instead of each layer's own attention"},
    "ONLY_LAST_LAYER": {"action": "store_true", "help": "store the last layer's only"},
    "HOLD_OUT": {
        "type": positive,
        "help": "take this many training rows (of sst2, whole sentences with all their phrases) for validation, and "
        "the published validation split for test",
    },
    "SPLIT_BY_BODY": {"action": "store_true", "help": "fnc: no article body of validation occurs in train"},
    "RESUME": {"action": "store_true", "help": "go on after the last finished epoch of a run that was interrupted"},
    "DETERMINISTIC": {"action": "store_true", "help": "bit-equal results for equal seeds on one machine; slower"},
    "MIXED_PRECISION": {"action": "store_true", "help": "compute in bfloat16, keep weights in float32"},
    "KEEP_BEST": {"type": positive, "help": "delete the weights of all but this many best epochs"},
    "SPLIT": {
        "type": split,
        "choices": ["train", "validation", "test", "validation_mismatched", "test_mismatched"],
        "help": "which split",
    },
    "MODEL_PATH": {"type": Path, "required": True, "help": ".h5 weights or a save_pretrained directory"},
    "LR_MODEL": {"action": "store_true", "help": "the .h5 weights are an AdapLeR's"},
    "AS_PUBLISHED_FLOPS": {
        "action": "store_true",
        "help": "also print the speedup as the published code counted it (BERT-base only; too high)",
    },
    "FLOPS_PICKLE": {"action": "store_true", "help": "also write FLOPs per example as the published code did, pickled"},
    "SUBMISSION": {"action": "store_true", "help": "also write the GLUE server's file, and its zip once all are there"},
    "CHECK_LR_MODE": {
        "action": "store_true",
        "help": "compare lr_mode with the batched evaluation on validation",
    },
    "SAVE": {"type": Path, "help": "also write the results to this JSON file"},
    "FULL": {"action": "store_true", "help": "the whole grid; takes an hour or more"},
    "ETA_SCALE": {"type": float, "help": "factor on eta, more than 1 is faster (default: the model's own)"},
    "TIMES": {"type": positive, "default": 20, "help": "how often to kill each stage"},
    "POSITIONS": {"type": positive, "default": 1024, "help": "how many positions the backbone shall have"},
    "LENGTHS": {"type": positive, "nargs": "+", "default": [2, 16, 64, 128, 512], "help": "tokens of an example"},
    "SHARD": {"type": shard, "metavar": "I/N", "help": "only the I-th of N parts of the input (from 1)"},
    "MAX_LOSS": {
        "type": float,
        "default": ALLOWED_LOSS,
        "help": "a setting must lose less than this against the fine-tuned dev score (published rule: one point)",
    },
    "SCALES": {
        "type": float,
        "nargs": "+",
        "default": [0.0, 0.25, 0.5, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.35, 1.5, 2.0, 3.0],
        "help": "factors on eta to try",
    },
    "INPUT": {"type": Path, "required": True, "help": "texts: .txt (one a line), .csv, .tsv, .jsonl or .parquet"},
    "OUTPUT": {"type": Path, "required": True, "help": "where to write"},
    "GPU": {"help": "index of the GPU to use, or several separated by commas (default: all visible)"},
    "MULTI_GPU": {"action": "store_true", "help": "spread each batch over all visible devices"},
}

_COMMON = [
    "TASK",
    "DATA_SEED",
    "BACKBONE",
    "BACKBONE_NAME",
    "DATA_DIR",
    "TEXT_COLUMNS",
    "LABEL_COLUMN",
    "HOLD_OUT",
    "MAX_LENGTH",
    "GPU",
    "MULTI_GPU",
    "DETERMINISTIC",
    "MIXED_PRECISION",
]
_TRAINING = [
    "BATCH_SIZE",
    "EVAL_BATCH_SIZE",
    "ACC_STEPS",
    "EPOCHS",
    "LEARNING_RATE",
    "WARMUP_RATIO",
    "RESHUFFLE",
    "GROUP_BY_LENGTH",
    "RESUME",
]
_EXCLUSIVE = ("RESHUFFLE", "GROUP_BY_LENGTH")
_SUBSETS = ["MAX_TRAIN_EXAMPLES", "MAX_EVAL_EXAMPLES", "SPLIT_BY_BODY"]
_SPEED = ["GAMMA", "PHI", "SAVE_NAME", "SPEEDUP_LEARNING_RATE", "CP_LEARNING_RATE", "ETA_INIT"]

STAGES: dict[str, list[str]] = {
    "fine_tune": [*_COMMON, *_TRAINING, *_SUBSETS, "INITIAL_MODEL_PATH", "KEEP_BEST"],
    "store_saliencies": [*_COMMON, "BATCH_SIZE", "SPLIT", "RESUME", *_SUBSETS],
    "train_adapler": [*_COMMON, *_TRAINING, *_SUBSETS, *_SPEED, "INITIAL_MODEL_PATH"],
    "evaluate": [
        *_COMMON,
        "BATCH_SIZE",
        "EVAL_BATCH_SIZE",
        "SPLIT",
        *_SUBSETS,
        "MODEL_PATH",
        "LR_MODEL",
        "CHECK_LR_MODE",
        "AS_PUBLISHED_FLOPS",
        "FLOPS_PICKLE",
    ],
    "glue_prediction": [
        *(flag for flag in _COMMON if flag != "HOLD_OUT"),
        "BATCH_SIZE",
        "EVAL_BATCH_SIZE",
        "SPLIT",
        *_SUBSETS,
        "MODEL_PATH",
        "LR_MODEL",
        "SUBMISSION",
    ],
    "store_attentions": [
        *_COMMON,
        "BATCH_SIZE",
        "SPLIT",
        *_SUBSETS,
        "EPOCH",
        "ROLLOUT",
        "ONLY_LAST_LAYER",
    ],
    "evaluate_rationales": [*_COMMON, "BATCH_SIZE", "SPLIT", *_SUBSETS, "MODEL_PATH", "EPOCH", "SAVE"],
    "calibrate": [
        *_COMMON,
        "BATCH_SIZE",
        "EVAL_BATCH_SIZE",
        *_SUBSETS,
        "MODEL_PATH",
        "MAX_LOSS",
        "SCALES",
    ],
    "choose": _COMMON,
    "summarize": [*_COMMON, "MODEL_PATH", "SAVE"],
}
"""Stage -> the flags it takes."""

STAGE_DEFAULTS = {
    ("fine_tune", "LEARNING_RATE"): {"default": 2e-5},
    ("train_adapler", "LEARNING_RATE"): {"default": 3e-5},
    ("store_saliencies", "SPLIT"): {"help": "which split (default: train)"},
    ("evaluate", "SPLIT"): {"help": "which split (default: all but train)"},
    ("glue_prediction", "SPLIT"): {"help": "which split (default: every test split)"},
    ("store_attentions", "SPLIT"): {"help": "which split (default: train)"},
    ("evaluate_rationales", "SPLIT"): {"help": "which split (default: test)"},
    ("show_tokens", "SPLIT"): {"help": "which split (default: validation)"},
}
"""(stage, flag) -> what differs from FLAGS there."""

PIPELINE = ["fine_tune", "store_saliencies", "train_adapler", "calibrate", "evaluate", "summarize"]
"""The stages that run_files/run_task.sh and search.sh run; they give MODEL_PATH themselves, and all splits."""

PROGRAMS: dict[str, list[str]] = {
    "benchmark_loading": ["TASK", "BACKBONE", "DATA_DIR", "MAX_LENGTH", *_SUBSETS, "SAVE"],
    "benchmark_training": ["TASK", "BACKBONE", "DATA_DIR", "MAX_LENGTH", "BATCH_SIZE", *_SUBSETS, "SAVE"],
    "benchmark_precision": ["MODEL_PATH", "TASK", "DATA_DIR", "BATCH_SIZE", *_SUBSETS, "SAVE"],
    "inject_faults": ["TIMES", "SAVE"],
    "extend_positions": ["BACKBONE", "POSITIONS", "OUTPUT"],
    "flops_calc": ["BACKBONE", "LENGTHS"],
    "export_saved_model": ["MODEL_PATH", "OUTPUT"],
    "benchmark_inference": ["MODEL_PATH?", "TASK?", "DATA_DIR", *_SUBSETS, "FULL", "SAVE"],
    "show_tokens": ["MODEL_PATH", "TEXT", "TASK?", "SPLIT", "INDEX", "DATA_DIR", "HTML", "JSON"],
    "predict": ["MODEL_PATH", "INPUT", "OUTPUT", "TEXT_COLUMNS", "BATCH_SIZE", "ETA_SCALE", "SHARD"],
}
"""Program that has no folder of one task -> the flags it takes; with a question mark, optional ones."""


def make_parser(stage: str, description: str) -> argparse.ArgumentParser:
    """The stage's parser; `--help` shows every flag with its default."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    flags = (STAGES | PROGRAMS)[stage]
    exclusive = parser.add_mutually_exclusive_group() if set(_EXCLUSIVE) <= set(flags) else parser
    for flag in flags:
        name = flag.removesuffix("?")
        options = _with_metavar(name, stage) | ({"required": False} if flag.endswith("?") else {})
        (exclusive if name in _EXCLUSIVE else parser).add_argument(f"--{name}", dest=name.lower(), **options)
    return parser


def _with_metavar(name: str, stage: str = "") -> dict:
    options = FLAGS[name] | STAGE_DEFAULTS.get((stage, name), {})
    if options.get("default") is not None:
        options["help"] += " (default: %(default)s)"
    if not options.keys() & {"action", "metavar", "choices"}:
        options["metavar"] = "N" if getattr(options.get("type"), "__name__", "") in ("int", "integer") else "X"
    return options


def known_flags(stage: str, arguments: Sequence[str]) -> list[str]:
    """The part of `arguments` that the stage takes.

    Raises:
        SystemExit: an argument is no flag of any stage of run_task.sh.
    """
    check({flag for name in PIPELINE for flag in STAGES[name]}, arguments)
    known, taken = [], False
    for argument in arguments:
        if argument.startswith("--"):
            taken = argument[2:].split("=")[0] in STAGES[stage]
        if taken:
            known.append(argument)
    return known


def check(names: set[str], arguments: Sequence[str]) -> None:
    """Raises SystemExit, with a usage message, for an argument that is none of the flags or no value of its flag."""
    parser = argparse.ArgumentParser(prog="run_files", allow_abbrev=False, add_help=False)
    for name in sorted(names):
        options = {k: v for k, v in _with_metavar(name).items() if k in ("type", "action", "nargs", "metavar")}
        parser.add_argument(f"--{name}", **options, default=argparse.SUPPRESS)
    parser.parse_args(arguments)


if __name__ == "__main__":
    if sys.argv[1] == "check":
        check({flag for name in PIPELINE for flag in STAGES[name]} - {"MODEL_PATH", "SPLIT"}, sys.argv[2:])
    elif flags := known_flags(sys.argv[1], sys.argv[2:]):
        print(*flags, sep="\0", end="\0")
