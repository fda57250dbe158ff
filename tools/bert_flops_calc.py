"""FLOPs of plain BERT by the formula and by TensorFlow's profiler, for any --BACKBONE or config.json."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tools.runtime.argument_parser import parse
from tools.runtime.arguments import FlopsArguments

if __name__ == "__main__":
    ARGUMENTS = parse([FlopsArguments], __doc__)  # before the imports that take seconds

from tools.flops import bert_flops
from tools.flops.comparison import compare
from tools.flops.formulas import bert_terms
from tools.flops.profiler import profile_bert
from tools.runtime.program import run_program

if __name__ == "__main__":
    run_program(ARGUMENTS, lambda flops: compare(flops.backbone, flops.lengths, bert_flops, bert_terms, profile_bert))
