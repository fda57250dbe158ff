"""The task `demo`: reviews of a stay, made by the project itself, and a small BERT to go with them.

A review tells opinions on three aspects of a stay, some of them negated, between sentences that mean nothing, and says
which aspect the writer cares about. The label is the opinion on that aspect. The other opinions are drawn so that
counting words helps little: whoever wants the label must find the aspect that matters, its opinion and its negation.
Those words are the example's rationale.

The generator stays as it is: results on `demo` are comparable from one version of the project to the next.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tf_keras as keras
from transformers import BertConfig, BertTokenizerFast, TFBertModel

from tools.common.atomic_files import atomic_directory, atomic_write

SIZES = {"train": 12000, "validation": 500, "test": 500}

ASPECTS = ("food", "staff", "room", "price", "view", "music")
OPINIONS = {
    1: ("good", "great", "lovely", "pleasant", "excellent", "charming", "wonderful", "delightful"),
    0: ("bad", "poor", "awful", "dreadful", "terrible", "mediocre", "horrible", "disappointing"),
}
PLAIN = ("the {aspect} was {opinion}", "the {aspect} seemed {opinion}", "we found the {aspect} {opinion}")
NEGATED = (
    "the {aspect} was not {opinion}",
    "the {aspect} was never {opinion}",
    "we found the {aspect} not {opinion}",
)
NEGATIONS = {"not", "never"}
CARES = (
    "what matters to me is the {aspect}",
    "i only came for the {aspect}",
    "my advice depends on the {aspect} alone",
    "i judge a place by the {aspect}",
)
FILLER = (
    "we arrived by train late on a friday evening",
    "it was raining when we left the station",
    "my sister had booked the trip in march",
    "there is a bakery across the street",
    "the building dates from the nineteenth century",
    "we stayed for two nights and then drove north",
    "breakfast is served until ten",
    "a bus stops right in front of the door",
    "the lift takes six people",
    "our neighbours were a couple from portugal",
    "you can leave your bags at the entrance",
    "the town has a small museum and a harbour",
    "on sunday the shops are closed",
    "they give you a card instead of a key",
    "we paid at the counter in the morning",
    "the children slept in the car on the way home",
)
# how the two other opinions relate to the one that counts: both against it, one of each, both with it
OTHERS = (((0, 0), 5), ((0, 1), 20), ((1, 0), 20), ((1, 1), 55))
NEGATION_RATE = 0.35
SEEDS = {"train": 101, "validation": 102, "test": 103}

POSITION_AMPLITUDE = 0.07
BACKBONE = {
    "hidden_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 192,
    "max_position_embeddings": 96,
    "initializer_range": 0.05,
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
}
SUFFIXES = ("ing", "ful", "ed", "ry", "ant", "ble")


def generate(split: str) -> list[dict]:
    """The examples of a split, always the same.

    Returns:
        dicts of text, label (0 or 1) and rationale, a list with a 0 or 1 for each word of `text.split()`.
    """
    seen = set() if split == "train" else {example["text"] for example in generate("train")}
    examples = []
    for text, label, rationale in _reviews(random.Random(SEEDS[split])):
        if text in seen:
            continue
        seen.add(text)
        examples.append({"text": text, "label": label, "rationale": rationale})
        if len(examples) == SIZES[split]:
            return examples
    raise AssertionError("the reviews never end")


def is_written(directory: Path) -> bool:
    """Whether the directory has the examples of this version; an earlier one wrote fewer."""
    files = {directory / f"{split}.jsonl": count for split, count in SIZES.items()}
    return all(file.exists() and len(file.read_bytes().splitlines()) == count for file, count in files.items())


def write_dataset(directory: Path) -> None:
    """Writes <directory>/{train,validation,test}.jsonl."""
    for split in SIZES:
        with (
            atomic_write(directory / f"{split}.jsonl") as temporary,
            open(temporary, "w", encoding="utf-8") as file,
        ):
            file.writelines(json.dumps(example) + "\n" for example in generate(split))


def vocabulary() -> list[str]:
    """A WordPiece vocabulary: the task's words, some of them only as stem and ending, and all letters."""
    texts = [template for group in (PLAIN, NEGATED, CARES, FILLER) for template in group]
    words = {word for text in texts for word in text.split() if "{" not in word}
    words |= {*ASPECTS, *OPINIONS[0], *OPINIONS[1]}
    split = {word: suffix for word in words for suffix in SUFFIXES if word.endswith(suffix) and len(word) > 6}
    pieces = {word[: -len(suffix)] for word, suffix in split.items()} | {f"##{s}" for s in split.values()}
    letters = {start + chr(code) for code in range(ord("a"), ord("z") + 1) for start in ("", "##")}
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "."]
    return special + sorted((words - set(split)) | pieces | letters)


