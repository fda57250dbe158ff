"""Models and tokenizers, from backbones and from what earlier stages saved."""

from __future__ import annotations

import json
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import h5py
import numpy as np
import tf_keras as keras
from safetensors import SafetensorError
from transformers import AutoTokenizer, PreTrainedTokenizerBase
from transformers.utils import SAFE_WEIGHTS_NAME, TF2_WEIGHTS_NAME
from transformers.utils import logging as transformers_logging

from models import TFAdapLeRForSequenceClassification
from tools.common import paths
from tools.common.atomic_files import atomic_directory, atomic_write, file_checksum, link, write_json
from tools.common.errors import UserError
from tools.common.locks import locked
from tools.common.provenance import VERSION
from tools.data import demo_task
from tools.data.tasks import TABLE, Task

transformers_logging.set_verbosity_error()
transformers_logging.disable_progress_bar()


def resolve_backbone(task: str, backbone: str | None) -> str:
    """The backbone to use; a generated task has its own, built when it is first needed."""
    if backbone is not None:
        return backbone
    if task not in TABLE or not TABLE[task].generated:
        return paths.DEFAULT_BACKBONE
    directory = paths.generated_backbone(f"{task}_bert")
    with locked(directory.parent, wait=True):
        if not (directory / "config.json").exists():
            demo_task.build_backbone(directory)
    return str(directory)


UNREADABLE = (OSError, ValueError, TypeError, KeyError, AttributeError, SafetensorError)
"""What transformers raises for files that are missing or damaged."""


@contextmanager
def loading(what: str) -> Iterator[None]:
    """Turns what transformers raises in the block, where it loads something, into a sentence.

    Raises:
        UserError: it cannot be loaded.
    """
    try:
        yield
    except UNREADABLE as error:
        raise UserError(f"cannot load {what}: {_first_line(error)}") from error
    except Exception as error:
        if type(error) is not Exception:  # which tokenizers raises for a damaged file
            raise
        raise UserError(f"cannot load {what}: {_first_line(error)}") from error


def load_tokenizer(backbone: str) -> PreTrainedTokenizerBase:
    """The backbone's fast tokenizer.

    Raises:
        UserError: there is no such backbone, or it has no fast tokenizer.
    """
    with loading(f"a tokenizer from '{backbone}'"):
        tokenizer = AutoTokenizer.from_pretrained(backbone, use_fast=True)
    if not tokenizer.is_fast:
        raise UserError(f"the tokenizer of '{backbone}' has no fast version; its directory needs a tokenizer.json")
    return tokenizer


def require_exists(model_path: Path) -> None:
    """Raises UserError if there is no such model; what is not a directory would pass for .h5 weights."""
    if not model_path.exists():
        raise UserError(f"--MODEL_PATH {model_path} does not exist")


def tokenizer_of(model_path: Path, backbone: str) -> PreTrainedTokenizerBase:
    """The tokenizer of a trained model: its directory's own, or for .h5 weights the backbone's.

    Raises:
        UserError: there is no such model, or no such tokenizer.
    """
    require_exists(model_path)
    return load_tokenizer(str(model_path) if model_path.is_dir() else backbone)


def load_backbone(
    backbone: str, task: Task, max_length: int, trained: bool = False, **config
) -> TFAdapLeRForSequenceClassification:
    """A BERT for the task.

    Args:
        trained: `backbone` is a finished model of the task; else its classifier, if it has another number of labels
            or none at all, gives way to a new one.
        config: changes to the backbone's config.

    Raises:
        UserError: it cannot be loaded, is no BERT, lacks weights, has fewer positions than `max_length`, has a
            classifier for another task though `trained`, or is an AdapLeR though not.
    """
    names = dict(enumerate(task.label_names or ["LABEL_0"]))
    labels = {"num_labels": task.outputs, "id2label": names, "label2id": {name: i for i, name in names.items()}}
    with loading(f"the backbone '{backbone}'"):
        model, found = TFAdapLeRForSequenceClassification.from_pretrained(
            backbone, ignore_mismatched_sizes=True, output_loading_info=True, **labels, **config
        )
    if model.is_adapler and not trained:
        raise UserError(f"--BACKBONE {backbone} is a trained AdapLeR; give the BERT that training shall start from")
    for name, theirs, ours in found["mismatched_keys"]:
        if trained or "classifier" not in name:
            raise UserError(f"'{backbone}' has '{name}' of shape {theirs} where {task.name} needs {ours}")
    require_weights(backbone, found["missing_keys"], optional=() if trained else ("classifier", "pooler"))
    positions = model.config.max_position_embeddings
    if max_length > positions:
        raise UserError(
            f"--MAX_LENGTH {max_length} exceeds the {positions} positions of the backbone '{backbone}'; "
            "python -m tools.training.extend_positions makes one with more"
        )
    model.config.update({"max_input_length": max_length, "text_columns": list(task.text_columns)})
    return model


