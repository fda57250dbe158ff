"""Measures the rounding of every quantity that is compared with the golden arrays.

    python -m tests.measure_rounding

The code under test computes the quantities in each of VARIANTS, in a process of its own. The spread of a quantity is
the largest absolute difference between a variant and the eager run, divided by the largest absolute value that the
published system has. The spreads are written to tests/data/golden_rounding.json, from which the tests take their
tolerances. The published system's own difference between eager and graph runs counts as one more variant. A run takes
about an hour on two cores.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

import numpy as np

ULP_SEEDS = range(1, 7)
VARIANTS = {
    "eager": {},
    "graph": {},
    "xla": {},
    "reversed_rows": {},
    "one_thread": {"TF_NUM_INTRAOP_THREADS": "1"},
    "two_threads": {"TF_NUM_INTRAOP_THREADS": "2"},
    "without_onednn": {"TF_ENABLE_ONEDNN_OPTS": "0"},
    "avx2": {"ONEDNN_MAX_CPU_ISA": "AVX2"},
    "float64": {},
    **{f"ulp_{seed}": {} for seed in ULP_SEEDS},
}
"""Environment variables of each variant; `compute` makes the changes that no variable can make.

`ulp_1` and so on start from inputs and weights that are moved by one unit in the last place.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--directory", type=Path, help="keep the variants' arrays here, and use those that are there")
    parser.add_argument("--variant", choices=VARIANTS, help="compute this variant only")
    arguments = parser.parse_args()
    if arguments.variant:
        np.savez(arguments.directory / f"{arguments.variant}.npz", **compute(arguments.variant))
        return
    with tempfile.TemporaryDirectory() as temporary:
        directory = arguments.directory or Path(temporary)
        directory.mkdir(parents=True, exist_ok=True)
        for variant, environment in VARIANTS.items():
            if not (directory / f"{variant}.npz").exists():
                command = [sys.executable, "-m", "tests.measure_rounding", "--variant", variant]
                subprocess.run([*command, "--directory", directory], env=os.environ | environment, check=True)
        write_spreads({variant: dict(np.load(directory / f"{variant}.npz")) for variant in VARIANTS})


def compute(variant: str) -> dict[str, np.ndarray]:
    """All quantities in one variant; those that it cannot change are left out."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
    import tensorflow as tf

    from tests import golden
    from tests import golden_quantities as quantities

    wraps = {"graph": tf.function, "xla": partial(tf.function, jit_compile=True)}
    wrap = wraps.get(variant, quantities.eager)
    if variant == "reversed_rows":
        golden.disturb = reverse_rows
    elif variant == "float64":
        golden.disturb = widen
        use_float64(quantities)
    elif variant.startswith("ulp_"):
        golden.disturb = partial(move_by_one_ulp, seed=int(variant.removeprefix("ulp_")))
    values = training_values(quantities, wrap)
    if variant != "reversed_rows":
        values |= forward_values(quantities, wrap)
    if variant not in ("graph", "xla", "reversed_rows", "float64"):
        values |= values_of_fixed_graphs(quantities)
    return {key: np.asarray(value, np.float64) for key, value in values.items()}


def training_values(quantities, wrap) -> dict:
    """A graph takes minutes to make, so that only one case has one."""
    values = {}
    for case in quantities.TRAINING_CASES if wrap is quantities.eager else [quantities.STEPPED_CASE]:
        values |= quantities.training(case, wrap, wrap)
    return values | quantities.gradients(wrap) | quantities.accumulation()


def forward_values(quantities, wrap) -> dict:
    values = quantities.plain(wrap) | quantities.saliencies(wrap)
    model = quantities.make_model()
    forward = wrap(lambda: model(quantities.tensors(quantities.inputs())))
    for case in quantities.SOFT_CASES:
        values |= quantities.soft(model, forward, case)
    for key in quantities.head_loss_cases():
        values |= quantities.head_loss(key)
    for slope in quantities.SLOPES:
        values |= quantities.removal(slope)
    return values


def values_of_fixed_graphs(quantities) -> dict:
    """Quantities whose graph is made by the code under test, or whose packed tokens no other graph allows."""
    values, model = {}, quantities.make_model()
    for eta, theta in quantities.HARD_CASES:
        values |= quantities.hard_values(eta, theta, quantities.hard(model, eta, theta))
    for eta in quantities.EVALUATION_CASES:
        values[f"8_eval_a/{eta}/logits"] = quantities.evaluation(model, eta).logits
    return values


def reverse_rows(arrays: dict) -> dict:
    rows = 6
    return {key: value[::-1] if value.shape[:1] == (rows,) else value for key, value in arrays.items()}


def move_by_one_ulp(arrays: dict, seed: int) -> dict:
    """Moves each float32 up, down or not at all, by one unit in the last place; not the grid that meets a step."""
    random = np.random.default_rng(seed)
    moved = dict(arrays)
    for key, value in arrays.items():
        if value.dtype == np.float32 and not key.startswith("soft/"):
            direction = random.choice(np.array([-np.inf, 0, np.inf], np.float32), value.shape)
            moved[key] = np.where((direction == 0) | (value == 0), value, np.nextafter(value, direction))
    return moved


def widen(arrays: dict) -> dict:
    return {key: value.astype(np.float64) if value.dtype == np.float32 else value for key, value in arrays.items()}


def use_float64(quantities) -> None:
    """Makes models/ compute in float64; it names tf.float32 where a half-precision run must not be less exact."""
    import tensorflow as tf
    import tf_keras as keras

    from models.adapler_encoder import TFAdapLeREncoder

    keras.backend.set_floatx("float64")
    tf.float32 = tf.float64
    maximum, make_adam, add_state = tf.maximum, quantities.adam, TFAdapLeREncoder._add_run_time_state
    tf.maximum = lambda x, y: maximum(tf.cast(x, tf.float64), y)  # of two Python numbers it would be float32
    quantities.adam = lambda *args, weight_decay=0.0: make_adam(*args, weight_decay=np.float64(weight_decay))

    @tf.__internal__.tracking.no_automatic_dependency_tracking
    def add_state_in_float64(encoder, layers):
        add_state(encoder, layers)
        for name in ("removal_lambda", "theta_probe"):
            setattr(encoder, name, tf.Variable(tf.cast(getattr(encoder, name), tf.float64), trainable=False))

    TFAdapLeREncoder._add_run_time_state = add_state_in_float64


def write_spreads(variants: dict) -> None:
    from tests.golden import GOLDEN, ROUNDING_FILE
    from tests.golden_quantities import expected

    noise = json.loads((GOLDEN / "5_eager_vs_graph_noise_a.json").read_text())
    spreads = {}
    for key, base in variants["eager"].items():
        file, _, name = key.partition("/")
        deviations = [noise.get(f"{file}.npz", {}).get(name, 0.0)]
        deviations += [np.abs(values[key] - base).max() for values in variants.values() if key in values]
        largest = np.abs(expected(key)).max()
        if max(deviations) > 0 and largest == 0:
            raise ValueError(f"{key} is all zeros in the golden file and {max(deviations)} elsewhere")
        spreads[key] = float(f"{max(deviations) / largest:.2g}") if largest > 0 else 0.0
    document = {"variants": [*variants, "published eager and graph"], "spreads": spreads}
    ROUNDING_FILE.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
