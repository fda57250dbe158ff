"""Makes a BERT with more positions than it was trained with, by tiling its position embeddings.

The new backbone stands in OUTPUT as a save_pretrained directory, to be fine-tuned with a longer MAX_LENGTH, as the
paper's BERT with 1,024 positions was.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
from transformers import AutoConfig, TFBertModel

from tools.checkpoints import load_tokenizer, save_directory
from tools.errors import UserError
from tools.files import require_replaceable
from tools.paths import DEFAULT_BACKBONE
from tools.runtime import run_program


def extend(backbone: str, positions: int, output: Path) -> None:
    """Writes the longer backbone.

    Raises:
        UserError: it cannot be loaded, is no plain BERT, or has that many positions already.
    """
    tokenizer = load_tokenizer(backbone)
    found = AutoConfig.from_pretrained(backbone)
    if found.model_type != "bert" or getattr(found, "adapler", False):
        kind = "a trained AdapLeR" if getattr(found, "adapler", False) else f"a '{found.model_type}' checkpoint"
        raise UserError(f"--BACKBONE {backbone} is {kind}; only a plain 'bert' can be given more positions")
    model = TFBertModel.from_pretrained(backbone)
    table = model.bert.embeddings.position_embeddings.numpy()
    if positions <= len(table):
        raise UserError(f"--POSITIONS {positions}: '{backbone}' has {len(table)} already")
    model.config.max_position_embeddings = positions
    longer = TFBertModel(model.config)
    longer.build_in_name_scope()
    for new, old in zip(longer.weights, model.weights, strict=True):
        is_position = "position_embeddings" in new.name
        new.assign(np.resize(table, (positions, table.shape[1])) if is_position else old)
    tokenizer.model_max_length = positions
    save_directory(longer, tokenizer, output)


def main(settings: argparse.Namespace) -> None:
    require_replaceable(settings.output, "config.json")
    extend(settings.backbone or DEFAULT_BACKBONE, settings.positions, settings.output)
    print(settings.output)


if __name__ == "__main__":
    run_program("extend_positions", __doc__, main)
