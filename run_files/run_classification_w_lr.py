"""Stage 3: trains AdapLeR, that is BERT, its Contribution Predictors and the thresholds eta and theta together.

Needs stage 1's log and stage 2's saliencies.

--TARGET_SPEEDUP S trains towards a FLOPs speedup of S, padding not counted. The best epoch near S is kept and trimmed
to S on dev: models/adaptive_lr/<SAVE_NAME>_TARGET<S>_lr.h5. --GAMMA and --PHI train as published. The epoch with the
highest FLOPs speedup among those that lose less than a point on dev is kept: <SAVE_NAME>_GAMMA<g>_PHI<p>_lr.h5. The
last epoch is ..._lr_last.h5. Beside each file is a directory of the same name without .h5 that from_pretrained loads.
The last line that it prints is the path of the weights to use.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tools.runtime.argument_parser import parse
from tools.runtime.arguments import STAGES

if __name__ == "__main__":
    ARGUMENTS = parse(STAGES["train_adapler"], __doc__)  # before the imports that take seconds

import json

import numpy as np
import tensorflow as tf

from models import TFAdapLeRForSequenceClassification
from models.adapler_encoder import ETA_MAX, ETA_MIN
from models.objective import Objective, adam
from models.speed_target import SpeedTarget
from tools.common.atomic_files import write_json
from tools.common.errors import UserError
from tools.data.examples import Examples
from tools.data.loading import load_examples
from tools.evaluation.evaluate import predict
from tools.evaluation.trim_speed import compare_with_fine_tuned, trim, verdict
from tools.explanations import saliencies
from tools.flops.formulas import adapler_flops, bert_flops, largest_speedup
from tools.runtime import fine_tuning_log
from tools.runtime.arguments import ALLOWED_LOSS, TARGET_GAMMA
from tools.runtime.checkpoints import load_backbone, load_tokenizer, load_weights, save_model
from tools.runtime.run import Run
from tools.runtime.stage import run_stage
from tools.training.callbacks import SCORES, AdapLeRFiles, KeepAdapLeR, best_near_target, fastest_within_loss
from tools.training.fit import fit, step_counts

THRESHOLD_DISTANCE = 1.5
"""How far Adam may move a threshold in a run with a target: its rate times half of the steps."""
TARGET_PREDICTOR_RATE = 1e-3
PUBLISHED_THRESHOLD_RATE = 5e-4
DISTILLATION = 0.7
"""Weight of the fine-tuned model's logits in the task loss, at temperature 2."""


def train_adapler(run: Run) -> None:
    arguments, target = run.arguments, run.arguments.target_speedup
    log = fine_tuning_log.read(run.task, run.paths)
    best = fine_tuning_log.best_score(run.task, log)
    tokenizer = load_tokenizer(run.backbone)
    train = load_training_examples(run, tokenizer)
    dev = load_examples(run.task, "validation", tokenizer, run.max_length, run.data_options)
    model = make_model(run)
    compile_model(model, run, train)
    files = AdapLeRFiles.of(run.paths, arguments.model_name)
    if not arguments.resume:
        for file in (files.chosen, files.last):
            run.paths.eta_scales(file).unlink(missing_ok=True)  # of an earlier model of this name
    metric = run.task.primary_metric
    choose = fastest_within_loss(metric, best) if target is None else best_near_target(metric, target)
    facts = {"best_fine_tuned": best, "settings": run.settings}
    batch_size, scores_file = arguments.evaluation_batch_size, run.folder / SCORES
    callback = KeepAdapLeR(run.task, dev, batch_size, scores_file, tokenizer, files, choose, facts)
    fit(model, train, arguments, run.seed, callback, run.folder)
    if target is not None:
        fine_tuned = run.paths.fine_tuned(fine_tuning_log.best_epochs(run.task, log)[0])
        finish_target(run, model, tokenizer, dev, files, fine_tuned)
    elif callback.chosen_epoch is None:
        earlier = f" ({files.chosen} is from an earlier run)" if files.chosen.exists() else ""
        print(f"no epoch scored above {best:.4f} - {ALLOWED_LOSS} on validation: only the last epoch is kept{earlier}")
    print(files.last if callback.chosen_epoch is None else files.chosen)


def finish_target(run: Run, model, tokenizer, dev: Examples, files: AdapLeRFiles, fine_tuned: Path) -> None:
    """Trims the chosen epoch to the target on dev, stores it, and prints what it reached and costs."""
    target, batch_size = run.arguments.target_speedup, run.arguments.evaluation_batch_size
    load_weights(model, files.chosen)
    scale = trim(model, dev, batch_size, target)
    save_model(model, tokenizer, files.chosen)
    plain = load_backbone(run.backbone, run.task, run.max_length)
    load_weights(plain, fine_tuned)
    before, after = predict(plain, dev, batch_size, "fine-tuned"), predict(model, dev, batch_size, "trimmed")
    comparison = compare_with_fine_tuned(run.task, model, dev, before, after)
    stored = json.loads(files.log.read_text(encoding="utf-8"))
    write_json(files.log, stored | {"target_speedup": target, "trimmed_by": scale, "trimmed": comparison})
    print(*verdict(target, comparison), sep="\n")


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


def compile_model(model: TFAdapLeRForSequenceClassification, run: Run, train: Examples) -> None:
    """The two groups of parameters with their losses and optimisers (paper, section 3.2).

    With a target speedup, the rates of thresholds and predictors follow from the number of steps.
    """
    arguments = run.arguments
    schedule = *step_counts(arguments, len(train)), 1e-12
    steps, target = schedule[0], arguments.target_speedup
    threshold_rate, predictor_rate = arguments.speedup_learning_rate, arguments.cp_learning_rate
    if target is not None:
        threshold_rate = threshold_rate or THRESHOLD_DISTANCE * 2 / steps
        predictor_rate = predictor_rate or TARGET_PREDICTOR_RATE
    predictor_optimizer = None
    if predictor_rate is not None:
        predictor_optimizer = adam(predictor_rate, *schedule, weight_decay=0.01)
    objective = Objective(
        TARGET_GAMMA if arguments.gamma is None else arguments.gamma,
        arguments.phi or 0.0,
        run.task.class_weights,
        arguments.acc_steps,
        clip_norm=1.0,
        speed_target=None if target is None else make_target(target, model.config, steps, train.lengths),
        distillation=DISTILLATION if arguments.distills else 0.0,
    )
    model.compile(
        adam(arguments.learning_rate, *schedule, weight_decay=0.01),
        objective=objective,
        cp_optimizer=predictor_optimizer,
        speedup_optimizer=adam(threshold_rate or PUBLISHED_THRESHOLD_RATE, *schedule),
    )


def make_target(speedup: float, config, steps: int, lengths: np.ndarray) -> SpeedTarget:
    """The target of a run on training examples of these lengths.

    Raises:
        UserError: no removal can reach it.
    """
    bound = largest_speedup(config, lengths)
    if speedup >= bound:
        raise UserError(
            f"--TARGET_SPEEDUP {speedup} is out of reach: with every token dropped before the first layer, these "
            f"training examples need {bound:.2f} times fewer FLOPs"
        )

    def flops(tokens: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return adapler_flops(config, tokens), bert_flops(config, tokens[..., 0])

    return SpeedTarget(speedup, steps, flops, float(bert_flops(config, lengths).mean()))


if __name__ == "__main__":
    run_stage("train_adapler", ARGUMENTS, train_adapler)
