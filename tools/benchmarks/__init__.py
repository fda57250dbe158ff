"""Programs that time the project."""
