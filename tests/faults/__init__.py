"""Small faults, each with the tests that should notice it; tests/mutations.py puts them into the sources."""

from tests.faults.deployment_faults import DEPLOYMENT_FAULTS
from tests.faults.fault import Fault
from tests.faults.method_faults import METHOD_FAULTS
from tests.faults.result_faults import RESULT_FAULTS
from tests.faults.target_faults import TARGET_FAULTS
from tests.faults.training_faults import TRAINING_FAULTS

FAULTS: tuple[Fault, ...] = (
    *METHOD_FAULTS,
    *TRAINING_FAULTS,
    *TARGET_FAULTS,
    *RESULT_FAULTS,
    *DEPLOYMENT_FAULTS,
)
