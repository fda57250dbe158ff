"""Configuration of AdapLeR models."""

from __future__ import annotations

import copy
import math
import numbers
import os
from typing import Any, ClassVar

from transformers import BertConfig

_BERT = "bert"


def checked_eta_scale(value: Any) -> float:
    """Returns a factor on the thresholds as a float.

    Raises:
        ValueError: the value is not a finite number of at least 0.
    """
    is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value) or value < 0:
        raise ValueError(f"eta_scale is {value!r}; it must be a finite number of at least 0")
    return float(value)


def _checked_adapler(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"adapler is {value!r}; it must be true or false")
    return value


def _checked_input_length(value: Any) -> int | None:
    is_integer = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if value is not None and (not is_integer or value < 1):
        raise ValueError(f"max_input_length is {value!r}; it must be a positive integer or None")
    return None if value is None else int(value)


def _checked_text_columns(value: Any) -> list[str] | None:
    is_list = isinstance(value, list | tuple) and all(isinstance(name, str) for name in value)
    if value is not None and (not is_list or len(value) not in (1, 2)):
        raise ValueError(f"text_columns is {value!r}; it must be a list of one or two column names or None")
    return None if value is None else list(value)


_CHECKS = {
    "adapler": _checked_adapler,
    "eta_scale": checked_eta_scale,
    "max_input_length": _checked_input_length,
    "text_columns": _checked_text_columns,
}


class AdapLeRConfig(BertConfig):
    """BertConfig with the state of a conversion to AdapLeR.

    The model type is "adapler" for a converted model and "bert" otherwise, so that a directory of a converted model is
    never loaded as a plain BERT. Directories of earlier versions have the model type "bert" and the name `MAX_LENGTH`
    for `max_input_length`; both are read. The thresholds eta and theta are weights and not part of the configuration.

    Args:
        adapler: whether the model is converted.
        eta_scale: factor on every threshold at inference.
        max_input_length: number of tokens to which inputs were truncated in training; None if unknown.
        text_columns: names of the one or two columns of text that the model was trained on; None if unknown.

    Raises:
        ValueError: a value is of the wrong type or out of range (also when it is assigned later), or the other
            arguments are the configuration of another architecture.
    """

    model_type = "adapler"
    attribute_map: ClassVar[dict[str, str]] = {"MAX_LENGTH": "max_input_length"}

    def __init__(
        self,
        adapler: bool = False,
        eta_scale: float = 1.0,
        max_input_length: int | None = None,
        text_columns: list[str] | None = None,
        **kwargs,
    ):
        self.adapler, self.eta_scale = adapler, eta_scale
        self.max_input_length, self.text_columns = max_input_length, text_columns
        _require_bert(kwargs.pop("model_type", _BERT), "the config")
        if adapler:  # earlier versions wrote these copies of two weights
            kwargs = {name: value for name, value in kwargs.items() if name not in ("eta", "theta")}
        super().__init__(**kwargs)
        if self.max_input_length is not None and self.max_input_length > self.max_position_embeddings:
            raise ValueError(
                f"max_input_length is {self.max_input_length}; the model has {self.max_position_embeddings} positions"
            )

    def __setattr__(self, name: str, value: Any) -> None:
        name = self.attribute_map.get(name, name)
        super().__setattr__(name, _CHECKS[name](value) if name in _CHECKS else value)
        if name == "adapler":
            self.model_type = type(self).model_type if value else _BERT

    def to_dict(self) -> dict[str, Any]:
        """Returns all values, with the model type of this instance."""
        return super().to_dict() | {"model_type": self.model_type}

    @classmethod
    def get_config_dict(cls, pretrained_model_name_or_path: str | os.PathLike, **kwargs) -> tuple[dict, dict]:
        """As in transformers.

        Raises:
            ValueError: the checkpoint is of another architecture.
        """
        values, unused = super().get_config_dict(pretrained_model_name_or_path, **kwargs)
        _require_bert(values.pop("model_type", _BERT), str(pretrained_model_name_or_path))
        return values, unused

    @classmethod
    def copy_of(cls, config: BertConfig) -> AdapLeRConfig:
        """Returns an independent copy of a BERT configuration."""
        return copy.deepcopy(config) if isinstance(config, cls) else cls.from_dict(config.to_dict())


def _require_bert(model_type: str, source: str) -> None:
    if model_type not in (_BERT, AdapLeRConfig.model_type):
        raise ValueError(f"{source} is a '{model_type}' checkpoint; AdapLeR here is built on 'bert' only")
