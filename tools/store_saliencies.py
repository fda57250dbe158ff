"""Stage 2: computes gradient x input saliencies with the best fine-tuned epochs, and stores them.

Writes data/sals/<split>/sal_mat_wCLSSEPnoZ_<epoch>.npy, float32 [examples, MAX_LENGTH], for the three epochs of stage 1
with the best dev scores, and the examples' row ids beside each.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tools.runtime.argument_parser import parse
from tools.runtime.arguments import STAGES

if __name__ == "__main__":
    ARGUMENTS = parse(STAGES["store_saliencies"], __doc__)  # before the imports that take seconds

from tools.data.loading import load_examples
from tools.explanations.saliencies import SaliencyFiles, saliency_matrix
from tools.runtime.checkpoints import load_backbone, load_tokenizer, load_weights
from tools.runtime.fine_tuning_log import saliency_epochs
from tools.runtime.run import Run
from tools.runtime.stage import run_stage


def store_saliencies(run: Run) -> None:
    split, batch_size = run.arguments.split, run.arguments.batch_size
    epochs = saliency_epochs(run.task, run.paths)
    tokenizer = load_tokenizer(run.backbone)
    model = load_backbone(run.backbone, run.task, run.max_length)
    examples = load_examples(run.task, split, tokenizer, run.max_length, run.data_options)
    examples.require_labels(f"the saliencies of {run.task.name}'s {split} split")
    for epoch in epochs:
        files = SaliencyFiles.of(run.paths, split, epoch)
        if run.resume and files.hold(examples):
            print(f"{files.matrix} is already stored", flush=True)
            continue
        load_weights(model, files.weights)
        files.write(*saliency_matrix(model, examples, run.max_length, batch_size), examples)
        print(files.matrix, flush=True)


if __name__ == "__main__":
    run_stage("store_saliencies", ARGUMENTS, store_saliencies)
