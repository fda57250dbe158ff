"""Scores, lengths and FLOPs of a model, and the choices that follow from them."""
