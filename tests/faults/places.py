"""Files of the sources, and tests, that the faults name."""

from __future__ import annotations

REMOVAL, STEP, ENCODER = "models/length_reduction.py", "models/training_step.py", "models/adapler_encoder.py"
PACKING, LOSSES, FLOPS = "models/packing.py", "models/losses.py", "tools/flops/formulas.py"
STAGE_1, STAGE_3 = "run_files/run_classification_bert.py", "tools/training/adapler.py"
OBJECTIVE = "models/objective.py"
TASKS, CALLBACKS, FIT = "tools/data/tasks.py", "tools/training/callbacks.py", "tools/training/fit.py"
SALIENCIES, LOG = "tools/explanations/saliencies.py", "tools/runtime/fine_tuning_log.py"
SCORES = "tools/explanations/token_scores.py"
TARGET, TRIM, BACKUP = "models/speed_target.py", "tools/evaluation/trim_speed.py", "tools/training/backup.py"
STAGE_3_PROGRAM, STAGE_3_END = "run_files/run_classification_w_lr.py", "tools/training/target.py"
STAGES, SUMMARY = "run_files/stages.sh", "tools/evaluation/run_summary.py"

FINE_TUNING = "tests/run_files/wiring/test_fine_tuning.py"
ADAPLER_STEPS = "tests/run_files/wiring/test_adapler.py"
TARGET_AND_SCORES = "tests/run_files/wiring/test_target_and_scores.py"
FLAGS, ORACLE = "tests/run_files/test_stage_flags.py", "tests/models/test_oracle.py"
TRIED = ("tests/run_files/test_pipeline.py::test_a_summary_lists_every_model_that_was_tried",)
STEPS_1 = (f"{FINE_TUNING}::test_fine_tuning_takes_the_steps_of_the_method",)
STEPS_3 = (f"{ADAPLER_STEPS}::test_the_predictors_have_a_rate_of_their_own",)
ALL_STEPS_3 = (f"{ADAPLER_STEPS}::test_adapler_takes_the_steps_of_the_method",)
EPSILON = (f"{ADAPLER_STEPS}::test_adam_has_the_epsilons_of_the_method",)
DROPOUT = (f"{ADAPLER_STEPS}::test_dropout_of_attention_is_off_in_stage_3_only",)
ORDER = (f"{ADAPLER_STEPS}::test_every_epoch_visits_the_rows_in_the_order_of_the_seed[fine_tuned]",)
SIMILAR_LENGTH = ("tests/tools/data/test_examples.py::test_batches_of_similar_length",)
GROUPED = (f"{FLAGS}::test_batches_of_similar_length_differ_between_epochs",)
EVERY_EPOCH = (f"{FINE_TUNING}::test_the_weights_of_every_epoch_are_kept_and_scored_on_all_of_dev",)
THREE_BEST = (f"{FINE_TUNING}::test_saliencies_come_from_the_three_best_epochs",)
TARGETS = (f"{ADAPLER_STEPS}::test_the_targets_are_the_mean_saliencies_of_three_epochs_by_row",)
START = (f"{ADAPLER_STEPS}::test_adapler_starts_from_the_given_weights_and_eta",)
CHOICE = (f"{ADAPLER_STEPS}::test_the_chosen_epoch_is_the_fastest_of_those_that_are_allowed",)
MICRO_BATCHES = (f"{FINE_TUNING}::test_micro_batches_and_no_clipping",)
EVALUATION = (f"{TARGET_AND_SCORES}::test_evaluation_counts_every_example_and_all_flops",)
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
CORRECTED = ("tests/tools/training/test_fit.py::test_dev_over_training_examples_corrects_a_settled_target",)
SAMPLE = ("tests/tools/training/test_fit.py::test_a_target_is_corrected_by_training_examples_in_the_seeds_order",)
CORRECTION = (f"{SPEED_TARGET}::test_a_corrected_target_holds_for_dev",)
COSTS = (f"{SPEED_TARGET}::test_costs_are_those_of_hard_lengths_and_have_the_gradient_of_soft_ones",)
TARGET_RATES = (f"{ADAPLER}::test_rates_of_a_target_follow_from_the_number_of_steps",)
NEAR_TARGET = (f"{ADAPLER}::test_the_best_epoch_near_the_target_is_chosen_or_else_the_nearest",)
TRIMMING = ("tests/tools/evaluation/test_trim_speed.py::test_trimming_scales_all_thresholds_to_the_target",)
TARGET_RUN = (f"{TARGET_AND_SCORES}::test_a_run_with_a_target_keeps_the_best_epoch_near_it_and_trims_it",)
RESUMED_TARGET = ("tests/tools/training/test_fit.py::test_an_interrupted_run_ends_as_one_that_was_not",)
SEVERAL = "tests/tools/results/test_several_runs_of_a_task.py"
BAD_INPUT = "tests/tools/runtime/test_bad_input.py"
SUBMISSION = (f"{FLAGS}::test_a_submission_has_the_servers_labels",)
RECIPE_FIRST = (
    "tests/tools/results/test_variants.py"
    "::test_the_recipe_comes_first_and_the_others_are_compared_with_it_on_the_same_seeds"
)
