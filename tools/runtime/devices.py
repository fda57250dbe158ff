"""Which devices and processes share the work: --GPU, --MULTI_GPU, and TF_CONFIG for several machines."""

from __future__ import annotations

import atexit
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import tensorflow as tf
import tf_keras as keras

from tools.common.errors import UserError

CLUSTER = "TF_CONFIG"
"""The environment variable by which TensorFlow's processes know each other; run_files/run_multi_worker.sh sets it."""


def configure_devices(gpu: str | None, mixed_precision: bool, deterministic: bool) -> None:
    """Makes the chosen GPUs visible, lets TensorFlow allocate their memory as needed, and sets the arithmetic.

    Args:
        gpu: index of a GPU, or several separated by commas; None for all.
        mixed_precision: compute in bfloat16, keep the weights in float32.
        deterministic: give bit-equal results for equal seeds.

    Raises:
        UserError: there is no such GPU.
    """
    gpus = tf.config.list_physical_devices("GPU")
    if gpu is not None:
        wanted = gpu.split(",")
        if not all(index.isdigit() and int(index) < len(gpus) for index in wanted):
            raise UserError(f"--GPU {gpu}: this machine has {len(gpus)} GPUs; leave the flag out for the CPU")
        gpus = [gpus[int(index)] for index in wanted]
        tf.config.set_visible_devices(gpus, "GPU")
    for device in gpus:
        tf.config.experimental.set_memory_growth(device, True)
    if mixed_precision:
        keras.mixed_precision.set_global_policy("mixed_bfloat16")
    if deterministic:
        tf.config.experimental.enable_op_determinism()


def strategy(multi_gpu: bool) -> tf.distribute.Strategy:
    """How variables are held: by every process that TF_CONFIG names, by all visible GPUs (or logical CPUs) with
    `multi_gpu`, else by one device.

    The first needs to be called before TensorFlow computes anything.
    """
    if CLUSTER in os.environ:
        return tf.distribute.MultiWorkerMirroredStrategy()
    if not multi_gpu:
        return tf.distribute.get_strategy()
    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    return tf.distribute.MirroredStrategy([device.name for device in devices])


def compiled(function: Callable, model: keras.Model, signature: Sequence) -> tf.types.experimental.GenericFunction:
    """A function of batches as a graph; its rows are shared out over the devices that hold the model.

    Args:
        model: what the function runs.
        signature: as tf.function's; scalars go to every device whole.
    """
    held_by = model.distribute_strategy
    if not isinstance(held_by, tf.distribute.MirroredStrategy):
        return tf.function(function, input_signature=signature)

    def on_all_devices(*batch):
        results = held_by.run(lambda *whole: function(*_rows_of_this_device(whole)), args=batch)
        return tf.nest.map_structure(
            lambda parts: None if parts is None else tf.concat(held_by.experimental_local_results(parts), axis=0),
            results,
        )

    return tf.function(on_all_devices, input_signature=signature)


def _rows_of_this_device(batch):
    context = tf.distribute.get_replica_context()
    index, devices = context.replica_id_in_sync_group, context.num_replicas_in_sync

    def part(tensor: tf.Tensor) -> tf.Tensor:
        if tensor.shape.rank == 0:
            return tensor
        rows = tf.shape(tensor)[0]
        return tensor[rows * index // devices : rows * (index + 1) // devices]

    return tf.nest.map_structure(part, batch)


def is_chief() -> bool:
    """Whether this process's files stay: it is the only one, or TF_CONFIG's chief, or without one its first worker."""
    config = json.loads(os.environ.get(CLUSTER, "{}"))
    chiefs = [kind for kind in ("chief", "worker") if kind in config.get("cluster", {})]
    task = config.get("task", {"type": "worker", "index": 0})
    return task["type"] in chiefs[:1] and task["index"] == 0 if chiefs else True


def private_view(directory: Path) -> Path:
    """A temporary directory of links to all files under `directory`, for a worker that is not the chief.

    Through it every worker reads what the chief reads and writes what the chief writes, as TensorFlow wants it of
    them, while the shared files stay the chief's: writing replaces a link, not what it points to.
    """
    view = Path(tempfile.mkdtemp(prefix="adapler-worker-"))
    atexit.register(shutil.rmtree, view, ignore_errors=True)
    for folder, _, names in os.walk(directory):  # which passes over what vanishes meanwhile
        for name in names:
            if not name.startswith("."):  # neither the lock nor what is being written
                link = view / Path(folder).relative_to(directory) / name
                link.parent.mkdir(parents=True, exist_ok=True)
                link.symlink_to(Path(folder).resolve() / name)
    return view
