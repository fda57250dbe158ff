"""FLOPs of plain BERT by tools/flops.py and by TensorFlow's profiler, for any --BACKBONE or config.json."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tools.flops import bert_flops, bert_terms
from tools.flops_profiler import profile_bert
from tools.flops_tables import compare
from tools.runtime import run_program

if __name__ == "__main__":
    run_program("flops_calc", __doc__, lambda settings: compare(settings, bert_flops, bert_terms, profile_bert))
