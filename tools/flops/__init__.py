"""FLOPs of BERT and AdapLeR."""

from tools.flops.formulas import adapler_flops, bert_flops

__all__ = ["adapler_flops", "bert_flops"]
