"""Small faults, each with the tests that should notice it; tests/mutations.py puts them into the sources."""

from __future__ import annotations

from typing import NamedTuple


class Fault(NamedTuple):
    """A change of one place in the sources, and the tests that should notice it, in pytest's spelling."""

    name: str
    file: str
    text: str
    replacement: str
    tests: tuple[str, ...]


REMOVAL, STEP, ENCODER = "models/length_reduction.py", "models/training_step.py", "models/adapler_encoder.py"
PACKING, LOSSES, FLOPS = "models/packing.py", "models/losses.py", "tools/flops/formulas.py"
STAGE_1, STAGE_3 = "run_files/run_classification_bert.py", "tools/training/adapler.py"
OBJECTIVE = "models/objective.py"
TASKS, CALLBACKS, FIT = "tools/data/tasks.py", "tools/training/callbacks.py", "tools/training/fit.py"
SALIENCIES, LOG = "tools/explanations/saliencies.py", "tools/runtime/fine_tuning_log.py"
SCORES = "tools/explanations/token_scores.py"
TARGET, TRIM, BACKUP = "models/speed_target.py", "tools/evaluation/trim_speed.py", "tools/training/backup.py"
STAGE_3_PROGRAM = "run_files/run_classification_w_lr.py"
STAGES, SUMMARY = "run_files/stages.sh", "tools/evaluation/run_summary.py"

WIRING, FLAGS, ORACLE = (
    "tests/run_files/test_stage_wiring.py",
    "tests/run_files/test_stage_flags.py",
    "tests/models/test_oracle.py",
)
TRIED = ("tests/run_files/test_pipeline.py::test_a_summary_lists_every_model_that_was_tried",)
STEPS_1 = (f"{WIRING}::test_fine_tuning_takes_the_steps_of_the_method",)
STEPS_3 = (f"{WIRING}::test_the_predictors_have_a_rate_of_their_own",)
ALL_STEPS_3 = (f"{WIRING}::test_adapler_takes_the_steps_of_the_method",)
EPSILON = (f"{WIRING}::test_adam_has_the_epsilons_of_the_method",)
DROPOUT = (f"{WIRING}::test_dropout_of_attention_is_off_in_stage_3_only",)
ORDER = (f"{WIRING}::test_every_epoch_visits_the_rows_in_the_order_of_the_seed[fine_tuned]",)
SIMILAR_LENGTH = ("tests/tools/data/test_examples.py::test_batches_of_similar_length",)
GROUPED = (f"{FLAGS}::test_batches_of_similar_length_differ_between_epochs",)
EVERY_EPOCH = (f"{WIRING}::test_the_weights_of_every_epoch_are_kept_and_scored_on_all_of_dev",)
THREE_BEST = (f"{WIRING}::test_saliencies_come_from_the_three_best_epochs",)
TARGETS = (f"{WIRING}::test_the_targets_are_the_mean_saliencies_of_three_epochs_by_row",)
START = (f"{WIRING}::test_adapler_starts_from_the_given_weights_and_eta",)
CHOICE = (f"{WIRING}::test_the_chosen_epoch_is_the_fastest_of_those_that_are_allowed",)
MICRO_BATCHES = (f"{WIRING}::test_micro_batches_and_no_clipping",)
EVALUATION = (f"{WIRING}::test_evaluation_counts_every_example_and_all_flops",)
HELD_OUT = (f"{FLAGS}::test_held_out_rows_are_scored_and_not_trained_on",)
LABELS = ("tests/tools/data/test_tasks.py::test_labels_and_metrics",)
METRICS = ("tests/tools/evaluation/test_metrics.py",)
FLOPS_TERMS = ("tests/tools/flops/test_flops.py::test_a_predictor_is_charged_for_what_enters_its_layer",)
SOFT_REMOVAL = (f"{ORACLE}::test_soft_removal",)
SOFT_PASS = (f"{ORACLE}::test_soft_pass",)
HARD_PASS = (f"{ORACLE}::test_hard_pass",)
SOFT_IS_HARD = ("tests/models/test_agreement.py::test_soft_is_hard",)
CONTRIBUTIONS = (f"{ORACLE}::test_contributions_of_a_fading_mask",)
CONTRIBUTION_LOSS = (f"{ORACLE}::test_contribution_loss",)
FAITHFULNESS = ("tests/tools/explanations/test_rationales.py::test_faithfulness_by_hand",)
RECIPE = ("tests/run_files/test_run_task.py::test_a_run_with_a_target_takes_the_recipe",)
PUBLISHED = ("tests/run_files/test_run_task.py::test_a_run_without_a_target_takes_the_published_settings",)
SPEED_TARGET, ADAPLER = "tests/models/test_speed_target.py", "tests/tools/training/test_adapler.py"
UPDATE = (f"{SPEED_TARGET}::test_an_update_is_the_written_one",)
ASKED_RATIO = (f"{SPEED_TARGET}::test_the_asked_ratio_falls_during_the_first_two_fifths_of_the_steps",)
COSTS = (f"{SPEED_TARGET}::test_costs_are_those_of_hard_lengths_and_have_the_gradient_of_soft_ones",)
TARGET_RATES = (f"{ADAPLER}::test_rates_of_a_target_follow_from_the_number_of_steps",)
NEAR_TARGET = (f"{ADAPLER}::test_the_best_epoch_near_the_target_is_chosen_or_else_the_nearest",)
TRIMMING = ("tests/tools/evaluation/test_trim_speed.py::test_trimming_scales_all_thresholds_to_the_target",)
TARGET_RUN = (f"{WIRING}::test_a_run_with_a_target_keeps_the_best_epoch_near_it_and_trims_it",)
RESUMED_TARGET = ("tests/tools/training/test_fit.py::test_an_interrupted_run_ends_as_one_that_was_not",)
SUBMISSION = (f"{FLAGS}::test_a_submission_has_the_servers_labels",)

