"""Data, metrics, FLOPs, evaluation and files: what the scripts in run_files are made of."""
