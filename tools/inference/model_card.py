"""The README.md of an exported model."""

from __future__ import annotations

from pathlib import Path

from tools.common.markdown import markdown
from tools.data.tasks import TABLE
from tools.inference.int8_score import describe
from tools.inference.onnx_predictor import MODEL_FILES

FILES = """| file | what it is |
|---|---|
| `model.onnx` | the model in float32, {float32:.3g} MB |
| `model.int8.onnx` | dense layers in int8 with a scale for each token, word embeddings in int8, {int8:.3g} MB |
| `tokenizer.json` | the tokenizer, which truncates to {max_length} tokens and pads |
| `config.json` | labels, longest input, `eta_scale`, text columns, and the scores above |"""

GRAPH = """Inputs are `input_ids`, `attention_mask` and `token_type_ids`, int64 [batch, length]{scale}.
Outputs are `logits`, float32 [batch, labels]; `lengths`, int64 [batch, layers], the tokens that each layer ran on; and
`kept_positions`, int64 [batch, layers, length], the places of these tokens in the input, then -1."""

LIMITS = """- ONNX Runtime must be 1.24 or later.
- The tokenizer cuts an input to {max_length} tokens. Padding stands on the right: position 0 must be [CLS]. Inputs that
  are padded on the left are answered, but wrongly.
- Token ids of {vocab_size} and more, and inputs of more than {max_position_embeddings} tokens, are errors; negative
  ids are not noticed.
- int8 gives an example the same answer in every batch. {int8_score}
- int8 needs a processor with instructions for int8 products (AVX-512 VNNI, AVX-VNNI or ARM's dot product); on older
  x86 processors sums can saturate, which costs accuracy.
- The model knows what its training data showed. Its answers on other kinds of text were not measured."""

SNIPPET = """import numpy as np
import onnxruntime
from tokenizers import Tokenizer

texts = {texts}
labels = {labels}
tokenizer = Tokenizer.from_file("tokenizer.json")
onnxruntime.set_default_logger_severity(3)
session = onnxruntime.InferenceSession("model.int8.onnx", providers=["CPUExecutionProvider"])
encodings = tokenizer.encode_batch(texts)
inputs = {{
    "input_ids": np.array([encoding.ids for encoding in encodings]),
    "attention_mask": np.array([encoding.attention_mask for encoding in encodings]),
    "token_type_ids": np.array([encoding.type_ids for encoding in encodings]),
}}
logits, lengths = session.run(["logits", "lengths"], inputs)
for text, row, tokens in zip(texts, logits, lengths):
    print(text, {answer}, tokens.tolist())"""


def model_card(config: dict, directory: Path) -> str:
    """The page.

    Args:
        config: the content of the exported config.json.
        directory: where the model files stand.
    """
    sizes = {name: (directory / file).stat().st_size / 1e6 for name, file in MODEL_FILES.items()}
    scale = ", and `eta_scale`, a float32 scalar: a factor on every threshold (default {eta_scale:g}), more is faster"
    kind = "AdapLeR, a BERT whose layers run on fewer and fewer tokens" if config["adapler"] else "plain BERT"
    sections = [
        f"# {config['name']}",
        f"A text classifier for ONNX Runtime: {kind}, {config['num_hidden_layers']} layers of {config['hidden_size']} "
        f"units, {_labels(config)}. {_training(config.get('results'))}",
        "## Use",
        f"```python\n{snippet(config)}\n```",
        GRAPH.format(scale=scale.format_map(config) if config["adapler"] else ""),
        "## Scores and speed",
        _scores(config["results"]),
        "## Files",
        FILES.format_map(config | sizes),
        "## Limits",
        LIMITS.format_map(config | {"int8_score": describe(config["int8"])}),
    ]
    return "\n\n".join(sections) + "\n"


def snippet(config: dict) -> str:
    """A program that classifies two texts, for a working directory of the exported files."""
    pair = len(config["text_columns"] or ["text"]) == 2
    answer = "row[0]" if config["regression"] else "labels[row.argmax()]"
    texts = [("a text", "its pair"), ("another", "its own")] if pair else ["a text", "another text"]
    return SNIPPET.format(texts=texts, labels=list(config["id2label"].values()), answer=answer)


def _labels(config: dict) -> str:
    if config["regression"]:
        return "one output, a number"
    names = list(config["id2label"].values())
    return f"{len(names)} labels ({', '.join(names[:20])}{', ...' if len(names) > 20 else ''})"


def _training(results: dict | None) -> str:
    if results is None:
        return "What it was trained on is not recorded here: it was exported without a result file."
    rows = results["training_examples"]
    return (
        f"It was trained on {'all' if rows is None else rows} training examples of {results['task']}"
        f"{_held_out(results)} with the backbone {results['backbone']} (seed {results['seed']}, commit "
        f"{results['commit']}). The licences of the backbone and of the training data apply."
    )


def _held_out(results: dict) -> str:
    """Which training examples the run kept for validation: those of --HOLD_OUT, or of a task without a dev set."""
    if results["held_out_examples"]:
        return f" (without the {results['held_out_examples']} that were held out for validation)"
    task = TABLE.get(results["task"])
    return " (without those that were held out for validation)" if task and task.held_out else ""


def _scores(results: dict | None) -> str:
    """A table of what the run's result file says, a row for each split."""
    if results is None:
        return "Not recorded here: the model was exported without a result file."
    columns = {
        "split": "{split}",
        "examples": "{examples}",
        f"{results['metric']} of the fine-tuned BERT": "{fine_tuned:.4f}",
        results["metric"]: "{score:.4f}",
        "difference (95 %)": "{difference:+.4f} ({low:+.4f} to {high:+.4f})",
        "FLOPs speedup": "{speedup:.2f}x",
    }
    records = []
    for split, values in results["splits"].items():
        record = values | {"split": split}
        interval = record.pop("difference") or {}  # a plain BERT has none
        records.append(record | interval)
    return markdown(records, columns)
