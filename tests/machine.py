"""What tests need of the machine."""

import os

import pytest

BFLOAT16_ABORTS = "ONEDNN_MAX_CPU_ISA" in os.environ
REASON = "TensorFlow aborts in bfloat16 where ONEDNN_MAX_CPU_ISA holds oneDNN below the processor"
needs_bfloat16 = pytest.mark.skipif(BFLOAT16_ABORTS, reason=REASON)
