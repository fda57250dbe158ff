"""Exported directories of small models, for several files."""

import json
import shutil
from pathlib import Path

from transformers import BertTokenizerFast

from models import TFAdapLeRForSequenceClassification
from tools.common.paths import ROOT
from tools.inference.export_onnx import ExportArguments, export_onnx
from tools.runtime.checkpoints import weights_checksum

TEXTS = ["good film", "a very bad plot was seen", "", "it", "unknown words. of the film", "bad bad bad bad good"]
RESULTS = ROOT / "results" / "demo_demo_bert_22.json"


def export_model(model_path: Path, output: Path, **more) -> Path:
    export_onnx(ExportArguments(model_path=model_path, output=output, **more))
    return output


def results_of(model_path: Path, file: Path, train_adapler: dict | None = None, **adapler) -> Path:
    """The demo's result file as that of another model, with other settings of stage 3 and other facts of the model."""
    results = json.loads(RESULTS.read_text())
    facts = {"model": f"{model_path.name}.h5", "eta_scale": 1.0, "weights": weights_checksum(model_path)}
    results["adapler"] |= facts | adapler
    results["settings"]["train_adapler"] |= train_adapler or {}
    file.write_text(json.dumps(results))
    return file


def changed_copy(saved_model: Path, directory: Path, plain: bool = False, **config) -> Path:
    """The saved model with other settings; `plain`: a BERT of the same sizes."""
    tokenizer = BertTokenizerFast.from_pretrained(saved_model)
    if plain:
        shutil.copytree(saved_model.parent / "backbone", directory)
    else:
        shutil.copytree(saved_model, directory)
    model = TFAdapLeRForSequenceClassification.from_pretrained(directory, ignore_mismatched_sizes=True, **config)
    model.save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    return directory