METHOD_FAULTS = (
    Fault("sign of the soft removal", REMOVAL, "(shares - delta) - BETA", "(delta - shares) - BETA", SOFT_REMOVAL),
    Fault("beta 0.11", REMOVAL, "BETA = 0.1\n", "BETA = 0.11\n", SOFT_REMOVAL),
    Fault("eta / N -> eta", REMOVAL, "return (eta / length)[", "return (eta + 0.0 * length)[", SOFT_PASS),
    Fault(
        "contributions not normalised",
        REMOVAL,
        "return weights / (tf.reduce_sum(weights, axis=-1, keepdims=True) + _TINY)",
        "return weights",
        CONTRIBUTIONS,
    ),
    Fault(
        "shares not normalised after theta",
        REMOVAL,
        "return tf.math.divide_no_nan(weighed, tf.reduce_sum(weighed, axis=-1, keepdims=True))",
        "return weighed",
        CONTRIBUTION_LOSS,
    ),
    Fault(
        "length without [CLS]",
        REMOVAL,
        "return tf.reduce_sum(removable, axis=-1) + 1.0",
        "return tf.reduce_sum(removable, axis=-1)",
        SOFT_PASS,
    ),
    Fault(
        "wrong axis of the softmax's sum",
        REMOVAL,
        "tf.reduce_sum(weights, axis=-1, keepdims=True)",
        "tf.reduce_sum(weights, axis=0, keepdims=True)",
        CONTRIBUTIONS,
    ),
    Fault("> instead of >= at the threshold", REMOVAL, "(shares >= delta)", "(shares > 1.01 * delta)", SOFT_IS_HARD),
    Fault(
        "soft mask does not accumulate",
        ENCODER,
        "additive_mask = tf.maximum(additive_mask + removal, MASKED)",
        "additive_mask = tf.maximum((1.0 - tf.cast(attention_mask, tf.float32)) * MASKED + removal, MASKED)",
        SOFT_PASS,
    ),
    Fault(
        "packing off by one",
        PACKING,
        "self.starts = tf.cumsum(lengths, exclusive=True)",
        "self.starts = tf.cumsum(lengths, exclusive=True) + 1",
        SOFT_IS_HARD,
    ),
    Fault("packed examples swapped", PACKING, "tf.gather(padding_before, rows)", "padding_before[0]", SOFT_IS_HARD),
    Fault("layers weighed alike in the CP loss", LOSSES, "(layers - layer) * tf.where", "tf.where", CONTRIBUTION_LOSS),
    Fault(
        "absolute instead of squared error",
        LOSSES,
        "return tf.square(logits[:, 0] - tf.cast(labels, tf.float32))",
        "return tf.abs(logits[:, 0] - tf.cast(labels, tf.float32))",
        (f"{FLAGS}::test_a_regression_descends_the_squared_error",),
    ),
    Fault("theta's gradient not divided", STEP, "probe / (encoder.theta + _TINY_THETA)", "2.0 * probe", ALL_STEPS_3),
)

