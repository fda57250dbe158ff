"""Exported models, predictors that run without TensorFlow, and resumable output."""
