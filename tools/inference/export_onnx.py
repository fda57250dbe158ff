"""Exports a model for ONNX Runtime, in float32 and in int8, as a directory that needs nothing else.

OUTPUT gets model.onnx, model.int8.onnx, tokenizer.json, config.json and README.md, if the float32 model has the logits
and lengths of TensorFlow's lr_mode; otherwise nothing is written. tools.inference.onnx_predictor.OnnxPredictor and
run_files/predict.py --MODEL_PATH OUTPUT take the directory. With --TASK, the layers that cost int8 too much of the dev
score stay in float32.
"""

from __future__ import annotations

import importlib.util
import itertools
import json
import sys
from dataclasses import replace
from pathlib import Path

from tools.common.errors import UserError
from tools.runtime.argument_parser import argument_group, flag, given, parse
from tools.runtime.argument_types import PositiveInt
from tools.runtime.arguments import SAME_HOLD_OUT, HeldOutTaskArguments

TASK_FLAGS = ("data_dir", "label_column", "hold_out", "max_eval_examples")
"""Flags that say which examples of --TASK are compared."""


@argument_group("export")
class ExportArguments:
    model_path: Path = flag("an AdapLeR or a plain BERT: a save_pretrained directory, or the .h5 file beside it")
    output: Path = flag("directory to write")
    results: Path | None = flag("result file of the model's run, for the scores in README.md and config.json", None)
    texts: Path | None = flag(
        "texts to compare with TensorFlow: .txt (one per line), .csv, .tsv, .jsonl or .parquet (default: random words "
        "of the vocabulary)",
        None,
    )
    task: str | None = flag("compare int8's score with float32's on this task's validation split", None)
    data_dir: Path | None = flag("folder of local data sets, <DATA_DIR>/<task>/<split>.* (default: the hub)", None)
    label_column: str = flag("label column of a custom task", "label")
    hold_out: PositiveInt | None = flag(SAME_HOLD_OUT, None)
    max_eval_examples: PositiveInt | None = flag("compare on this many examples", None)
    contributions: bool = flag("add an output: the contribution of each token at each layer", False)

    def __post_init__(self):
        idle = given(self, TASK_FLAGS)
        if idle and self.task is None:
            raise UserError(f"{idle[0]} has no use without --TASK; add --TASK, or leave it out")


if __name__ == "__main__":
    ARGUMENTS = parse([ExportArguments], __doc__)  # before the imports that take seconds
    if importlib.util.find_spec("onnxscript") is None:
        sys.exit(
            "error: the export needs more packages: python -m pip install --require-hashes -r requirements-onnx.lock"
        )

import onnx_ir

from models import TFAdapLeRForSequenceClassification
from tools.common.atomic_files import atomic_directory, require_replaceable, write_json
from tools.data.files import find_text_columns, stream_texts
from tools.inference.int8_score import DevSet, describe, load_dev_set, write_int8
from tools.inference.model_card import model_card
from tools.inference.onnx_agreement import compare, random_texts
from tools.inference.onnx_graph import ModelGraph
from tools.inference.onnx_predictor import MODEL_FILES
from tools.inference.tokenizer_file import write_tokenizer
from tools.runtime.checkpoints import load_saved, load_tokenizer, model_directory, weights_checksum
from tools.runtime.program import run_program
from tools.runtime.run import require_custom_columns

LARGEST_FILE = 2e9
"""Bytes of weights that fit into one ONNX file."""

MAX_TEXTS = 1000
"""Texts of a file that are compared."""


def export_onnx(arguments: ExportArguments) -> None:
    """Writes the directory.

    Raises:
        UserError: the model, the result file or the texts cannot be read, the result file is of another model, OUTPUT
            cannot be written or is another kind of directory, the graph cannot hold the model, or ONNX Runtime
            disagrees with TensorFlow.
    """
    require_replaceable(arguments.output, MODEL_FILES["float32"])
    model = load_saved(arguments.model_path)
    source = model_directory(arguments.model_path)
    if arguments.contributions and not model.is_adapler:
        raise UserError(f"--CONTRIBUTIONS has no use for {source}, a plain BERT without contributions; leave it out")
    results = None if arguments.results is None else read_results(arguments.results, source, model)
    config = exported_config(source.absolute().name, model, results)
    texts = read_texts(arguments.texts, config["text_columns"]) if arguments.texts else None
    dev = dev_set(arguments, model.config) if arguments.task else None
    try:
        with atomic_directory(arguments.output) as directory:
            write_tokenizer(load_tokenizer(str(source)), config["max_length"], directory)
            write_json(directory / "config.json", config)
            config["int8"] = write_graphs(model, directory, arguments.contributions, dev)
            write_json(directory / "config.json", config)
            (directory / "README.md").write_text(model_card(config, directory), encoding="utf-8")
            print(compare(model, directory, texts or random_texts(directory)))
            print(f"int8: {describe(config['int8'])}")
    except OSError as error:
        raise UserError(f"cannot write --OUTPUT {arguments.output}: {error}") from error
    print(arguments.output)


