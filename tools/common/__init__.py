"""Errors, paths, atomic files, locks and provenance; imports nothing else of the project."""