TRAINING_FAULTS = (
    Fault(
        "gamma and phi swapped",
        STAGE_3,
        "TARGET_GAMMA if arguments.gamma is None else arguments.gamma,\n        arguments.phi or 0.0,",
        "arguments.phi,\n        arguments.gamma,",
        STEPS_3,
    ),
    Fault(
        "no slope schedule",
        "models/slope_schedule.py",
        'self._lambda.assign(self.slope(epoch, self.params["epochs"]))',
        "self._lambda.assign(1000.0)",
        STEPS_3,
    ),
    Fault("gradients of stage 3 not clipped", STAGE_3, "clip_norm=1.0,", "clip_norm=None,", STEPS_3),
    Fault("class weights dropped in stage 3", STAGE_3, "        run.task.class_weights,\n", "        None,\n", STEPS_3),
    Fault(
        "attention dropout left on in stage 3",
        STAGE_3,
        "run.max_length, attention_probs_dropout_prob=0.0)",
        "run.max_length)",
        DROPOUT,
    ),
    Fault("Adam's epsilon 1e-6 in stage 3", STAGE_3, "len(train)), 1e-12", "len(train)), 1e-6", EPSILON),
    Fault(
        "thresholds trained with BERT's rate",
        STAGE_3,
        "adam(threshold_rate or PUBLISHED_THRESHOLD_RATE, *schedule)",
        "adam(arguments.learning_rate, *schedule)",
        STEPS_3,
    ),
    Fault(
        "thresholds decayed",
        STAGE_3,
        "adam(threshold_rate or PUBLISHED_THRESHOLD_RATE, *schedule)",
        "adam(threshold_rate or PUBLISHED_THRESHOLD_RATE, *schedule, weight_decay=0.5)",
        STEPS_3,
    ),
    Fault(
        "--CP_LEARNING_RATE ignored",
        STAGE_3,
        "predictor_optimizer = adam(predictor_rate, *schedule",
        "predictor_optimizer = adam(arguments.learning_rate, *schedule",
        STEPS_3,
    ),
    Fault(
        "--INITIAL_MODEL_PATH ignored",
        STAGE_3,
        "    if weights:\n",
        "    if False:\n",
        START,
    ),
    Fault(
        "--ETA_INIT ignored",
        STAGE_3,
        "tf.fill(model.bert.encoder.eta.shape, eta_init)",
        "tf.fill(model.bert.encoder.eta.shape, 0.25)",
        START,
    ),
    Fault(
        "LayerNorm and biases decayed",
        OBJECTIVE,
        'exclude_from_weight_decay=["LayerNorm", "layer_norm", "bias"]',
        "exclude_from_weight_decay=[]",
        STEPS_1,
    ),
    Fault("no weight decay", STAGE_1, "1e-8, weight_decay=0.01", "1e-8", STEPS_1),
    Fault("class weights dropped in stage 1", STAGE_1, "class_weights=run.task.class_weights, ", "", STEPS_1),
    Fault("--CLIP_NORM ignored", STAGE_1, "clip_norm=clip_norm)", "clip_norm=1.0)", STEPS_1),
    Fault("--ACC_STEPS ignored", STAGE_1, "acc_steps=training.acc_steps, ", "", MICRO_BATCHES),
    Fault(
        "micro-batches lose their last example",
        STEP,
        "examples * (step + 1) // steps)",
        "examples * (step + 1) // steps - 1)",
        MICRO_BATCHES,
    ),
    Fault(
        "warm-up one step longer",
        FIT,
        "return steps, int(training.warmup_ratio * steps)",
        "return steps, int(training.warmup_ratio * steps) + 1",
        STEPS_1,
    ),
    Fault(
        "schedule without the partial batch",
        FIT,
        "math.ceil(examples / training.batch_size)",
        "(examples // training.batch_size)",
        STEPS_1,
    ),
    Fault("examples not shuffled", FIT, "examples = examples.shuffled(seed)", "examples = examples", ORDER),
    Fault(
        "another order in each epoch",
        FIT,
        "if training.reshuffle or training.group_by_length:",
        "if True:",
        ORDER,
    ),
    Fault(
        "batches of similar length have one order",
        "tools/data/examples.py",
        "shuffle(len(self), seed=seed)",
        "shuffle(len(self), seed=seed, reshuffle_each_iteration=False)",
        SIMILAR_LENGTH,
    ),
    Fault("--GROUP_BY_LENGTH ignored", FIT, "finished, training.group_by_length)", "finished)", GROUPED),
    Fault(
        "resume one epoch late",
        "tools/training/backup.py",
        "return int(self.finished_epochs.numpy())",
        "return int(self.finished_epochs.numpy()) + 1",
        (f"{WIRING}::test_a_resumed_run_continues_after_the_last_finished_epoch",),
    ),
    Fault(
        "slowest allowed epoch chosen",
        CALLBACKS,
        'max(allowed, key=lambda entry: entry["validation"]["speedup"])',
        'min(allowed, key=lambda entry: entry["validation"]["speedup"])',
        CHOICE,
    ),
    Fault(
        "fastest epoch chosen whatever its score",
        CALLBACKS,
        "> fine_tuned - ALLOWED_LOSS]",
        "> 0]",
        CHOICE,
    ),
    Fault(
        "saliencies of the worst epochs", LOG, "np.argsort(-np.array(scores)", "np.argsort(np.array(scores)", THREE_BEST
    ),
    Fault("saliencies of one epoch", LOG, "SALIENCY_EPOCHS = 3", "SALIENCY_EPOCHS = 1", THREE_BEST),
    Fault("saliencies joined by place", SALIENCIES, "matrix[positions])", "matrix[: len(positions)])", TARGETS),
    Fault("first instead of mean saliency", SALIENCIES, "np.mean(saliencies, axis=0)", "saliencies[0]", TARGETS),
    Fault(
        "saliency of the wrong label",
        SALIENCIES,
        "tf.gather(outputs.logits, labels,",
        "tf.gather(outputs.logits, 1 - labels,",
        THREE_BEST,
    ),
    Fault("saliency without the input", SALIENCIES, "tf.cast(gradient * embedded,", "tf.cast(gradient,", THREE_BEST),
)

