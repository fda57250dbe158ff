"""Makes a smaller BERT of the first layers of another one.

OUTPUT becomes a save_pretrained directory, to be fine-tuned like any backbone.
"""

from __future__ import annotations

from pathlib import Path

from tools.common.paths import DEFAULT_BACKBONE
from tools.runtime.argument_parser import argument_group, flag, parse
from tools.runtime.argument_types import PositiveInt


@argument_group("layers")
class CutArguments:
    backbone: str = flag("hub id or local directory of a BERT", DEFAULT_BACKBONE)
    layers: PositiveInt = flag("layers of the new backbone")
    output: Path = flag("directory to write")


if __name__ == "__main__":
    ARGUMENTS = parse([CutArguments], __doc__)  # before the imports that take seconds

from transformers import AutoConfig

from tools.common.atomic_files import require_free
from tools.common.errors import UserError
from tools.runtime.checkpoints import load_tokenizer, loading
from tools.runtime.program import run_program
from tools.training.extend_positions import load_plain_bert, write_backbone


def cut_layers(arguments: CutArguments) -> None:
    require_free(arguments.output)
    cut(arguments.backbone, arguments.layers, arguments.output)
    print(arguments.output)


def cut(backbone: str, layers: int, output: Path) -> None:
    """Writes the smaller backbone; its weights are those of the other one.

    Raises:
        UserError: it cannot be loaded, is no plain BERT, or has no more layers than that.
    """
    tokenizer = load_tokenizer(backbone)
    with loading(f"the backbone '{backbone}'"):
        available = AutoConfig.from_pretrained(backbone).num_hidden_layers
    if layers >= available:
        raise UserError(f"--LAYERS {layers}: '{backbone}' has {available} layers")
    write_backbone(load_plain_bert(backbone, num_hidden_layers=layers), tokenizer, output)


if __name__ == "__main__":
    run_program(ARGUMENTS, cut_layers)
