"""The end of a run with a target speedup."""

from __future__ import annotations

import json
from pathlib import Path

import tf_keras as keras
from transformers import PreTrainedTokenizerBase

from tools.common.atomic_files import write_json
from tools.data.examples import Examples
from tools.evaluation.evaluate import predict
from tools.evaluation.trim_speed import choice, compare_with_fine_tuned, trim, verdict
from tools.runtime.checkpoints import load_backbone, load_saved, load_weights, save_model
from tools.runtime.run import Run
from tools.training.callbacks import AdapLeRFiles


def finish_target(
    run: Run, tokenizer: PreTrainedTokenizerBase, dev: Examples, files: AdapLeRFiles, fine_tuned: Path
) -> None:
    """Trims the chosen epoch to the target on dev, stores it, and prints what it reached and costs.

    A model that is trimmed already is left as it is. All is computed in float32: a token near a threshold may leave in
    one arithmetic alone.
    """
    target, stored = run.arguments.target_speedup, json.loads(files.log.read_text(encoding="utf-8"))
    if "trimmed" not in stored:
        keras.mixed_precision.set_global_policy("float32")
        model = load_saved(files.chosen, converted=True)
        trained_eta = stored["epochs"][stored["chosen_epoch"] - 1]["eta"]
        model.bert.encoder.eta.assign(trained_eta)  # a run that was killed here may have stored trimmed weights
        batch_size = run.arguments.evaluation_batch_size
        scale = trim(model, dev, batch_size, target)
        save_model(model, tokenizer, files.chosen)
        plain = load_backbone(run.backbone, run.task, run.max_length)
        load_weights(plain, fine_tuned)
        before, after = predict(plain, dev, batch_size, "fine-tuned"), predict(model, dev, batch_size, "trimmed")
        comparison = compare_with_fine_tuned(run.task, model, dev, before, after)
        stored |= {"target_speedup": target, "trimmed_by": scale, "trimmed": comparison}
        write_json(files.log, stored)
    print(choice(target, stored["epochs"], stored["chosen_epoch"]))
    print(*verdict(target, stored["trimmed"]), sep="\n")
