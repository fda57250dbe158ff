"""Writes a model's predictions on a GLUE task's test set (or another --SPLIT): index<TAB>prediction.

The file is logs/glue_prediction_<model>_<split>.tsv.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tools.checkpoints import load_model, load_tokenizer
from tools.data import load_examples
from tools.evaluation import predict
from tools.glue_submission import write_predictions
from tools.paths import TaskPaths
from tools.runtime import data_options, eval_batch_size, run_stage  # isort: split  (sets up TensorFlow)
from tools.tasks import get_task


def predict_glue(settings: argparse.Namespace, where: TaskPaths) -> None:
    task, split = get_task(settings.task), settings.split or "test"
    tokenizer = load_tokenizer(settings.backbone)
    model = load_model(settings.model_path, settings.backbone, task, settings.max_length, settings.lr_model)
    examples = load_examples(task, split, tokenizer, settings.max_length, data_options(settings))
    predictions = predict(model, examples, eval_batch_size(settings), desc=split)
    file = where.glue_prediction(settings.model_path, split)
    write_predictions(file, examples.row_ids, predictions.logits.argmax(axis=-1))
    print(file)


if __name__ == "__main__":
    run_stage("glue_prediction", __doc__, predict_glue)