def load_model(model_path: Path, backbone: str, task: Task, max_length: int, converted: bool):
    """A trained model, from .h5 weights on a backbone or from a save_pretrained directory.

    Args:
        converted: whether the weights are an AdapLeR's; a directory knows by itself.

    Raises:
        UserError: it does not exist or does not fit the backbone or the task's labels.
    """
    require_exists(model_path)
    if model_path.is_dir():
        model = load_backbone(str(model_path), task, max_length, trained=True)
        if converted:
            require_converted(model, model_path)
        return model
    model = load_backbone(backbone, task, max_length)
    if converted:
        model.to_AdapLeR()
    load_weights(model, model_path)
    return model


def load_saved(model_path: Path, converted: bool = False) -> TFAdapLeRForSequenceClassification:
    """A model from a directory that `save_pretrained` wrote, which alone knows everything about it.

    Args:
        model_path: the directory, or the .h5 weights beside which it stands.
        converted: refuse a plain BERT.

    Raises:
        UserError: there is no such directory, or it cannot be loaded.
    """
    directory = model_directory(model_path)
    with loading(f"the model in {directory}"):
        model, found = TFAdapLeRForSequenceClassification.from_pretrained(directory, output_loading_info=True)
    require_weights(str(directory), found["missing_keys"])
    if converted:
        require_converted(model, directory)
    return model


def require_converted(model: TFAdapLeRForSequenceClassification, directory: Path) -> None:
    """Raises UserError if the model from this directory is a plain BERT."""
    if not model.is_adapler:
        raise UserError(
            f"{directory} holds a plain BERT; stage 3 (run_files/run_classification_w_lr.py) makes an AdapLeR"
        )


def require_weights(source: str, missing: list[str], optional: tuple[str, ...] = ()) -> None:
    """Refuses a checkpoint whose files lack weights, which would stay random.

    Args:
        missing: the weights' names.
        optional: parts of names that may be missing.

    Raises:
        UserError: one of the others is.
    """
    needed = sorted(name for name in missing if not any(part in name for part in optional))
    if needed:
        raise UserError(f"'{source}' lacks {len(needed)} weights of this model, the first is '{needed[0]}'")


def model_directory(model_path: Path) -> Path:
    """The save_pretrained directory that --MODEL_PATH means.

    Raises:
        UserError: there is none.
    """
    directory = directory_beside(model_path) if model_path.suffix == ".h5" else model_path
    if not (directory / "config.json").exists():
        raise UserError(
            f"--MODEL_PATH {model_path}: no directory {directory} with a config.json; stages 1 "
            "and 3 write one for the epoch that they choose"
        )
    return directory


def weights_checksum(model_path: Path) -> int:
    """CRC-32 of a model's file of weights: the .h5 file, or the one that `from_pretrained` reads from a directory.

    Raises:
        UserError: there is no such file.
    """
    in_directory = [model_path / name for name in (SAFE_WEIGHTS_NAME, TF2_WEIGHTS_NAME)]
    files = in_directory if model_path.is_dir() else [model_path]
    for file in files:
        if file.is_file():
            return file_checksum(file)
    raise UserError(f"--MODEL_PATH {model_path}: no weights at {' or '.join(map(str, files))}")


def saved_max_length(model_path: Path | None) -> int | None:
    """The MAX_LENGTH that a saved model was trained with, if its directory says so."""
    config = _saved_config(model_path)
    return config.get("max_input_length", config.get("MAX_LENGTH"))


