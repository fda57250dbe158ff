"""The sentences of the verdict and of what does not help follow from the result files."""

import re

import pytest

from tests.tools.results.made_results import (
    alternatives_of,
    made_folder,
    rows_of,
    run_of,
    texts_of,
    write_results,
)
from tools.common.paths import RESULTS
from tools.results.rationales import claim
from tools.results.result_files import read_folder
from tools.results.verdict import verdict


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return made_folder(tmp_path_factory.mktemp("results") / "made")


def sentence(folder, name: str) -> str:
    (line,) = [line for line in verdict(read_folder(folder)).splitlines() if line.startswith(f"- **{name}")]
    return line


def test_sentences_of_the_verdict(folder, tmp_path):
    few = [run_of("mrpc", 22, 2.0), run_of("ag_news", 22, 7.0), run_of("scitail", 22, 2.0)]
    goals = sentence(folder, "Goals")
    assert goals.endswith(
        "Reached: imdb, mrpc and scitail; missed: ag_news; undecided, because the 95 % interval contains -1: "
        "hatexplain and sst2. The test sets of sst2 are too small to show that less than 1 point is lost."
    )
    goals = sentence(write_results(tmp_path / "few", few), "Goals")
    assert goals.endswith("Not run with the current protocol: sst2, hatexplain and imdb.")
    gain = sentence(folder, "Gain and cost")
    assert "is lower on ag_news (-2.0), hatexplain (-1.3) and imdb (-0.4) and not distinguishable from the" in gain
    assert gain.endswith("fine-tuned one on mrpc (+0.1), scitail (-0.4) and sst2 (-0.3).")
    times = sentence(folder, "Time")
    span = "3.00 (ag_news) to 3.00 (sst2) times"
    unpadded = "1.50 (ag_news) to 1.50 (sst2) times"
    spans = f"AdapLeR answers one text {span} as fast as plain BERT, and 32 texts at a time {span}"
    assert f"In TensorFlow, {spans}. A part" in times
    assert times.endswith(f"suits each model best (1, 8 or 32), AdapLeR is {span} as fast.")
    int8 = sentence(folder, "Against plain BERT in int8")
    best = f"with the batch size that suits each model best, {span}, and in batches of 32 without padding {unpadded}."
    assert f"Both in ONNX int8, {spans}; {best}" in int8
    page = texts_of(folder)["RESULTS.md"]
    unpadded = f"a batch of 32 {unpadded} as fast as plain BERT in TensorFlow and {unpadded} in ONNX int8."
    assert unpadded in page
    assert "plain BERT by +0.0 (ag_news) to +0.0 (sst2) points; AdapLeR in int8 is at -2.0 (ag_news) to -0.3" in page
    smaller = sentence(folder, "Against smaller models")
    beaten = "2.0 times on ag_news (first 3 layers in int8, 95.0 against 88.0)"
    assert f"is faster, one text at a time {beaten}; in batches of 32 {beaten}." in smaller
    assert "on the Pareto front of score and time at 2 or more values of `eta_scale` on sst2. From" in page
    missing = sentence(folder, "What was not measured")
    assert "6 layers of 384 units" in missing
    assert "Test scores of training without a target" in missing and "all training rows of" not in missing
    assert missing.endswith(
        "Times of hatexplain, imdb, mrpc and scitail; 3 seeds of ag_news, hatexplain, imdb, mrpc and scitail, whose "
        "intervals therefore leave out how seeds differ; the paper's tasks mnli, qnli and dbpedia."
    )


def test_gains_go_from_the_smallest_to_the_largest(tmp_path):
    fast, slow, middle = run_of("ag_news", 22, 7.0), run_of("mrpc", 22, 2.0), run_of("sst2", 22, 2.0)
    timed = [alternatives_of(fast, ours=10.0), alternatives_of(slow, ours=40.0), alternatives_of(middle)]
    made = write_results(tmp_path / "three", [fast, slow, middle, *timed])
    assert "one text 1.50 (mrpc) to 6.00 (ag_news) times as fast" in sentence(made, "Time")
    alone = write_results(tmp_path / "alone", [slow, timed[1]])
    assert "one text 1.50 (mrpc) times as fast as plain BERT" in sentence(alone, "Against plain BERT in int8")


