"""Which weights a result was measured with."""

import pytest

from tools.common.atomic_files import file_checksum
from tools.common.errors import UserError
from tools.runtime.checkpoints import weights_checksum


def test_weights_have_the_checksum_of_the_file_that_is_loaded(tmp_path):
    with pytest.raises(UserError, match=r"no weights at .*model\.safetensors or .*tf_model\.h5"):
        weights_checksum(tmp_path)
    for name in ("tf_model.h5", "model.safetensors"):  # from_pretrained reads the latter if there are both
        (tmp_path / name).write_text(name)
        assert weights_checksum(tmp_path) == weights_checksum(tmp_path / name) == file_checksum(tmp_path / name)
    with pytest.raises(UserError, match=r"no weights at .*none\.h5"):
        weights_checksum(tmp_path / "none.h5")
