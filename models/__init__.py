"""AdapLeR models: BERT whose layers run on fewer and fewer tokens.

The import registers the classes with transformers' AutoConfig, AutoTokenizer and TFAutoModelForSequenceClassification.
"""

from transformers import (
    AutoConfig,
    AutoTokenizer,
    BertTokenizer,
    BertTokenizerFast,
    TFAutoModelForSequenceClassification,
)

from models.adapler_bert import AdapLeROutput, TFAdapLeRForSequenceClassification
from models.adapler_config import AdapLeRConfig
from models.text_classifier import AdapLeRPredictor

AutoConfig.register(AdapLeRConfig.model_type, AdapLeRConfig, exist_ok=True)
AutoTokenizer.register(AdapLeRConfig, BertTokenizer, BertTokenizerFast, exist_ok=True)
TFAutoModelForSequenceClassification.register(AdapLeRConfig, TFAdapLeRForSequenceClassification, exist_ok=True)

__all__ = ["AdapLeRConfig", "AdapLeROutput", "AdapLeRPredictor", "TFAdapLeRForSequenceClassification"]
