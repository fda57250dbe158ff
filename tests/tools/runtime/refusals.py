"""What the tests of bad input share: the stages' scripts, and what a refusal looks like."""

FINE_TUNE = "run_files/run_classification_bert.py"
SALIENCIES = "tools/store_saliencies.py"
ADAPLER = "run_files/run_classification_w_lr.py"
EVALUATE = "run_files/run_classification_evaluation.py"
RATES = ("--LEARNING_RATE", "0.01", "--GAMMA", "0.5", "--PHI", "0.0005")


def complains(result, *words) -> None:
    code, message = result
    last = message.strip().splitlines()[-1]
    assert code == 2 and "Traceback" not in message, message
    assert all(word in last for word in words), last
