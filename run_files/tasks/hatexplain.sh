# HateXplain: the length of the published README's evaluation example.
COMMON=(--MAX_LENGTH 72)
TARGET=3