def saved_eta_scale(model_path: Path) -> float:
    """The factor on eta with which a model is loaded: its directory's; .h5 weights have none."""
    return _saved_config(model_path).get("eta_scale", 1.0) if model_path.is_dir() else 1.0


def _saved_config(model_path: Path | None) -> dict:
    """A saved model's config.json; empty if there is none that can be read."""
    with suppress(UserError, OSError, ValueError):
        if model_path is not None:
            return json.loads((model_directory(model_path) / "config.json").read_text(encoding="utf-8"))
    return {}


def set_eta_scale(directory: Path, eta_scale: float) -> None:
    """Writes the factor on eta into a saved model's config."""
    file = directory / "config.json"
    write_json(file, json.loads(file.read_text(encoding="utf-8")) | {"eta_scale": eta_scale})


def load_weights(model: keras.Model, path: Path) -> None:
    """Loads .h5 weights.

    Raises:
        UserError: the file is damaged, or made for another backbone, label count or kind of model.
    """
    if not path.exists():
        raise UserError(f"no weights at {path}")
    if path.is_dir():
        raise UserError(f"{path} is a directory; give .h5 weights, which stages 1 and 3 write beside it")
    try:
        model.load_weights(str(path))
    except (OSError, ValueError, KeyError) as error:
        kind = "an AdapLeR" if getattr(model, "is_adapler", False) else "a plain BERT"
        raise UserError(
            f"the weights {path} do not fit {kind} of {model.config.num_hidden_layers} layers x "
            f"{model.config.hidden_size} with {model.config.num_labels} labels (check --BACKBONE, --TASK and "
            f"--LR_MODEL): {_first_line(error)}"
        ) from error


def save_model(model: keras.Model, tokenizer: PreTrainedTokenizerBase, weights: Path) -> None:
    """Writes a save_pretrained directory that needs nothing else, and its weights as an .h5 file beside it.

    The weights are on the disk once: the file is a link to the directory's.

    Args:
        weights: the .h5 file; the directory has the same name without .h5.

    Raises:
        OSError: the stored weights are not those in memory; what stood under these names stays.
    """
    save_directory(model, tokenizer, directory_beside(weights))
    link(directory_beside(weights) / TF2_WEIGHTS_NAME, weights)


def save_directory(model: keras.Model, tokenizer: PreTrainedTokenizerBase, directory: Path) -> None:
    """Writes a save_pretrained directory that needs nothing else.

    Raises:
        OSError: the stored weights are not those in memory; what stood under this name stays.
    """
    model.config.project_version = VERSION
    with atomic_directory(directory) as temporary:
        model.save_pretrained(temporary)
        tokenizer.save_pretrained(temporary)
        verify_weights(model, temporary / TF2_WEIGHTS_NAME)


def directory_beside(weights: Path) -> Path:
    """The save_pretrained directory that `save_model` writes beside .h5 weights."""
    return weights.with_suffix("")


def save_weights(model: keras.Model, path: Path) -> None:
    """Writes .h5 weights.

    Raises:
        OSError: the stored weights are not those in memory; what stood at `path` stays.
    """
    with atomic_write(path) as temporary:
        model.save_weights(str(temporary))
        verify_weights(model, temporary)


def verify_weights(model: keras.Model, path: Path) -> None:
    """Compares every array in an .h5 file with the model's variables in memory.

    Raises:
        OSError: an array is missing or differs.
    """
    arrays = []
    with h5py.File(path) as file:
        file.visititems(lambda _, item: arrays.append(item[()]) if isinstance(item, h5py.Dataset) else None)
    expected = Counter(_array_key(weight.numpy()) for weight in model.weights)
    if Counter(map(_array_key, arrays)) != expected:
        raise OSError(f"{path.name} was not written correctly: its weights differ from the model's; check the disk")


def _array_key(array: np.ndarray) -> tuple:
    return array.shape, array.dtype.str, zlib.crc32(np.ascontiguousarray(array).tobytes())


def _first_line(error: Exception) -> str:
    if "PyTorch weights" in str(error):
        return "its weights are a PyTorch pickle; save them as safetensors, with PyTorch: model.save_pretrained(DIR)"
    return str(error).strip().split("\n")[0] or type(error).__name__
