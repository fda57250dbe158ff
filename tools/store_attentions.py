"""Stores a fine-tuned BERT's attention, averaged over heads, or its rollout, of every example and layer.

Writes data/attentions/<split>/attention_<epoch>[_rollout][_last].npz: for each example `<row id>`, float32
[layers, n, n]. Examples are written one by one, so memory does not grow with the data set.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tools.runtime.argument_parser import parse
from tools.runtime.arguments import STAGES

if __name__ == "__main__":
    ARGUMENTS = parse(STAGES["store_attentions"], __doc__)  # before the imports that take seconds

import zipfile

import numpy as np

from tools.common.atomic_files import atomic_write
from tools.data.examples import INPUTS_SPEC
from tools.data.loading import load_examples
from tools.explanations.attentions import attention_rollouts, mean_attentions
from tools.runtime.batches import compiled_once, stream_results
from tools.runtime.checkpoints import load_backbone, load_tokenizer, load_weights
from tools.runtime.fine_tuning_log import best_epochs, read
from tools.runtime.run import Run
from tools.runtime.stage import run_stage


def store_attentions(run: Run) -> None:
    asked = run.arguments
    epoch = asked.epoch or best_epochs(run.task, read(run.task, run.paths))[0]
    model = load_backbone(run.backbone, run.task, run.max_length)
    load_weights(model, run.paths.fine_tuned(epoch))
    tokenizer = load_tokenizer(run.backbone)
    examples = load_examples(run.task, asked.split, tokenizer, run.max_length, run.data_options)
    attentions = compiled_once(attention_rollouts if asked.rollout else mean_attentions, model, [INPUTS_SPEC])
    results = stream_results(lambda inputs, _: [attentions(inputs)], examples, asked.batch_size, "attentions")
    lengths = examples.lengths
    file = run.paths.attentions(asked.split, epoch, asked.rollout, asked.only_last_layer)
    with atomic_write(file) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for position, (layers,) in results:
            length = lengths[position]
            if asked.only_last_layer:
                layers = layers[-1:]
            with archive.open(f"{examples.row_ids[position]}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, layers[:, :length, :length], allow_pickle=False)
    print(file)


if __name__ == "__main__":
    run_stage("store_attentions", ARGUMENTS, store_attentions)
