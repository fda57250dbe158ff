# Your own files: give --DATA_DIR, --TEXT_COLUMNS, --LABEL_COLUMN, and a --MAX_LENGTH that covers your texts. Trained
# towards a speedup of 3x unless you ask for another with --TARGET_SPEEDUP; --PUBLISHED takes the published settings.
COMMON=(--MAX_LENGTH 128)
TARGET=3
USE_TARGET=yes
