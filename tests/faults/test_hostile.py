"""Hostile files, answers and conditions: what was tried, what holds, and the tests that show it.

The table stands in docs/reliability.md. ``YOYAK_REWRITE=1`` writes it there from this file, and so
does ``make faults``; each test that it names must exist.
"""

import os
from pathlib import Path
from typing import NamedTuple

from faults.test_matrix import located, places

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
HEADING = "## Hostile inputs"


class Kind(NamedTuple):
    tried: str
    holds: str
    tests: tuple[str, ...]


HOSTILE = (
    Kind(
        "between scoring and submitting: test.csv or dev.csv replaced under the same ids, decoding "
        "changed, predictions or the score edited by hand, a worker killed after dev",
        "a candidate is bound to the hashes of data, decoding, weights and answers; what is stale "
        "is refused with the reason",
        ("test_answers_to_a_replaced_test_file_are_refused",
         "test_a_name_of_other_data_is_refused_with_what_differs",
         "test_another_decoding_of_dev_does_not_go_out_with_the_old_test_answers",
         "test_an_edited_file_is_refused_and_named",
         "test_an_edited_import_is_refused",
         "test_a_replaced_test_file_is_answered_anew_and_nothing_else_is_done_again"),
    ),
    Kind(
        "two well-formed files swapped between runs",
        "the recorded hash tells them apart: the report names the file and leaves it out, compare "
        "and export refuse it",
        ("test_a_file_that_another_run_wrote_is_refused_and_named",
         "test_a_file_that_another_run_wrote_is_named_and_its_content_is_not_shown"),
    ),
    Kind(
        "export onto a file, a run, the data or the workspace",
        "nothing that export did not create is overwritten",
        ("test_nothing_that_is_there_already_is_overwritten",
         "test_a_run_is_not_taken_for_an_earlier_export",
         "test_an_export_stays_out_of_workspace_and_data"),
    ),
    Kind(
        "four submits at once, a copied submission folder, a deleted one",
        "one answer is written once; a number is never used again; a copy breaks nothing",
        ("test_four_at_once_write_one_answer_once",
         "test_a_copied_folder_is_no_submission_and_breaks_nothing",
         "test_a_number_in_the_ledger_is_never_used_again"),
    ),
    Kind(
        "two data sets with the same ids in one workspace, scores of unlike protocols",
        "scores live in groups of one protocol and one dev split; no table, chart, rank, pair or "
        "example mixes two",
        ("test_two_data_sets_with_the_same_ids_are_never_shown_or_ranked_together",
         "test_scores_on_two_bases_never_stand_in_one_table_or_chart",
         "test_scores_on_other_data_or_protocols_make_no_group_and_so_no_comparison",
         "test_a_score_under_another_protocol_is_never_ranked_with_the_others",
         "test_answers_to_other_data_are_not_put_beside_these_dialogues",
         "test_runs_on_other_dialogues_with_the_same_references_are_not_compared",
         "test_each_data_set_has_its_own_run_and_its_own_submission",
         "test_status_keeps_scores_on_other_data_in_tables_of_their_own",
         "test_submissions_scored_on_other_references_stand_in_tables_of_their_own",
         "test_answers_from_elsewhere_are_compared_with_the_runs_on_their_data"),
    ),
    Kind(
        "systems of known difference, simulated",
        "better, worse and as good as are wrong no more often than stated",
        ("test_the_rates_of_error_are_those_that_are_promised",
         "test_many_comparisons_raise_the_bar"),
    ),
    Kind(
        "one answer for every row, a score below the constant sentence, matches in tags only, "
        "shifted rows",
        "the alarm stands at the top of the page, at the end of run, and in compare, import, "
        "score, submit, Markdown and JSON, in both languages",
        ("test_the_alarms_of_a_run_are_in_every_view",
         "test_one_answer_for_every_row_is_an_alarm_wherever_it_is_looked_at",
         "test_alarms_are_the_first_section_after_the_figures_that_name_them",
         "test_the_same_answer_everywhere_is_an_error",
         "test_shifted_rows_are_caught_by_the_unrelated_floor"),
    ),
    Kind(
        "data in which nobody speaks, copies between splits, conflicting or missing summaries, "
        "broken or foreign text, one summary for all, swapped columns, cells cut by Excel",
        "check, run and the report name it; a split that contradicts the others stops training "
        "unless it is allowed by name",
        ("test_a_split_that_contradicts_the_others_stops_training",
         "test_what_all_splits_have_is_told_and_stops_nothing",
         "test_cells_cut_by_excel_are_told",
         "test_broken_text_is_recognised",
         "test_what_the_audit_finds_in_the_data_is_in_every_view_of_the_run"),
    ),
    Kind(
        "decomposed Hangul, answers in another language or `?` for every syllable, lists, bytes "
        "and quotes around answers, odd blanks, perfect answers, exchanged arguments",
        "text is composed wherever it is read; everything else is an alarm with its rows",
        ("test_decomposed_hangul_is_composed_and_the_file_remembers_it",
         "test_answers_that_are_not_korean_are_an_error",
         "test_wrapped_answers_are_noticed",
         "test_a_perfect_score_is_an_error_and_a_partly_perfect_one_a_warning",
         "test_exchanged_files_are_noticed_by_their_faults_or_their_dialogues"),
    ),
    Kind(
        "ids that differ by blanks, case, width, invisible characters, Cyrillic letters or dashes",
        "they are named as such and printed visibly; lists end after ten",
        ("test_ids_that_look_the_same_are_told_apart",
         "test_ids_that_only_look_the_same_are_named_in_the_alarm",
         "test_what_looks_the_same_is_written_differently",
         "test_a_list_of_ids_ends_after_ten"),
    ),
    Kind(
        "answers with deleted tags, cut endings, foreign script or repetition",
        "the submission is refused, or shown where dev was as bad",
        ("test_a_planted_fault_refuses_the_file",
         "test_a_file_with_its_tags_deleted_is_refused",
         "test_what_was_as_bad_on_dev_is_shown_and_not_refused",
         "test_no_bytes_break_the_gate"),
    ),
    Kind(
        "Excel, HWP, Word, pictures, ZIP, gzip, Git LFS pointers, web pages, FIFOs and devices in "
        "place of data",
        "one sentence says what the file is, and the next command",
        ("test_what_is_no_text_is_named_with_the_next_command",
         "test_every_verb_names_a_file_for_what_it_is",
         "test_a_device_is_not_read",
         "test_an_import_from_a_pipe_records_what_was_read"),
    ),
    Kind(
        "JSON in every usual form, NIKL, AI Hub, SAMSum and DialogSum files, declared columns",
        "they are read, train a toy and reach a submission; errors name file and row",
        ("test_records_are_the_same_however_they_are_written",
         "test_every_published_format_trains_a_toy",
         "test_an_error_names_file_row_and_line"),
    ),
    Kind(
        "settings that are not finite, of another shape, misspelt, 1,500 recipes that extend each "
        "other, recipes in cp949 or UTF-16, Korean recipe names",
        "exit 78 with the place before any run is created; a readable name runs",
        ("test_a_number_that_json_cannot_hold_is_refused",
         "test_a_value_of_another_shape_is_refused_with_its_place",
         "test_a_chain_of_extends_has_an_end",
         "test_another_encoding_is_named_with_its_remedy",
         "test_a_recipe_of_a_korean_name_runs",
         "test_a_wrong_recipe_beside_a_right_one_leaves_nothing"),
    ),
    Kind(
        "events of a newer version, absurd times, a NaN dev loss, a flipped bit in a format "
        "number, a folder in the place of a record",
        "newer is skipped and counted or refused in one sentence, and told from damage",
        ("test_events_of_a_newer_version_are_skipped_counted_and_named",
         "test_a_newer_record_is_refused_in_one_sentence",
         "test_a_folder_in_the_place_of_a_record_is_named_in_one_sentence",
         "test_a_time_that_no_calendar_shows_is_a_damaged_line",
         "test_a_flipped_bit_of_the_format_number_is_damage_and_not_a_newer_version",
         "test_a_dev_loss_that_is_not_a_number_is_recorded_and_read"),
    ),
    Kind(
        "folders whose names are not UTF-8, terminals in other encodings, escape codes and "
        "direction marks in ids, names and answers",
        "refused before anything is written, or made harmless",
        ("test_a_folder_whose_name_is_not_utf_8_is_refused_before_anything_is_written",
         "test_output_in_any_encoding_ends_in_no_traceback",
         "test_recorded_text_is_neither_markup_nor_a_command_to_the_terminal",
         "test_names_of_folders_and_processes_cannot_write_on_the_terminal",
         "test_formulas_in_tables_for_people_are_disarmed"),
    ),
    Kind(
        "Ctrl-C at any stage, a worker that cannot run its handler, a second signal",
        "a finished run is finished; anything else is saved and goes on",
        ("test_ctrl_c_while_the_last_stage_works_ends_as_the_finished_run_that_it_is",
         "test_ctrl_c_saves_everything_and_the_same_command_goes_on",
         "test_a_worker_that_cannot_handle_signals_is_killed_after_the_second"),
    ),
    Kind(
        "several GPUs, CUDA_VISIBLE_DEVICES by index or UUID",
        "each run is measured on its own GPU",
        ("test_each_run_records_the_memory_of_its_own_gpu",
         "test_a_worker_s_own_gpu_is_measured_by_index_or_uuid",
         "test_two_runs_work_at_once_on_a_gpu_each"),
    ),
    Kind(
        "tokens of many services, in JSON, addresses and beside Hangul; texts of a megabyte",
        "hidden in every byte that is written, in linear time",
        ("test_a_secret_is_hidden_by_its_shape_wherever_it_stands",
         "test_a_secret_variable_is_hidden_in_json_and_in_addresses",
         "test_a_long_text_of_anything_is_redacted_in_linear_time",
         "test_what_a_library_prints_and_raises_is_redacted_everywhere"),
    ),
    Kind(
        "programs in .git/config, a user's statistics.py, code or pickles that come with a base, "
        "chat templates that loop",
        "none of it runs; a loop is stopped",
        ("test_neither_provenance_nor_a_backup_with_a_push_runs_any_of_it",
         "test_a_users_file_with_the_name_of_a_library_is_not_imported",
         "test_code_that_comes_with_a_base_is_never_run",
         "test_pickled_weights_are_taken_when_they_are_asked_for",
         "test_a_loop_is_stopped_by_its_steps_or_its_size"),
    ),
    Kind(
        "other hosts, paths out of the workspace, foreign forms, on the local server",
        "refused; records are given out and nothing else",
        ("test_other_hosts_are_refused",
         "test_records_are_given_out_and_nothing_else",
         "test_another_sites_request_is_refused"),
    ),
    Kind(
        "bases that are missing, half downloaded, adapters only, of another class or too large",
        "check, plan and run ask one function and say the same before anything starts",
        ("test_what_no_run_can_use_is_refused_by_all_in_the_same_words",
         "test_a_folder_that_no_run_can_use_is_one_sentence_with_a_next_command",
         "test_a_model_that_cannot_fit_is_refused_with_its_parts"),
    ),
)  # fmt: skip


def hostile_lines() -> list[str]:
    """The section of the page, line by line."""
    lines = [HEADING, "", "| What was tried | What holds | Shown by |", "|---|---|---|"]
    for kind in HOSTILE:
        shown = "<br>".join(f"`{located(test)}`" for test in kind.tests)
        lines.append(f"| {kind.tried} | {kind.holds} | {shown} |")
    return lines


def test_every_kind_names_tests_that_exist():
    named = {test for kind in HOSTILE for test in kind.tests}
    assert {test: places()[test] for test in named if len(places()[test]) != 1} == {}
    assert all(kind.tests for kind in HOSTILE)


def test_the_page_has_the_table_as_it_stands_here():
    before, heading, section = PAGE.read_text("utf-8").partition(HEADING)
    wanted = "\n".join(hostile_lines()) + "\n"
    if os.environ.get("YOYAK_REWRITE"):
        PAGE.write_text(f"{before.rstrip()}\n\n{wanted}", encoding="utf-8")
    assert heading + section == wanted or os.environ.get("YOYAK_REWRITE")
