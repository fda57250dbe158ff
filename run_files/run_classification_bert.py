"""Stage 1: fine-tunes BERT on a task; keeps each epoch's weights and dev scores.

Writes models/bert_<task>_<epoch>.h5 and logs/ft_logs.json under directory/<backbone>/<seed>/<task>/.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from models.training_step import Objective, adam
from tools.callbacks import SCORES, KeepFineTuned
from tools.checkpoints import load_backbone, load_tokenizer, load_weights
from tools.data import load_examples
from tools.errors import UserError
from tools.fine_tuning_log import SALIENCY_EPOCHS, best_epochs
from tools.paths import TaskPaths
from tools.runtime import data_options, eval_batch_size, run_folder, run_stage, task_of
from tools.training import fit, step_counts


def fine_tune(settings: argparse.Namespace, where: TaskPaths) -> None:
    if settings.keep_best is not None and settings.keep_best < min(SALIENCY_EPOCHS, settings.epochs):
        raise UserError(f"--KEEP_BEST {settings.keep_best}: stage 2 needs the {SALIENCY_EPOCHS} best epochs")
    task, options = task_of(settings), data_options(settings)
    tokenizer = load_tokenizer(settings.backbone)
    model = load_backbone(settings.backbone, task, settings.max_length)
    if settings.initial_model_path:
        load_weights(model, settings.initial_model_path)
    train, dev = (
        load_examples(task, split, tokenizer, settings.max_length, options) for split in ("train", "validation")
    )
    optimizer = adam(settings.learning_rate, *step_counts(settings, train), 1e-8, weight_decay=0.01)
    model.compile(optimizer, objective=Objective(class_weights=task.class_weights, acc_steps=settings.acc_steps))
    folder = run_folder("fine_tune", settings, where)
    keeper = KeepFineTuned(task, dev, eval_batch_size(settings), folder / SCORES, where, settings.keep_best)
    fit(model, settings, train, keeper, folder)
    print(where.fine_tuned(best_epochs(task, keeper.history)[0]))


if __name__ == "__main__":
    run_stage("fine_tune", __doc__, fine_tune)
