"""AdapLeR models: BERT whose layers run on fewer and fewer tokens."""

from models.adapler_bert import AdapLeROutput, TFAdapLeRForSequenceClassification
from models.predictor import AdapLeRPredictor

__all__ = ["AdapLeROutput", "AdapLeRPredictor", "TFAdapLeRForSequenceClassification"]
