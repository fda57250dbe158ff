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

from tools.data.loading import load_examples
from tools.evaluation.trim_speed import DROPS_NOTHING
from tools.explanations.saliencies import load_training_examples
from tools.runtime import fine_tuning_log
from tools.runtime.arguments import ALLOWED_LOSS
from tools.runtime.checkpoints import load_tokenizer
from tools.runtime.run import Run
from tools.runtime.run_record import SCORES
from tools.runtime.stage import run_stage
from tools.training.adapler import compile_model, make_model
from tools.training.callbacks import AdapLeRFiles, KeepAdapLeR, best_near_target, fastest_within_loss
from tools.training.fit import fit
from tools.training.target import finish_target


def train_adapler(run: Run) -> None:
    arguments, target = run.arguments, run.arguments.target_speedup
    log = fine_tuning_log.read(run.task, run.paths)
    best = fine_tuning_log.best_score(run.task, log)
    fine_tuned = None if target is None else fine_tuning_log.best_weights(run.task, run.paths, log)
    tokenizer = load_tokenizer(run.backbone)
    train = load_training_examples(run, tokenizer)
    dev = load_examples(run.task, "validation", tokenizer, run.max_length, run.data_options)
    fine_tuning_log.require_same_dev(run.paths, dev)
    model = make_model(run)
    compile_model(model, run, train)
    files = AdapLeRFiles.of(run.paths, arguments.model_name)
    metric = run.task.primary_metric
    choose = fastest_within_loss(metric, best) if target is None else best_near_target(metric, target)
    facts = {"best_fine_tuned": best, "fine_tuning": fine_tuning_log.checksum(log), "settings": run.settings}
    batch_size, scores_file = arguments.evaluation_batch_size, run.folder / SCORES
    callback = KeepAdapLeR(run.task, dev, batch_size, scores_file, tokenizer, files, choose, facts)
    fit(model, train, arguments, run.seed, callback, run.folder)
    if fine_tuned is not None:
        finish_target(run, tokenizer, dev, files, fine_tuned)
    else:
        kept = callback.chosen_epoch or len(callback.history)
        if callback.history[kept - 1]["validation"]["speedup"] <= 1:
            print(f"{DROPS_NOTHING}; train towards a speed: --TARGET_SPEEDUP")
        if callback.chosen_epoch is None:
            earlier = f" ({files.chosen} is from an earlier run)" if files.chosen.exists() else ""
            bound = f"{best:.4f} - {ALLOWED_LOSS}"
            print(f"no epoch scored above {bound} on validation: only the last epoch is kept{earlier}")
    print(files.last if callback.chosen_epoch is None else files.chosen)


if __name__ == "__main__":
    run_stage("train_adapler", ARGUMENTS, train_adapler)
