"""Stage 2: computes gradient x input saliencies with the best fine-tuned epochs, and stores them.

Writes data/sals/<split>/sal_mat_wCLSSEPnoZ_<epoch>.npy, float32 [examples, MAX_LENGTH], for the three epochs of stage 1
with the best dev scores, and the examples' row ids beside each. SPLIT is train unless told otherwise.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tools.checkpoints import load_backbone, load_tokenizer, load_weights
from tools.data import load_examples
from tools.fine_tuning_log import saliency_epochs
from tools.paths import TaskPaths
from tools.runtime import data_options, run_stage, task_of
from tools.saliencies import Stored, is_stored, saliency_matrix, store


def store_saliencies(settings: argparse.Namespace, where: TaskPaths) -> None:
    task, split = task_of(settings), settings.split or "train"
    epochs = saliency_epochs(task, where)
    tokenizer = load_tokenizer(settings.backbone)
    model = load_backbone(settings.backbone, task, settings.max_length)
    examples = load_examples(task, split, tokenizer, settings.max_length, data_options(settings))
    examples.require_labels(f"the saliencies of {task.name}'s {split} split")
    for epoch in epochs:
        files = Stored.of(where, split, epoch)
        if settings.resume and is_stored(files, examples):
            print(f"{files.matrix} is there already", flush=True)
            continue
        load_weights(model, files.weights)
        matrix = saliency_matrix(model, examples, settings.max_length, settings.batch_size)
        store(files, matrix, examples)
        print(files.matrix, flush=True)


if __name__ == "__main__":
    run_stage("store_saliencies", __doc__, store_saliencies)