def read_texts(file: Path, text_columns: list[str] | None) -> list[str | tuple[str, ...]]:
    """The first MAX_TEXTS texts of a file."""
    return list(itertools.islice(stream_texts(file, find_text_columns(file, text_columns)), MAX_TEXTS))


def write_graphs(
    model: TFAdapLeRForSequenceClassification, directory: Path, contributions: bool, dev: DevSet | None = None
) -> dict | None:
    """Writes the model in both precisions, and returns how the score of int8 compares, as `write_int8` does.

    Raises:
        UserError: the model is too large for one file, or its activation is unknown.
    """
    if 4 * model.count_params() > LARGEST_FILE:
        raise UserError(
            f"the model has {model.count_params()} weights; one ONNX file holds at most {LARGEST_FILE / 4:.0f}"
        )
    onnx_ir.save(ModelGraph(model, with_contributions=contributions).build(), directory / MODEL_FILES["float32"])
    return write_int8(model, directory, contributions, dev)


def dev_set(arguments: ExportArguments, config) -> DevSet:
    """The validation split of --TASK; a custom task has the text columns of the model's config."""
    names = ("task", "data_dir", "label_column", "hold_out")
    task = HeldOutTaskArguments(**{name: getattr(arguments, name) for name in names})
    require_custom_columns(task)
    columned = replace(task, text_columns=config.text_columns)
    return load_dev_set(columned, arguments.max_eval_examples, config)


def exported_config(name: str, model: TFAdapLeRForSequenceClassification, results: dict | None) -> dict:
    """The content of config.json."""
    sizes = ("num_hidden_layers", "hidden_size", "vocab_size", "type_vocab_size", "max_position_embeddings")
    return {
        "name": name,
        "adapler": model.is_adapler,
        "regression": model.config.num_labels == 1,
        "id2label": {str(number): label for number, label in model.config.id2label.items()},
        "max_length": model.longest_input,
        "eta_scale": model.eta_scale,
        "text_columns": model.config.text_columns,
        **{size: getattr(model.config, size) for size in sizes},
        "results": results,
    }


def read_results(file: Path, source: Path, model: TFAdapLeRForSequenceClassification) -> dict:
    """What a run's result file says of its training data, and of the scores of its AdapLeR or else its BERT.

    Args:
        source: the directory of the model.

    Raises:
        UserError: it is no result file of a run, or one of another model.
    """
    try:
        results = json.loads(file.read_text(encoding="utf-8"))
        scores = results["adapler" if model.is_adapler else "bert"]
        stage = results["settings"]["train_adapler" if model.is_adapler else "fine_tune"]
        metric, bert = results["metric"], results["bert"]
        intervals = results.get("splits", {}) if model.is_adapler else {}
        facts = {
            **{name: results[name] for name in ("task", "metric", "backbone", "seed", "commit")},
            "training_examples": stage["max_train_examples"],
            "held_out_examples": stage.get("hold_out"),
            "splits": {
                split: {
                    "examples": scores[split]["examples"],
                    "score": scores[split][metric],
                    "fine_tuned": bert[split][metric],
                    "speedup": scores[split]["speedup"],
                    "difference": intervals.get(split),
                }
                for split, values in scores.items()
                if isinstance(values, dict) and metric in values
            },
        }
        measured = {"model": Path(scores["model"]).name.removesuffix(".h5")}
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise UserError(f"--RESULTS {file} is not the result file of a run, as --SAVE writes it: {error!r}") from error
    if model.is_adapler:
        measured |= {name: scores[name] for name in ("eta_scale", "weights") if name in scores}
    require_same_model(file, measured, source, model.eta_scale)
    return facts


def require_same_model(file: Path, measured: dict, source: Path, eta_scale: float) -> None:
    """Makes sure that a result file is of the model that is exported.

    Args:
        measured: what the file records of its model: the name, and unless it is old eta_scale and checksum of weights.

    Raises:
        UserError: one of them differs.
    """
    exported = {"model": source.absolute().name, "eta_scale": eta_scale, "weights": weights_checksum(source)}
    for name, value in measured.items():
        if value != exported[name]:
            raise UserError(
                f"--RESULTS {file} is of another model: its {name} is {value}, that of {source} is {exported[name]}; "
                "give the result file of this model's run, or leave --RESULTS out"
            )


if __name__ == "__main__":
    run_program(ARGUMENTS, export_onnx)