def test_the_best_batch_size_of_each_model_counts(tmp_path):
    """Plain BERT's best is one text at a time, AdapLeR's a batch of 32."""
    run = run_of("mrpc", 22, 2.0)
    result = alternatives_of(run)
    rates = {"BERT": {"1": 50.0, "8": 40.0, "32": 20.0}, "AdapLeR": {"1": 60.0, "8": 80.0, "32": 100.0}}
    for point in result["points"]:
        if not point["setting"]:
            point["texts_per_second"] = rates[point["method"]]
    made = write_results(tmp_path / "made", [run, result])
    text = sentence(made, "Time")
    assert "one text 1.20 (mrpc) times" in text and "32 texts at a time 5.00 (mrpc) times" in text
    assert text.endswith("AdapLeR is 2.00 (mrpc) times as fast.")
    assert sentence(made, "Against plain BERT in int8").endswith(
        "each model best, 2.00 (mrpc) times, and in batches of 32 without padding 1.50 (mrpc) times."
    )


def test_a_task_whose_smaller_models_learned_nothing_is_named(tmp_path):
    run = run_of("mrpc", 22, 2.0)
    for constant, is_named in ((0.868, False), (0.872, True)):
        run["splits"]["test"]["constant"] = constant
        made = write_results(tmp_path / f"{constant}", [run, alternatives_of(run, layers_score=0.88)])
        text = "On mrpc, no smaller plain model is more than 1 point above the best answer"
        assert (text in sentence(made, "Against smaller models")) == is_named


def test_a_constant_answer_is_taken_from_a_run_of_the_same_examples(tmp_path):
    """A run of before it was recorded has that of another, which only compares settings."""
    run, compared, other = (run_of("mrpc", seed, 2.0) for seed in (22, 25, 26))
    del run["splits"]["test"]["constant"]
    compared["splits"]["test"]["constant"], other["splits"]["test"] = 0.61, other["splits"]["test"] | {"constant": 0.4}
    other["splits"]["test"]["examples"] = 5
    folder = write_results(tmp_path / "made", [run])
    write_results(folder / "ablation", [compared, other])
    (found,) = read_folder(folder).runs
    assert found["splits"]["test"]["constant"] == 0.61
    assert "same for every example scores 61.0 on mrpc." in texts_of(folder)["RESULTS.md"]


def test_the_time_of_training_has_the_extremes_of_the_runs(tmp_path):
    runs = [run_of("mrpc", 22, 2.0), run_of("sst2", 23, 2.0)]
    runs[0]["seconds"] = {"fine_tune": 1000, "store_saliencies": 200, "train_adapler": 1800}
    runs[1]["seconds"] = {"fine_tune": 2000, "store_saliencies": 1000, "train_adapler": 6000}
    text = sentence(write_results(tmp_path / "made", runs), "Gain and cost")
    assert (
        "3.0 (mrpc) to 4.5 (sst2) times the training time (means; single runs 3.0 (mrpc 22) to 4.5 (sst2 23)," in text
    )
    assert "of 50 minutes to 2.5 hours, on" in text


def test_a_constant_answer_that_one_seed_recorded_is_shown(tmp_path):
    runs = [run_of("mrpc", 22, 2.0), run_of("mrpc", 23, 2.0)]
    del runs[0]["splits"]["test"]["constant"]  # a run of before it was recorded
    runs[1]["splits"]["test"]["constant"] = 0.799
    assert (
        "the same for every example scores 79.9 on mrpc."
        in texts_of(write_results(tmp_path / "made", runs))["RESULTS.md"]
    )


