"""Stores a fine-tuned BERT's attention, averaged over heads, or its rollout, one layer after the other.

Writes data/attentions/<split>/attention_<epoch>[_rollout][_last].npz: of each example `<row id>`, float32
[layers, n, n]. Examples are written as they come, so memory does not grow with the data set; np.load reads one at a
time. EPOCH is the best on dev unless told otherwise.
"""

import argparse
import sys
import zipfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
from tqdm import tqdm

from tools.attentions import each_attention
from tools.checkpoints import load_backbone, load_tokenizer, load_weights
from tools.data import load_examples
from tools.files import replacing
from tools.fine_tuning_log import best_epochs, read
from tools.paths import TaskPaths
from tools.runtime import data_options, run_stage, task_of


def store_attentions(settings: argparse.Namespace, where: TaskPaths) -> None:
    task, split = task_of(settings), settings.split or "train"
    epoch = settings.epoch or best_epochs(task, read(task, where))[0]
    model = load_backbone(settings.backbone, task, settings.max_length)
    load_weights(model, where.fine_tuned(epoch))
    tokenizer = load_tokenizer(settings.backbone)
    examples = load_examples(task, split, tokenizer, settings.max_length, data_options(settings))
    attentions = each_attention(model, examples, settings.batch_size, settings.rollout, settings.only_last_layer)
    file = where.attentions(split, epoch, settings.rollout, settings.only_last_layer)
    with replacing(file) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        rows = zip(examples.row_ids, attentions, strict=True)
        for row_id, layers in tqdm(rows, total=len(examples), desc="attentions", unit="example"):
            with archive.open(f"{row_id}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, layers, allow_pickle=False)
    print(file)


if __name__ == "__main__":
    run_stage("store_attentions", __doc__, store_attentions)
