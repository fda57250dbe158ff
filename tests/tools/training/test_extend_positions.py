"""A backbone with more positions, or with fewer layers."""

import numpy as np
import pytest
from safetensors.numpy import save_file

from models import TFAdapLeRForSequenceClassification
from tests import tiny
from tests.tiny_task import write_backbone
from tools.common.errors import UserError
from tools.training.cut_layers import cut
from tools.training.extend_positions import extend


def test_a_backbone_that_cannot_be_loaded_is_named(tmp_path):
    backbone = write_backbone(tmp_path / "pickled")
    (backbone / "tf_model.h5").rename(backbone / "pytorch_model.bin")
    for change, number in ((extend, 40), (cut, 2)):
        with pytest.raises(UserError, match=r"pickled'.*PyTorch pickle"):
            change(str(backbone), number, tmp_path / "no")
    (backbone / "config.json").write_text("{}")
    with pytest.raises(UserError, match="pickled"):
        extend(str(backbone), 40, tmp_path / "no")


@pytest.mark.parametrize(("change", "number"), [(extend, 40), (cut, 2)])
def test_a_backbone_that_lacks_weights_is_refused(tmp_path, change, number):
    backbone = write_backbone(tmp_path / "bert")
    (backbone / "tf_model.h5").unlink()
    save_file({"other.weight": np.zeros(3, np.float32)}, backbone / "model.safetensors", {"format": "pt"})
    with pytest.raises(UserError, match="lacks"):
        change(str(backbone), number, tmp_path / "no")
    assert not (tmp_path / "no").exists()


def test_extended_positions_are_tiled(tmp_path):
    write_backbone(tmp_path / "short")
    extend(str(tmp_path / "short"), 40, tmp_path / "long")
    short, long = (TFAdapLeRForSequenceClassification.from_pretrained(tmp_path / name) for name in ("short", "long"))
    tables = [model.bert.embeddings.position_embeddings.numpy() for model in (short, long)]
    assert np.array_equal(tables[1], np.concatenate([tables[0], tables[0], tables[0]])[:40])
    batch = tiny.inputs((7, 5))
    batch["input_ids"] %= 15
    assert np.allclose(short.bert(batch).pooler_output, long.bert(batch).pooler_output, atol=1e-6)
    assert long(tiny.inputs((30,), width=30) | {"input_ids": np.ones((1, 30), np.int32)}).logits.shape == (1, 2)
    with pytest.raises(UserError, match="already"):
        extend(str(tmp_path / "short"), 16, tmp_path / "no")
    short.to_AdapLeR()
    short.save_pretrained(tmp_path / "short")
    with pytest.raises(UserError, match="trained AdapLeR"):
        extend(str(tmp_path / "short"), 40, tmp_path / "no")