def test_the_extremes_of_the_rounds_are_shown_where_they_were_recorded(tmp_path):
    run = run_of("mrpc", 22, 2.0)
    result = alternatives_of(run)
    for rounds in ("3.00x", "2.90x (2.50 to 3.50)"):
        rows = rows_of(texts_of(write_results(tmp_path / rounds, [run, result]))["RESULTS.md"])
        assert [row["ONNX int8, batch of 32"] for row in rows if "timed" in row or "FLOPs" in row] == [
            f"60.0 to 20.0 ms, {rounds}"
        ]
        for point in result["points"]:
            point["gains"] = {size: {"median": 2.9, "lowest": 2.5, "highest": 3.5} for size in ("1", "32")}


def test_short_requests_are_those_of_the_inference_benchmark(folder):
    text = sentence(folder, "Single short requests")
    assert "one text of 64 tokens with 5.0 times fewer FLOPs is answered 2.50 times as fast in TensorFlow and" in text
    assert text.endswith("1.25 times as fast in ONNX int8.")
    page = texts_of(folder)["RESULTS.md"]
    assert "- At that size, a model that drops nothing is 1.00 (1 x 64 tokens) times as fast in TensorFlow" in page
    assert "batches that drop tokens gain 33% (8 x 256 tokens) of their FLOPs speedup in time, in ONNX int8." in page


def test_a_task_that_gains_too_little_on_one_text_is_named(tmp_path):
    run = run_of("mrpc", 22, 2.0)
    slow = alternatives_of(run, ours=58.0)
    made = write_results(tmp_path / "made", [run, slow])
    assert "one text faster than AdapLeR in TensorFlow on mrpc:" in sentence(made, "Against plain BERT in int8")
    text = sentence(made, "Single short requests")
    slow = "on mrpc in TensorFlow (1.03) and on mrpc in ONNX int8 (1.03)"
    assert text.endswith(f"One text gains less than 1.1 times {slow}.")


def test_alternatives_that_were_not_trained_are_said(tmp_path):
    run = run_of("mrpc", 22, 2.0)
    for number, left_out in enumerate(([], ["minilm_2_layers"])):
        result = alternatives_of(run)
        result["settings"]["not_trained"] = left_out
        page = texts_of(write_results(tmp_path / str(number), [run, result]))["RESULTS.md"]
        assert ("not compared: 1 on mrpc." in page) == bool(left_out)


def test_one_setting_on_the_front_is_not_enough_to_be_named(tmp_path):
    run = run_of("mrpc", 22, 2.0)
    result = alternatives_of(run)
    page = texts_of(write_results(tmp_path / "two", [run, result]))["RESULTS.md"]
    assert "values of `eta_scale` on mrpc." in page
    result["points"] = [point for point in result["points"] if not point["setting"].startswith("eta_scale")]
    page = texts_of(write_results(tmp_path / "one", [run, result]))["RESULTS.md"]
    assert "values of `eta_scale` on no task." in page


def test_runs_whose_target_dev_did_not_correct_are_said(tmp_path):
    corrected, earlier = run_of("mrpc", 22, 2.0), run_of("scitail", 22, 2.0)
    for run, logged in (corrected, {"correction": 1.1}), (earlier, {}):
        run["tried"][0]["epochs"] = [{"validation": {"accuracy": 0.9, "speedup": 2.0}, "eta": [0.5], **logged}]
    page = texts_of(write_results(tmp_path / "made", [corrected, earlier]))["RESULTS.md"]
    assert "(CHANGELOG.md): scitail 22." in page
    page = texts_of(write_results(tmp_path / "new", [corrected]))["RESULTS.md"]
    assert "CHANGELOG.md" not in page


def test_looks_at_test_sets_are_all_listed(folder):
    looks = [row for row in rows_of(texts_of(folder)["RESULTS.md"]) if "why" in row]
    assert {(row["task"], row["seeds"], row["setting"]) for row in looks} >= {
        ("sst2", "22 23 24", "target 2x"),
        ("hatexplain", "22 23", "target 3x"),
        ("imdb", "22 23", "target 4x"),
        ("ag_news sst2", "22", "alternatives"),  # one row for tasks with equal seeds
    }
    committed = [row for row in rows_of(texts_of(RESULTS)["RESULTS.md"]) if "why" in row]
    assert len(committed) >= 17 and any(row["task"] == "demo" for row in committed)
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d", row["date"]) for row in committed)


