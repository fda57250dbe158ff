"""Faults in what is deployed: lr_mode's inputs and exported models."""

from __future__ import annotations

from tests.faults.fault import Fault

EXPORT = "tests/tools/inference/test_export_onnx.py"

DEPLOYMENT_FAULTS = (
    Fault(
        "a mask of another shape than the tokens",
        "models/adapler_bert.py",
        "if not mask.shape.is_compatible_with(tokens.shape[:2]):",
        "if False:",
        ("tests/models/test_model.py::test_a_mask_of_another_shape_than_the_tokens_is_refused",),
    ),
    Fault(
        "an export that cuts on the right whatever the tokenizer does",
        "tools/inference/tokenizer_file.py",
        ", direction=tokenizer.truncation_side",
        "",
        (f"{EXPORT}::test_exports_cut_long_texts_where_training_cut_them",),
    ),
    Fault(
        "int8 that could lose too much recommended",
        "tools/inference/int8_score.py",
        'if record["low"] <= -ALLOWED_LOSS:',
        "if False:",
        (f"{EXPORT}::test_int8_that_could_lose_too_much_says_so",),
    ),
)
