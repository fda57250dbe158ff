"""Stage 3: trains AdapLeR, that is BERT, its Contribution Predictors and the thresholds eta and theta together.

Needs stage 1's log and stage 2's saliencies. Writes models/adaptive_lr/<SAVE_NAME>_GAMMA<g>_PHI<p>_lr.h5 for the epoch
with the highest FLOPs speedup among those that lose less than a point of dev score, ..._lr_last.h5 for the last epoch,
and beside each a directory of the same name without .h5 that from_pretrained loads. The last line printed is the path
of the weights to use.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import tensorflow as tf

from models.adapler_encoder import ETA_MAX, ETA_MIN
from models.training_step import Objective, adam
from tools import fine_tuning_log, saliencies
from tools.callbacks import SCORES, KeepFastest
from tools.checkpoints import load_backbone, load_tokenizer, load_weights
from tools.data import load_examples
from tools.errors import UserError
from tools.paths import TaskPaths
from tools.run_record import as_json
from tools.runtime import data_options, eval_batch_size, run_folder, run_stage, task_of
from tools.settings import ALLOWED_LOSS
from tools.training import fit, step_counts


def train_adapler(settings: argparse.Namespace, where: TaskPaths) -> None:
    task = task_of(settings)
    best = fine_tuning_log.best_score(task, fine_tuning_log.read(task, where))
    tokenizer = load_tokenizer(settings.backbone)
    train, dev = load_training_data(settings, where, tokenizer)
    model = make_model(settings)
    compile_model(model, settings, *step_counts(settings, train))
    names = settings.save_name, settings.gamma, settings.phi
    files = where.adapler(*names), where.adapler_last(*names), where.adapler_log(*names)
    log = {"best_fine_tuned": best, "settings": as_json(settings)}
    folder = run_folder("train_adapler", settings, where)
    keeper = KeepFastest(task, dev, eval_batch_size(settings), folder / SCORES, tokenizer, files, log)
    fit(model, settings, train, keeper, folder)
    if keeper.chosen_epoch is None:
        earlier = f" ({files[0]} is an earlier run's)" if files[0].exists() else ""
        print(f"no epoch scored above {best:.4f} - {ALLOWED_LOSS} on validation: only the last epoch is kept{earlier}")
    print(files[1] if keeper.chosen_epoch is None else files[0])


def load_training_data(settings, where, tokenizer):
    """Training examples with their saliencies, and dev examples."""
    task, options = task_of(settings), data_options(settings)
    train, dev = (
        load_examples(task, split, tokenizer, settings.max_length, options) for split in ("train", "validation")
    )
    stored = [saliencies.Stored.of(where, "train", epoch) for epoch in fine_tuning_log.saliency_epochs(task, where)]
    redo = f"python ./tools/store_saliencies.py --TASK {task.name} --DATA_SEED {where.seed}"
    return saliencies.join(train, stored, f"{redo} --MAX_LENGTH {settings.max_length}"), dev


def make_model(settings):
    """The pretrained backbone (or --INITIAL_MODEL_PATH), converted; attention dropout is off, as published."""
    if not ETA_MIN <= settings.eta_init <= ETA_MAX:
        raise UserError(f"--ETA_INIT {settings.eta_init} is not between {ETA_MIN} and {ETA_MAX}, where eta is kept")
    task = task_of(settings)
    model = load_backbone(settings.backbone, task, settings.max_length, attention_probs_dropout_prob=0.0)
    if settings.initial_model_path:
        load_weights(model, settings.initial_model_path)
    model.to_AdapLeR()
    model.bert.encoder.eta.assign(tf.fill(model.bert.encoder.eta.shape, settings.eta_init))
    return model


def compile_model(model, settings, steps: int, warmup_steps: int) -> None:
    schedule = steps, warmup_steps, 1e-12
    model.compile(
        adam(settings.learning_rate, *schedule, weight_decay=0.01),
        objective=Objective(
            settings.gamma,
            settings.phi,
            task_of(settings).class_weights,
            settings.acc_steps,
            clip_norm=1.0,
        ),
        cp_optimizer=settings.cp_learning_rate and adam(settings.cp_learning_rate, *schedule, weight_decay=0.01),
        speedup_optimizer=adam(settings.speedup_learning_rate, *schedule),
    )


if __name__ == "__main__":
    run_stage("train_adapler", __doc__, train_adapler)
