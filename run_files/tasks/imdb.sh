# IMDB: reviews are long, so the length is BERT's limit; gamma and phi are the published README's SST-2 example.
COMMON=(--MAX_LENGTH 512)
FINE_TUNE=(--EPOCHS 5 --LEARNING_RATE 2e-5)
TRAIN_ADAPLER=(--EPOCHS 5 --LEARNING_RATE 3e-5 --GAMMA 0.005 --PHI 0.0005)
