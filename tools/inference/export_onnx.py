"""Exports a model for ONNX Runtime, in float32 and in int8, as a directory that needs nothing else.

OUTPUT gets model.onnx, model.int8.onnx, tokenizer.json, config.json and README.md, if the float32 model has the logits
and lengths of TensorFlow's lr_mode; otherwise nothing is written. tools.inference.onnx_predictor.OnnxPredictor and
run_files/predict.py --MODEL_PATH OUTPUT take the directory.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

LARGEST_FILE = 2e9
"""Bytes of weights that one ONNX file can hold."""


def main() -> None:
    """Runs the program; exit code 2 after an error that the user can mend."""
    settings = parse_arguments()
    from tools.errors import UserError

    try:
        export(settings)
    except (UserError, OSError) as error:
        cause = "" if isinstance(error, UserError) else f"cannot write --OUTPUT {settings.output}: "
        print(f"error: {cause}{error}", file=sys.stderr)
        sys.exit(2)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags = {
        "MODEL_PATH": {"type": Path, "required": True, "help": "save_pretrained directory, an AdapLeR or a plain BERT"},
        "OUTPUT": {"type": Path, "required": True, "help": "directory to write"},
        "RESULTS": {
            "type": Path,
            "help": "result file of the model's run, for the scores in README.md and config.json",
        },
        "TEXTS": {
            "type": Path,
            "help": "texts to compare with TensorFlow, .txt (one a line), .csv, .tsv, .jsonl or .parquet "
            "(default: random words of the vocabulary)",
        },
        "CONTRIBUTIONS": {"action": "store_true", "help": "add an output: each token's contribution at each layer"},
    }
    for name, options in flags.items():
        parser.add_argument(f"--{name}", f"--{name.lower()}", dest=name.lower(), **options)
    return parser.parse_args()


def export(settings: argparse.Namespace) -> None:
    """Writes the directory.

    Raises:
        UserError: the model, the result file or the texts cannot be read, OUTPUT is another kind of directory, the
            model has an activation of its own or is too large, or ONNX Runtime disagrees with TensorFlow.
        OSError: OUTPUT cannot be written.
    """
    from tools.files import replacing_directory, require_replaceable

    require_replaceable(settings.output, "model.onnx")
    results = read_results(settings.results) if settings.results else None
    with replacing_directory(settings.output) as directory:
        write_files(settings, results, directory)
    print(settings.output)


def write_files(settings: argparse.Namespace, results: dict | None, directory: Path) -> None:
    """Writes all files into an empty directory and compares the model with TensorFlow's."""
    # imported here because they take seconds, which --help and a wrong --OUTPUT need not wait for
    from tools.checkpoints import load_saved, load_tokenizer, model_directory
    from tools.files import write_json
    from tools.inference.model_card import model_card
    from tools.inference.onnx_agreement import compare, made_texts, read_texts

    model = load_saved(settings.model_path)
    source = model_directory(settings.model_path)
    config = exported_config(source.name, model, results)
    hf_tokenizer = load_tokenizer(str(source))
    tokenizer = hf_tokenizer.backend_tokenizer
    tokenizer.enable_truncation(config["max_length"])
    tokenizer.enable_padding(pad_id=hf_tokenizer.pad_token_id, pad_token=hf_tokenizer.pad_token)
    tokenizer.save(str(directory / "tokenizer.json"))
    write_json(directory / "config.json", config)
    write_graphs(model, directory, settings.contributions)
    (directory / "README.md").write_text(model_card(config, directory), encoding="utf-8")
    if settings.texts:
        texts = read_texts(settings.texts, config["text_columns"])
    else:
        texts = made_texts(tokenizer, config["max_length"], pairs=len(config["text_columns"]) == 2)
    print(compare(model, directory, texts))


def write_graphs(model, directory: Path, contributions: bool) -> None:
    """Writes both precisions of the model."""
    import onnx_ir

    from tools.errors import UserError
    from tools.inference.onnx_graph import ModelGraph, dense_float32
    from tools.inference.onnx_predictor import MODEL_FILES
    from tools.inference.onnx_quantisation import dense_int8

    if 4 * model.count_params() > LARGEST_FILE:
        raise UserError(f"the model's {model.count_params()} weights do not fit into an ONNX file, which ends at 2 GB")
    for precision, dense in (("float32", dense_float32), ("int8", dense_int8)):
        onnx_ir.save(ModelGraph(model, dense, contributions).build(), directory / MODEL_FILES[precision])


def exported_config(name: str, model, results: dict | None) -> dict:
    """What config.json holds."""
    kept = ("num_hidden_layers", "hidden_size", "vocab_size", "type_vocab_size", "max_position_embeddings")
    config = {
        "name": name,
        "adapler": model.is_adapler,
        "regression": model.config.num_labels == 1,
        "id2label": {str(number): label for number, label in model.config.id2label.items()},
        "max_length": model.longest_input,
        "eta_scale": model.eta_scale,
        "text_columns": getattr(model.config, "text_columns", None) or ["text"],
    }
    config |= {size: getattr(model.config, size) for size in kept}
    return config | ({"results": run_scores(results, model.is_adapler)} if results else {})


def read_results(file: Path) -> dict:
    """A run's result file.

    Raises:
        UserError: it is none.
    """
    from tools.errors import UserError

    try:
        results = json.loads(file.read_text(encoding="utf-8"))
        run_scores(results, adapler=True)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise UserError(f"--RESULTS {file} is not the result file of a run, as --SAVE writes it: {error!r}") from error
    return results


def run_scores(results: dict, adapler: bool) -> dict:
    """What a run's result file says of the training data, and of the scores of its AdapLeR or its BERT."""
    metric, model = results["metric"], results["adapler" if adapler else "bert"]
    splits = {
        split: {
            "examples": values["examples"],
            "score": values[metric],
            "fine_tuned": results["bert"][split][metric],
            "speedup": values["speedup"],
            "difference": values.get("difference"),
        }
        for split, values in model.items()
        if isinstance(values, dict) and metric in values
    }
    named = {name: results[name] for name in ("task", "metric", "backbone", "seed", "commit")}
    rows = results["settings"]["train_adapler" if adapler else "fine_tune"]["max_train_examples"]
    return named | {"training_examples": rows, "splits": splits}


if __name__ == "__main__":
    main()
