"""Configuration of AdapLeR models."""

from __future__ import annotations

import copy
import math
import numbers
import os
from typing import Any, ClassVar

from transformers import BertConfig

_BERT = "bert"


def _is_scale(value: Any) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool) and 0 <= value < math.inf


def _is_length(value: Any) -> bool:
    return isinstance(value, numbers.Integral) and not isinstance(value, bool) and value > 0


def _is_columns(value: Any) -> bool:
    is_list = isinstance(value, list | tuple) and len(value) in (1, 2)
    return is_list and all(isinstance(name, str) for name in value)


_RULES = {
    "adapler": (lambda value: isinstance(value, bool), bool, "true or false"),
    "eta_scale": (_is_scale, float, "a finite number of at least 0"),
    "max_input_length": (_is_length, int, "a positive integer or None"),
    "text_columns": (_is_columns, list, "a list of one or two column names or None"),
}


def checked(name: str, value: Any) -> Any:
    """Returns the value of a field of `AdapLeRConfig`, as the type that the file has.

    Raises:
        ValueError: it is of the wrong type or out of range.
    """
    accepts, as_type, expected = _RULES[name]
    if value is None and expected.endswith("or None"):
        return None
    if not accepts(value):
        raise ValueError(f"{name} is {value!r}; it must be {expected}")
    return as_type(value)


class AdapLeRConfig(BertConfig):
    """BertConfig with the state of a conversion to AdapLeR.

    The model type is "adapler" for a converted model and "bert" otherwise, so that a directory of a converted model is
    never loaded as a plain BERT. Directories of earlier versions have the model type "bert", `MAX_LENGTH` instead of
    `max_input_length`, and copies of the weights eta and theta, which are ignored.

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
        if adapler:
            kwargs = {name: value for name, value in kwargs.items() if name not in ("eta", "theta")}
        super().__init__(**kwargs)
        if self.max_input_length is not None and self.max_input_length > self.max_position_embeddings:
            raise ValueError(
                f"max_input_length is {self.max_input_length}; the model has {self.max_position_embeddings} positions"
            )

    def __setattr__(self, name: str, value: Any) -> None:
        name = self.attribute_map.get(name, name)
        super().__setattr__(name, checked(name, value) if name in _RULES else value)
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
