# A user's own files: the published defaults for rates and epochs, gamma and phi of the published README's example; give
# --DATA_DIR, --TEXT_COLUMNS, --LABEL_COLUMN, and a --MAX_LENGTH that covers your texts.
COMMON=(--MAX_LENGTH 128)
FINE_TUNE=(--EPOCHS 5 --LEARNING_RATE 2e-5)
TRAIN_ADAPLER=(--EPOCHS 5 --LEARNING_RATE 3e-5 --GAMMA 0.005 --PHI 0.0005)
