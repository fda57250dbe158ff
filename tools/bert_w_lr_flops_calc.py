"""FLOPs of an AdapLeR that keeps every token, by tools/flops.py and by TensorFlow's profiler.

For any --BACKBONE or config.json. The difference to tools/bert_flops_calc.py is what the Contribution Predictors and
the removal cost.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tools.flops import adapler_flops, adapler_terms
from tools.flops_profiler import profile_adapler
from tools.flops_tables import compare
from tools.runtime import run_program


def all_kept(config, tokens: int) -> list[int]:
    """Lengths of an example that loses no token."""
    return [tokens] * (config.num_hidden_layers + 1)


if __name__ == "__main__":
    run_program(
        "flops_calc",
        __doc__,
        lambda settings: compare(
            settings,
            lambda config, tokens: adapler_flops(config, all_kept(config, tokens)),
            lambda config, tokens: adapler_terms(config, all_kept(config, tokens)),
            profile_adapler,
        ),
    )