def test_the_claim_is_told_as_it_is():
    fewer, more, unclear = {"low": 0.1, "high": 0.2}, {"low": -0.2, "high": -0.1}, {"low": -0.1, "high": 0.1}
    for over, expected in (
        ({"saliency": fewer, "rollout": fewer}, "held. AdapLeR's are fewer than those of “saliency” and “rollout”."),
        (
            {"saliency": fewer, "rollout": more},
            "held against 1 of 2 methods. AdapLeR's are fewer than those of “saliency”; more than those of “rollout”.",
        ),
        (
            {"saliency": more, "rollout": unclear},
            "did not hold. AdapLeR's are more than those of “saliency”; not distinguishable from those of “rollout”.",
        ),
        (
            {"saliency": unclear, "random": fewer},
            "is undecided. AdapLeR's are not distinguishable from those of “saliency”. "
            "They are fewer than those of random words.",
        ),
        (
            {"saliency": fewer, "random": more},
            "did not hold. AdapLeR's are fewer than those of “saliency”. They are more than those of random words.",
        ),
    ):
        records = [{"method": method, "over": interval, "layers": [0.3, 0.3]} for method, interval in over.items()]
        text = claim([{"method": "AdapLeR", "layers": [0.4, 0.2]}, *records])
        assert f"{expected} This is after the last layer" in text
        assert text.endswith("AdapLeR's are the fewest after layer 2 of 2.")


def test_the_fastest_model_that_is_as_good_is_named(tmp_path):
    run = run_of("mrpc", 22, 2.0)
    result = alternatives_of(run, ours=40.0)
    best = next(p for p in result["points"] if p["method"] == "first layers" and p["precision"] == "int8")
    best |= {"score": 0.95, "setting": "4 layers"}
    result["points"].append(
        best | {"score": 0.897, "setting": "2 layers", "texts_per_second": {"1": 1e3, "8": 1, "32": 1}}
    )
    text = sentence(write_results(tmp_path / "made", [run, result]), "Against smaller models")
    assert "one text at a time 5.0 times on mrpc (first 2 layers in int8, 89.7 against 89.6);" in text
    assert "in batches of 32 1.3 times on mrpc (first 4 layers in int8, 95.0 against 89.6)." in text


def test_a_loss_on_validation_that_test_does_not_show_is_said(tmp_path):
    run = run_of("mrpc", 22, 2.0)
    run["splits"]["validation"] |= {"difference": -0.012, "low": -0.02, "high": -0.004}
    text = sentence(write_results(tmp_path / "made", [run]), "Gain and cost")
    assert text.endswith("On validation, it is also lower on mrpc, -1.2 (-2.0 to -0.4).")


def test_what_the_dial_cannot_do_is_said(tmp_path):
    run = run_of("mrpc", 22, 2.0)
    for name, speedups, scores, expected in (
        ("works", (1.2, 2.0, 3.0), (0.90, 0.89, 0.85), []),
        (
            "ends",
            (1.2, 2.0, 2.0),
            (0.90, 0.89, 0.89),
            ["mrpc: a larger `eta_scale` than 1 makes nothing faster (2.00x"],
        ),
        (
            "loses",
            (1.2, 2.0, 3.0),
            (0.82, 0.89, 0.85),
            ["mrpc: a smaller `eta_scale` does not bring the score back: 82.0"],
        ),
    ):
        points = zip((0.5, 1.0, 1.5), speedups, scores, strict=True)
        dial = [{"eta_scale": e, "flops_speedup": f, "score": s, "milliseconds": 5.0} for e, f, s in points]
        folder = write_results(tmp_path / name, [run, alternatives_of(run) | {"dial": dial}])
        lines = [line[2:] for line in texts_of(folder)["RESULTS.md"].splitlines() if "`eta_scale` " in line]
        found = [line for line in lines if line.startswith("mrpc: ")]
        assert [line.startswith(start) for line, start in zip(found, expected, strict=True)] == [True] * len(expected)
