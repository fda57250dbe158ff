"""FLOPs of an AdapLeR that keeps every token, by the formula and by TensorFlow's profiler.

For any --BACKBONE or config.json. The difference to tools/bert_flops_calc.py is what the Contribution Predictors and
the removal cost.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tools.runtime.argument_parser import parse
from tools.runtime.arguments import FlopsArguments

if __name__ == "__main__":
    ARGUMENTS = parse([FlopsArguments], __doc__)  # before the imports that take seconds

from tools.flops import adapler_flops
from tools.flops.comparison import compare
from tools.flops.formulas import adapler_terms
from tools.flops.profiler import profile_adapler
from tools.runtime.program import run_program


def all_kept(config, tokens: int) -> list[int]:
    """Lengths of an example that loses no token."""
    return [tokens] * (config.num_hidden_layers + 1)


def compare_adapler(flops: FlopsArguments) -> None:
    compare(
        flops.backbone,
        flops.lengths,
        lambda config, tokens: adapler_flops(config, all_kept(config, tokens)),
        lambda config, tokens: adapler_terms(config, all_kept(config, tokens)),
        profile_adapler,
    )


if __name__ == "__main__":
    run_program(ARGUMENTS, compare_adapler)
