# RTE: some premises are paragraphs.
COMMON=(--MAX_LENGTH 256)
TARGET=2
