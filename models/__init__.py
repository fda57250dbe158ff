"""AdapLeR models: BERT whose layers run on fewer and fewer tokens.

A class is imported, and registered with transformers' Auto classes, when it is first asked for: `models.text_predictor`
needs no TensorFlow.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from models.adapler_bert import AdapLeROutput, TFAdapLeRForSequenceClassification
    from models.adapler_config import AdapLeRConfig
    from models.text_classifier import AdapLeRPredictor

__all__ = ["AdapLeRConfig", "AdapLeROutput", "AdapLeRPredictor", "TFAdapLeRForSequenceClassification"]


def __getattr__(name: str) -> type:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("models.text_classifier" if "Predictor" in name else "models.adapler_bert"), name)
