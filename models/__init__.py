"""AdapLeR models: BERT whose layers run on fewer and fewer tokens."""

from models.adapler_bert import AdapLeROutput, TFAdapLeRForSequenceClassification

__all__ = ["AdapLeROutput", "TFAdapLeRForSequenceClassification"]
