"""Writes a model's predictions on a GLUE task's test set (or another --SPLIT): index<TAB>prediction.

The file is logs/glue_prediction_<model>_<split>.tsv. With --SUBMISSION the GLUE server's file is written too, under
directory/<backbone>/<seed>/glue_submission/, and once those of all tasks are there, submission.zip.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tools.checkpoints import load_model, tokenizer_of
from tools.data import load_examples
from tools.errors import UserError
from tools.evaluation import predict
from tools.glue_submission import server_file, write_predictions, write_server_file, zip_if_complete
from tools.metrics import answers
from tools.paths import TaskPaths
from tools.runtime import data_options, eval_batch_size, run_stage, task_of
from tools.tasks import CUSTOM


def predict_glue(settings: argparse.Namespace, where: TaskPaths) -> None:
    task, options = task_of(settings), data_options(settings)
    splits = [settings.split] if settings.split else [name for name in task.splits if name.startswith("test")]
    if not splits:
        raise UserError(f"{task.name} has no test split; --SPLIT can be {', '.join(task.splits)}")
    for split in splits if settings.submission else ():
        server_file(where.glue_submission, task, split)
    tokenizer = tokenizer_of(settings.model_path, settings.backbone)
    model = load_model(settings.model_path, settings.backbone, task, settings.max_length, settings.lr_model)
    for split in splits:
        examples = load_examples(task, split, tokenizer, settings.max_length, options)
        predictions = answers(predict(model, examples, eval_batch_size(settings), desc=split).logits)
        if settings.submission:
            print(write_server_file(where.glue_submission, task, split, examples.row_ids, predictions))
        file = where.glue_prediction(settings.model_path, split)
        named = [task.label_names[label] for label in predictions] if task.name == CUSTOM else predictions
        write_predictions(file, examples.row_ids, named)
        print(file)
    if settings.submission and (archive := zip_if_complete(where.glue_submission)):
        print(archive)


if __name__ == "__main__":
    run_stage("glue_prediction", __doc__, predict_glue)