RESULT_FAULTS = (
    Fault(
        "MRPC's labels reversed", TASKS, '("not_equivalent", "equivalent")', '("equivalent", "not_equivalent")', LABELS
    ),
    Fault("CoLA's labels reversed", TASKS, '("unacceptable", "acceptable")', '("acceptable", "unacceptable")', LABELS),
    Fault("SciTail's labels reversed", TASKS, '("neutral", "entails")', '("entails", "neutral")', LABELS),
    Fault(
        "RTE's and QNLI's labels reversed",
        TASKS,
        'ENTAILMENT = ("entailment", "not_entailment")',
        'ENTAILMENT = ("not_entailment", "entailment")',
        SUBMISSION,
    ),
    Fault(
        "GLUE label numbers for names",
        "tools/evaluation/glue_submission.py",
        'NAMED_LABELS = ("mnli", "ax", "qnli", "rte")',
        'NAMED_LABELS = ("mnli", "ax", "qnli")',
        SUBMISSION,
    ),
    Fault(
        "submission in the order of the batches",
        "tools/evaluation/glue_submission.py",
        "for position in np.argsort(row_ids)]",
        "for position in range(len(row_ids))[::-1]]",
        SUBMISSION,
    ),
    Fault(
        "macro for binary F1",
        "tools/evaluation/metrics.py",
        '"f1": f1_score,',
        '"f1": lambda a, b: f1_score(a, b, average="macro"),',
        METRICS,
    ),
    Fault(
        "Pearson for Spearman",
        "tools/evaluation/metrics.py",
        "spearmanr(labels, predictions)",
        "pearsonr(labels, predictions)",
        METRICS,
    ),
    Fault(
        "comprehensiveness and sufficiency swapped",
        SCORES,
        '"comprehensiveness": loss, "sufficiency": loss_alone',
        '"comprehensiveness": loss_alone, "sufficiency": loss',
        FAITHFULNESS,
    ),
    Fault("[CLS] and [SEP] erased", SCORES, "scored, all_chosen | is_special", "scored, all_chosen", FAITHFULNESS),
    Fault(
        "predictors left out of the FLOPs",
        FLOPS,
        '        "contribution predictors": _over_layers(predictor_flops(config, entered)),\n',
        "",
        EVALUATION,
    ),
    Fault(
        "predictors charged after the removal",
        FLOPS,
        "predictor_flops(config, entered)",
        "predictor_flops(config, ran_on)",
        FLOPS_TERMS,
    ),
    Fault(
        "last partial batch of evaluation skipped",
        "tools/runtime/batches.py",
        "examples.take(order).batches(batch_size)",
        "examples.take(order).batches(batch_size).take(len(order) // batch_size)",
        EVERY_EPOCH,
    ),
    Fault(
        "results in the order of their lengths",
        "tools/runtime/batches.py",
        "[results[position] for position in range(len(examples))]",
        "list(results.values())",
        ("tests/tools/runtime/test_batches.py::test_results_come_in_the_order_of_the_examples",),
    ),
    Fault(
        "predict.py skips its last partial batch",
        "models/text_predictor.py",
        "for start in range(0, len(texts), self.batch_size):",
        "for start in range(0, len(texts) - self.batch_size + 1, self.batch_size):",
        ("tests/run_files/test_inference.py::test_predict_answers_the_last_partial_batch_too",),
    ),
    Fault(
        "held-out rows trained on",
        "tools/data/rows.py",
        'return cut["train"], cut["test"]',
        'return rows, cut["test"]',
        HELD_OUT,
    ),
    Fault(
        "--HOLD_OUT ignored",
        "tools/runtime/run.py",
        "return hold_out(task, held_out_rows) if held_out_rows else task",
        "return task",
        HELD_OUT,
    ),
    Fault(
        "--AS_PUBLISHED_FLOPS as our own",
        "run_files/run_classification_evaluation.py",
        '["published_speedup"] = published_speedup(predictions)',
        '["published_speedup"] = results[split]["speedup"]',
        EVALUATION,
    ),
    Fault(
        "--MIXED_PRECISION ignored",
        "tools/runtime/devices.py",
        "    if mixed_precision:\n",
        "    if False:\n",
        (f"{FLAGS}::test_mixed_precision_computes_in_bfloat16_and_keeps_float32_weights",),
    ),
    Fault(
        "a model trained in bfloat16 is scored in it",
        STAGE_3_PROGRAM,
        'keras.mixed_precision.set_global_policy("float32")',
        "keras.mixed_precision.global_policy()",
        (f"{FLAGS}::test_a_model_that_was_trained_in_bfloat16_is_trimmed_and_scored_in_float32",),
    ),
    Fault(
        "a missing GPU passed over",
        "tools/runtime/devices.py",
        "int(index) < len(gpus)",
        "int(index) >= 0",
        (f"{FLAGS}::test_a_missing_gpu_is_refused",),
    ),
    Fault(
        "a summary takes the scores of other weights",
        SUMMARY,
        'scores.get("weights") != weights_checksum(model_path)',
        "False",
        TRIED,
    ),
    Fault("a summary mixes two evaluations", SUMMARY, "if not np.isclose(", "if None and not np.isclose(", TRIED),
    Fault(
        "a killed alternative is compared",
        "tools/benchmarks/contenders.py",
        'ours["exit"] != "finished"',
        "False",
        ("tests/tools/benchmarks/test_alternatives.py::test_an_alternative_that_was_trained_otherwise_is_left_out",),
    ),
)
TARGET_FAULTS = (
    Fault(
        "stage 3 at the rate of stage 1",
        STAGES,
        "RECIPE=(--EPOCHS 5 --LEARNING_RATE 1e-4",
        "RECIPE=(--EPOCHS 5 --LEARNING_RATE 5e-5",
        RECIPE,
    ),
    Fault(
        "the recipe starts stage 3 from the backbone",
        STAGES,
        "INITIAL=fine_tuned CHOOSE",
        "INITIAL=backbone CHOOSE",
        RECIPE,
    ),
    Fault(
        "an ablation that distils where it says not to",
        "run_files/ablation.sh",
        "train --NO_DISTILL --SAVE_NAME labels_only",
        "train --SAVE_NAME labels_only",
        ("tests/run_files/test_ablation.py::test_the_variants_share_stages_1_and_2_and_differ_in_stage_3",),
    ),
    Fault(
        "a user's --SAVE_NAME for all models of a search",
        STAGES,
        ' "${fixed[@]}")',
        ")",
        ("tests/run_files/test_search.py::test_a_search_trains_every_setting_and_scores_only_the_chosen_one",),
    ),
    Fault(
        "stopped runs compared with finished ones",
        "tools/results/variants.py",
        'return "trimmed" in tried',
        "return True",
        ("tests/tools/results/test_variants.py::test_stopped_runs_and_single_settings_are_left_out",),
    ),
    Fault("the task's target ignored", STAGES, '--TARGET_SPEEDUP "$TARGET"', "--TARGET_SPEEDUP 2", RECIPE),
    Fault(
        "the fine-tuned model scored in AdapLeR's place", STAGES, "adapler=${result%.h5}", "adapler=$fine_tuned", RECIPE
    ),
    Fault("fine-tuning clips in a published run", STAGES, "--CLIP_NORM 0)", "--CLIP_NORM 1)", PUBLISHED),
    Fault(
        "sign of the feedback",
        TARGET,
        "[(-move * tf.ones_like(eta), eta)]",
        "[(move * tf.ones_like(eta), eta)]",
        UPDATE,
    ),
    Fault(
        "ramp of the asked cost ignored", TARGET, "tf.minimum(self.step / (RAMP * self.steps), 1.0)", "1.0", ASKED_RATIO
    ),
    Fault("asked ratio inverted", TARGET, "(1.0 / self.speedup - 1.0)", "(self.speedup - 1.0)", ASKED_RATIO),
    Fault("penalty without gradient", TARGET, "soft + tf.stop_gradient(count - soft)", "soft + (count - soft)", COSTS),
    Fault("penalty of the soft lengths", TARGET, "soft + tf.stop_gradient(count - soft)", "soft", COSTS),
    Fault("pressure not integrated", TARGET, "self.pressure.assign_add(", "self.pressure.assign(", UPDATE),
    Fault("pressure grows without room", TARGET, " * error * has_room)", " * error)", UPDATE),
    Fault("running cost forgotten", TARGET, "keep * self.excess + ", "", UPDATE),
    Fault(
        "penalty relative to BERT, not to the asked cost",
        TARGET,
        "return self.pressure * (cost - self.ratio() * bert_cost)",
        "return self.pressure * (cost - bert_cost)",
        (f"{SPEED_TARGET}::test_the_penalty_is_the_pressure_times_the_excess_cost",),
    ),
    Fault(
        "half the rate of the thresholds",
        STAGE_3,
        "THRESHOLD_DISTANCE * 2 / steps",
        "THRESHOLD_DISTANCE / steps",
        TARGET_RATES,
    ),
    Fault("distillation weight 0", STAGE_3, "DISTILLATION if arguments.distills else 0.0", "0.0", TARGET_RATES),
    Fault(
        "predictors' rate of a target ignored",
        STAGE_3,
        "predictor_rate or TARGET_PREDICTOR_RATE",
        "predictor_rate",
        TARGET_RATES,
    ),
    Fault(
        "bound of the target not checked",
        STAGE_3,
        "if speedup >= bound:",
        "if False:",
        (f"{ADAPLER}::test_an_unreachable_target_is_refused_with_the_bound",),
    ),
    Fault("worst epoch near the target chosen", CALLBACKS, "return max(near,", "return min(near,", NEAR_TARGET),
    Fault("furthest epoch chosen", CALLBACKS, "min(history, key=distance)", "max(history, key=distance)", NEAR_TARGET),
    Fault("bisection the wrong way", TRIM, "if reached < target else", "if reached > target else", TRIMMING),
    Fault("trimmed thresholds not stored", TRIM, "    encoder.eta.assign(encoder.thresholds(scale))\n", "", TRIMMING),
    Fault(
        "target's state left out of the backup",
        BACKUP,
        'optimizers["speed_target"] = speed_target',
        "pass",
        RESUMED_TARGET,
    ),
    Fault(
        "a target's epoch chosen as published",
        STAGE_3_PROGRAM,
        "if target is None else best_near_target(metric, target)",
        "",
        TARGET_RUN,
    ),
    Fault(
        "last epoch trimmed",
        STAGE_3_PROGRAM,
        "load_weights(model, files.chosen)",
        "load_weights(model, files.last)",
        TARGET_RUN,
    ),
    Fault(
        "teacher of the second best epoch",
        SALIENCIES,
        "teacher_logits=logits[0]",
        "teacher_logits=logits[1]",
        (f"{WIRING}::test_a_run_with_a_target_learns_from_the_best_fine_tuned_epoch",),
    ),
)
FAULTS = (*METHOD_FAULTS, *TRAINING_FAULTS, *RESULT_FAULTS, *TARGET_FAULTS)
