"""The stages of the tiny run, each trained once a file."""

import json
from dataclasses import replace

import numpy as np
import pytest

from run_files.run_classification_bert import fine_tune
from run_files.run_classification_w_lr import train_adapler
from tests.run_files.wiring.tiny_run import (
    BATCH,
    CLASS_WEIGHTS,
    FINE_TUNED_SCORES,
    ROWS,
    SCRIPT,
    SEED,
    scripted,
    stage_3,
    training,
)
from tests.stages import (
    Record,
    run_stage,
    write_random_backbone,
    write_task,
)
from tools.common import paths
from tools.data.tasks import TABLE
from tools.store_saliencies import store_saliencies
from tools.training import callbacks


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """The flags of a tiny task whose labels have weights, and a directory for its files."""
    root = tmp_path_factory.mktemp("wiring")
    backbone, data = write_random_backbone(root / "tiny_wiring"), write_task(root / "data", ROWS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(paths, "DIRECTORY", root / "directory")
        patch.setitem(TABLE, "sst2", replace(TABLE["sst2"], class_weights=CLASS_WEIGHTS))
        flags = f"--BACKBONE {backbone} --DATA_DIR {data} --MAX_LENGTH 16"
        yield f"--TASK sst2 --DATA_SEED {SEED} {flags} --BATCH_SIZE {BATCH}"


@pytest.fixture(scope="module")
def fine_tuned(place) -> Record:
    return run_stage("fine_tune", fine_tune, f"{place} {training()} --CLIP_NORM 0.5")


@pytest.fixture(scope="module")
def stored(place, fine_tuned) -> Record:
    """Stage 2, after the dev scores of stage 1 were set to FINE_TUNED_SCORES."""
    log = json.dumps([{"validation": {"accuracy": score}} for score in FINE_TUNED_SCORES])
    fine_tuned.run.paths.fine_tuning_log.write_text(log)
    return run_stage("store_saliencies", store_saliencies, place)


@pytest.fixture(scope="module")
def trained(place, stored) -> Record:
    """Stage 3 with scripted dev scores, from weights of stage 1; the stored saliencies lie in another order."""
    where = stored.run.paths
    for epoch in (2, 3, 4):
        rows = where.saliency_rows("train", epoch)
        with np.load(rows) as columns:
            turned = {name: column[::-1] if column.ndim else column for name, column in columns.items()}
        np.savez(rows, **turned)
        np.save(where.saliency_matrix("train", epoch), np.load(where.saliency_matrix("train", epoch))[::-1])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(callbacks, "evaluation_summary", scripted(SCRIPT))
        flags = f"{stage_3(place)} --INITIAL_MODEL_PATH {where.fine_tuned(1)}"
        return run_stage("train_adapler", train_adapler, flags)
