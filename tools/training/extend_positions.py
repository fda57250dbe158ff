"""Makes a BERT with more positions than it was trained with, by tiling its position embeddings.

OUTPUT becomes a save_pretrained directory, to be fine-tuned with a longer MAX_LENGTH, like the paper's BERT with 1,024
positions.
"""

from __future__ import annotations

from pathlib import Path

from tools.common.paths import DEFAULT_BACKBONE
from tools.runtime.argument_parser import argument_group, flag, parse
from tools.runtime.argument_types import PositiveInt


@argument_group("positions")
class ExtendArguments:
    backbone: str = flag("hub id or local directory of a BERT", DEFAULT_BACKBONE)
    positions: PositiveInt = flag("positions of the new backbone", 1024)
    output: Path = flag("directory to write")


if __name__ == "__main__":
    ARGUMENTS = parse([ExtendArguments], __doc__)  # before the imports that take seconds

import numpy as np
from transformers import AutoConfig, PreTrainedTokenizerBase, TFBertModel

from tools.common.atomic_files import atomic_directory, require_free
from tools.common.errors import UserError
from tools.runtime.checkpoints import load_tokenizer, loading, require_weights
from tools.runtime.program import run_program


def extend_positions(arguments: ExtendArguments) -> None:
    require_free(arguments.output)
    extend(arguments.backbone, arguments.positions, arguments.output)
    print(arguments.output)


def extend(backbone: str, positions: int, output: Path) -> None:
    """Writes the longer backbone.

    Raises:
        UserError: it cannot be loaded, is no plain BERT, or has that many positions already.
    """
    tokenizer, model = load_tokenizer(backbone), load_plain_bert(backbone)
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
    write_backbone(longer, tokenizer, output)


def load_plain_bert(backbone: str, **config) -> TFBertModel:
    """A backbone's encoder, with changes to its config.

    Raises:
        UserError: it cannot be loaded, is no plain BERT, or lacks weights.
    """
    with loading(f"the backbone '{backbone}'"):
        given = AutoConfig.from_pretrained(backbone)
    if given.model_type != "bert" or getattr(given, "adapler", False):
        kind = "a trained AdapLeR" if getattr(given, "adapler", False) else f"a '{given.model_type}' checkpoint"
        raise UserError(f"--BACKBONE {backbone} is {kind}; only a plain 'bert' can be changed")
    with loading(f"the backbone '{backbone}'"):
        model, found = TFBertModel.from_pretrained(backbone, output_loading_info=True, **config)
    require_weights(backbone, found["missing_keys"], optional=("pooler",))
    return model


def write_backbone(model: TFBertModel, tokenizer: PreTrainedTokenizerBase, output: Path) -> None:
    """Writes a directory that can be a stage's --BACKBONE."""
    with atomic_directory(output) as temporary:
        model.save_pretrained(temporary)
        tokenizer.save_pretrained(temporary)


if __name__ == "__main__":
    run_program(ARGUMENTS, extend_positions)
