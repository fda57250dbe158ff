# A short run of ERASER's movie reviews for two CPU cores: 400 documents in windows of 512 tokens and a six-layer MiniLM.
#   SETTINGS=run_files/experiments/movie_rationales_minilm.sh run_files/run_task.sh movie_rationales SEED --BACKBONE DIR
# So few documents teach the backbone little (dev accuracy 0.59 after an epoch), so fine-tuning starts from IMDB's
# reviews: run imdb_minilm.sh with the same seed first. Stage 3 starts from stage 1's best epoch.
COMMON=(--MAX_LENGTH 512 --MAX_TRAIN_EXAMPLES 400)
FINE_TUNE=(--EPOCHS 1 --LEARNING_RATE 3e-5 --BATCH_SIZE 8 --INITIAL_MODEL_PATH "${ADAPLER_DIRECTORY:-directory}/minilm/$seed/imdb/models/bert_imdb_1.h5")
TRAIN_ADAPLER=(--EPOCHS 2 --LEARNING_RATE 3e-5 --CP_LEARNING_RATE 1e-3 --SPEEDUP_LEARNING_RATE 5e-3 --GAMMA 0.05 --PHI 0.003 --BATCH_SIZE 8)
INITIAL=fine_tuned