def build_backbone(directory: Path) -> None:
    """Writes a Hugging Face directory with a tokenizer and an untrained BERT, always the same."""
    with atomic_directory(directory) as temporary:
        words = vocabulary()
        (temporary / "vocab.txt").write_text("\n".join(words) + "\n", encoding="utf-8")
        BertTokenizerFast(str(temporary / "vocab.txt")).save_pretrained(temporary)
        keras.utils.set_random_seed(0)
        model = TFBertModel(BertConfig(vocab_size=len(words), **BACKBONE))
        model.build_in_name_scope()
        model.bert.embeddings.position_embeddings.assign(_sinusoids(**model.config.to_dict()))
        model.save_pretrained(temporary)


def _sinusoids(max_position_embeddings: int, hidden_size: int, **_) -> np.ndarray:
    """Positions to start from: neighbours look alike, so that few examples teach what stands next to what."""
    rates = 10000.0 ** (-2 * np.arange(hidden_size // 2) / hidden_size)
    angles = np.outer(np.arange(max_position_embeddings), rates)
    return POSITION_AMPLITUDE * np.concatenate([np.sin(angles), np.cos(angles)], axis=1)


def _reviews(rng: random.Random) -> Iterator[tuple[str, int, list[int]]]:
    while True:
        label = _below(rng, 2)
        yield _review(rng, label)


def _review(rng: random.Random, label: int) -> tuple[str, int, list[int]]:
    aspects = _sample(rng, ASPECTS, 3)
    relation = _weighted(rng, OTHERS)
    polarities = [label, *(label if same else 1 - label for same in relation)]
    opinions = [_opinion(rng, *pair, rationale=not i) for i, pair in enumerate(zip(aspects, polarities, strict=True))]
    neutral = [(sentence.split(), None) for sentence in _sample(rng, FILLER, 1 + _below(rng, 2))]
    sentences = _sample(rng, opinions + neutral, len(opinions) + len(neutral))
    cares = _choice(rng, CARES).format(aspect=aspects[0]).split()
    sentences.insert(0, (cares, {aspects[0]}))
    words, rationale = [], []
    for sentence, telling in sentences:
        words += [*sentence, "."]
        rationale += [int(telling is not None and word in telling) for word in sentence] + [0]
    return " ".join(words), label, rationale


def _opinion(rng: random.Random, aspect: str, polarity: int, rationale: bool):
    """A sentence as words, and the words of it that decide the label (None for an aspect that does not count)."""
    negated = rng.random() < NEGATION_RATE
    opinion = _choice(rng, OPINIONS[1 - polarity if negated else polarity])
    words = _choice(rng, NEGATED if negated else PLAIN).format(aspect=aspect, opinion=opinion).split()
    return words, {aspect, opinion, *NEGATIONS} if rationale else None


# random.Random guarantees the sequence of random() only, so everything is drawn from it


def _below(rng: random.Random, limit: int) -> int:
    return int(rng.random() * limit)


def _choice(rng: random.Random, items):
    return items[_below(rng, len(items))]


def _sample(rng: random.Random, items, count: int) -> list:
    rest = list(items)
    return [rest.pop(_below(rng, len(rest))) for _ in range(count)]


def _weighted(rng: random.Random, choices):
    point = rng.random() * sum(weight for _, weight in choices)
    for value, weight in choices:
        point -= weight
        if point < 0:
            return value
    return choices[-1][0]
