"""Exported models and resumable output."""
