"""Writes a model's predictions on a GLUE task's test set (or another --SPLIT): index<TAB>prediction.

The file is logs/glue_prediction_<model>_<split>.tsv. --SUBMISSION also writes the GLUE server's file under
directory/<backbone>/<seed>/glue_submission/, and submission.zip once the files of all tasks are there.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tools.runtime.argument_parser import parse
from tools.runtime.arguments import STAGES

if __name__ == "__main__":
    ARGUMENTS = parse(STAGES["glue_prediction"], __doc__)  # before the imports that take seconds

from tools.common.errors import UserError
from tools.common.task_names import CUSTOM
from tools.data.loading import load_examples
from tools.evaluation.evaluate import predict
from tools.evaluation.glue_submission import server_file, write_predictions, write_server_file, zip_if_complete
from tools.evaluation.metrics import answers
from tools.runtime.checkpoints import load_model, tokenizer_of
from tools.runtime.run import Run
from tools.runtime.stage import run_stage


def predict_glue(run: Run) -> None:
    task, asked = run.task, run.arguments
    splits = [asked.split] if asked.split else [name for name in task.splits if name.startswith("test")]
    if not splits:
        raise UserError(f"{task.name} has no test split; --SPLIT can be {', '.join(task.splits)}")
    folder = run.paths.glue_submission
    if asked.submission:
        for split in splits:
            server_file(folder, task, split)  # refuses a split of no submission before the work
    tokenizer = tokenizer_of(asked.model_path, run.backbone)
    model = load_model(asked.model_path, run.backbone, task, run.max_length, asked.lr_model)
    for split in splits:
        examples = load_examples(task, split, tokenizer, run.max_length, run.data_options)
        predictions = answers(predict(model, examples, asked.evaluation_batch_size, desc=split).logits)
        if asked.submission:
            print(write_server_file(folder, task, split, examples.row_ids, predictions))
        file = run.paths.glue_prediction(asked.model_path, split)
        is_custom = task.name == CUSTOM
        labels = [task.label_names[label] for label in predictions] if is_custom else predictions
        write_predictions(file, examples.row_ids, labels)
        print(file)
    if asked.submission:
        archive = zip_if_complete(folder)
        if archive:
            print(archive)


if __name__ == "__main__":
    run_stage("glue_prediction", ARGUMENTS, predict_glue)
