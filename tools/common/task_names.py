"""Names of the two tasks that are not those of a published data set."""

CUSTOM = "custom"
"""The task of a user's own files: another folder has other data."""
GENERATED = "demo"
"""The task that the project generates."""
