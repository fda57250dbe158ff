"""Stage 1: fine-tunes BERT on a task and keeps each epoch's weights and dev scores.

Writes models/bert_<task>_<epoch>.h5 and logs/ft_logs.json under directory/<backbone>/<seed>/<task>/. Beside the best
epoch's weights is a directory of the same name without .h5 that from_pretrained loads. The last line that it prints is
the path of these weights.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tools.runtime.argument_parser import parse
from tools.runtime.arguments import STAGES

if __name__ == "__main__":
    ARGUMENTS = parse(STAGES["fine_tune"], __doc__)  # before the imports that take seconds

from models.objective import Objective, adam
from tools.common.errors import UserError
from tools.data.loading import load_examples
from tools.runtime.checkpoints import directory_beside, load_backbone, load_tokenizer, load_weights, save_directory
from tools.runtime.fine_tuning_log import SALIENCY_EPOCHS, best_epochs
from tools.runtime.run import Run
from tools.runtime.run_record import SCORES
from tools.runtime.stage import run_stage
from tools.training.callbacks import KeepFineTuned
from tools.training.fit import fit, step_counts


def fine_tune(run: Run) -> None:
    training = run.arguments
    needed = min(SALIENCY_EPOCHS, training.epochs)
    if training.keep_best is not None and training.keep_best < needed:
        raise UserError(f"--KEEP_BEST {training.keep_best}: stage 2 needs the {needed} best epochs")
    tokenizer = load_tokenizer(run.backbone)
    model = load_backbone(run.backbone, run.task, run.max_length)
    if training.initial_model_path:
        load_weights(model, training.initial_model_path)
    train = load_examples(run.task, "train", tokenizer, run.max_length, run.data_options)
    dev = load_examples(run.task, "validation", tokenizer, run.max_length, run.data_options)
    optimizer = adam(training.learning_rate, *step_counts(training, len(train)), 1e-8, weight_decay=0.01)
    clip_norm = training.clip_norm or None
    objective = Objective(class_weights=run.task.class_weights, acc_steps=training.acc_steps, clip_norm=clip_norm)
    model.compile(optimizer, objective=objective)
    scores_file = run.folder / SCORES
    callback = KeepFineTuned(run.task, dev, training.evaluation_batch_size, scores_file, run.paths, training.keep_best)
    fit(model, train, training, run.seed, callback, run.folder)
    best = run.paths.fine_tuned(best_epochs(run.task, callback.history)[0])
    load_weights(model, best)
    save_directory(model, tokenizer, directory_beside(best))
    print(best)


if __name__ == "__main__":
    run_stage("fine_tune", ARGUMENTS, fine_tune)
