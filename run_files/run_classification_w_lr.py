"""Stage 3: trains AdapLeR, that is BERT, its Contribution Predictors and the thresholds eta and theta together.

Needs stage 1's log and stage 2's saliencies. Writes models/adaptive_lr/<SAVE_NAME>_GAMMA<g>_PHI<p>_lr.h5 for the epoch
with the highest FLOPs speedup among those that lose less than a point of dev score, ..._lr_last.h5 for the last epoch,
and beside each a directory of the same name without .h5 that from_pretrained loads. The last line that it prints is the
path of the weights to use.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tools.runtime.argument_parser import parse
from tools.runtime.arguments import STAGES

if __name__ == "__main__":
    ARGUMENTS = parse(STAGES["train_adapler"], __doc__)  # before the imports that take seconds

import tensorflow as tf

from models import TFAdapLeRForSequenceClassification
from models.adapler_encoder import ETA_MAX, ETA_MIN
from models.training_step import Objective, adam
from tools.common.errors import UserError
from tools.data.loading import load_examples
from tools.explanations import saliencies
from tools.runtime import fine_tuning_log
from tools.runtime.arguments import ALLOWED_LOSS
from tools.runtime.checkpoints import load_backbone, load_tokenizer, load_weights
from tools.runtime.run import Run
from tools.runtime.stage import run_stage
from tools.training.callbacks import SCORES, KeepFastest
from tools.training.fit import fit, step_counts


def train_adapler(run: Run) -> None:
    arguments = run.arguments
    best = fine_tuning_log.best_score(run.task, fine_tuning_log.read(run.task, run.paths))
    tokenizer = load_tokenizer(run.backbone)
    train = load_training_examples(run, tokenizer)
    dev = load_examples(run.task, "validation", tokenizer, run.max_length, run.data_options)
    model = make_model(run)
    compile_model(model, run, *step_counts(arguments, len(train)))
    names = arguments.save_name, arguments.gamma, arguments.phi
    files = run.paths.adapler(*names), run.paths.adapler_last(*names), run.paths.adapler_log(*names)
    if not arguments.resume:
        for file in files[:2]:
            run.paths.eta_scales(file).unlink(missing_ok=True)  # of an earlier model of this name
    log = {"best_fine_tuned": best, "settings": run.settings}
    batch_size, scores_file = arguments.evaluation_batch_size, run.folder / SCORES
    callback = KeepFastest(run.task, dev, batch_size, scores_file, tokenizer, files, log)
    fit(model, train, arguments, run.seed, callback, run.folder)
    if callback.chosen_epoch is None:
        earlier = f" ({files[0]} is from an earlier run)" if files[0].exists() else ""
        print(f"no epoch scored above {best:.4f} - {ALLOWED_LOSS} on validation: only the last epoch is kept{earlier}")
    print(files[1] if callback.chosen_epoch is None else files[0])


def load_training_examples(run: Run, tokenizer):
    """Training examples with the saliencies that stage 2 stored for them."""
    examples = load_examples(run.task, "train", tokenizer, run.max_length, run.data_options)
    epochs = fine_tuning_log.saliency_epochs(run.task, run.paths)
    stored = [saliencies.SaliencyFiles.of(run.paths, "train", epoch) for epoch in epochs]
    command = f"python ./tools/store_saliencies.py --TASK {run.task.name} --DATA_SEED {run.paths.seed}"
    return saliencies.join(examples, stored, f"{command} --MAX_LENGTH {run.max_length}")


def make_model(run: Run) -> TFAdapLeRForSequenceClassification:
    """The pretrained backbone (or --INITIAL_MODEL_PATH), converted; attention dropout is off, as published."""
    eta_init, weights = run.arguments.eta_init, run.arguments.initial_model_path
    if not ETA_MIN <= eta_init <= ETA_MAX:
        raise UserError(f"--ETA_INIT {eta_init} is not between {ETA_MIN} and {ETA_MAX}, where eta is kept")
    model = load_backbone(run.backbone, run.task, run.max_length, attention_probs_dropout_prob=0.0)
    if weights:
        load_weights(model, weights)
    model.to_AdapLeR()
    model.bert.encoder.eta.assign(tf.fill(model.bert.encoder.eta.shape, eta_init))
    return model


def compile_model(model: TFAdapLeRForSequenceClassification, run: Run, steps: int, warmup_steps: int) -> None:
    """The two groups of parameters with their losses and optimisers (paper, section 3.2)."""
    arguments = run.arguments
    schedule = steps, warmup_steps, 1e-12
    predictor_optimizer = None
    if arguments.cp_learning_rate is not None:
        predictor_optimizer = adam(arguments.cp_learning_rate, *schedule, weight_decay=0.01)
    model.compile(
        adam(arguments.learning_rate, *schedule, weight_decay=0.01),
        objective=Objective(arguments.gamma, arguments.phi, run.task.class_weights, arguments.acc_steps, clip_norm=1.0),
        cp_optimizer=predictor_optimizer,
        speedup_optimizer=adam(arguments.speedup_learning_rate, *schedule),
    )


if __name__ == "__main__":
    run_stage("train_adapler", ARGUMENTS, train_adapler)
