"""The fault matrix: what can go wrong, what is expected, and the tests that show it.

The short version holds that every test named here exists; the long one runs them all and writes
the results to docs/reliability.md.
"""

import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections import defaultdict
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]


class Row(NamedTuple):
    fault: str
    expected: str
    tests: tuple[str, ...] = ()
    why_not: str = ""


MATRIX = {
    1: Row(
        "kill −9 at a random moment of training",
        "the same command goes on; no step beyond the last checkpoint is lost; the same bits",
        ("test_random_kills_change_no_bit",
         "test_a_killed_line_up_ends_as_if_nothing_had_happened"),
    ),
    2: Row(
        "kill −9 inside a save, at every write, fsync and rename",
        "the old folder or the new one, never a torn one under its name",
        ("test_a_kill_at_any_step_leaves_the_old_folder_or_the_new_one",
         "test_a_kill_at_any_step_of_a_first_write_leaves_a_whole_folder_or_none",
         "test_a_crash_at_any_moment_changes_nothing"),
    ),
    3: Row(
        "kill −9 while something is removed or a record is written",
        "a removal goes on later; the old record or the new one",
        ("test_a_removal_that_was_cut_off_goes_on_later",
         "test_a_kill_at_any_step_leaves_the_old_file_or_the_new_one",
         "test_a_kill_at_any_step_of_an_append_leaves_whole_lines",
         "test_a_kill_at_any_step_of_a_creation_leaves_a_whole_run_or_none"),
    ),
    4: Row(
        "SIGTERM", "a checkpoint at the next step, exit 75",
        ("test_a_signal_to_the_parent_ends_both_with_everything_saved",
         "test_stops_on_request_with_everything_saved"),
    ),
    5: Row(
        "SIGINT, SIGHUP, a second signal, a killed parent",
        "as SIGTERM; the second one at once; no orphan",
        ("test_the_first_signal_asks_and_the_second_does_not",
         "test_a_worker_whose_parent_was_killed_saves_and_ends_by_itself",
         "test_a_worker_whose_parent_is_already_gone_stops_at_its_first_step"),
    ),
    6: Row(
        "the disk fills up", "exit 74; no torn checkpoint; exact once there is room again",
        ("test_a_disk_that_is_too_small_at_any_size_loses_nothing",
         "test_a_full_file_system_leaves_old_or_new_at_every_size",
         "test_a_full_disk_stops_the_line_up_with_everything_saved",
         "test_room_is_made_before_anybody_is_stopped"),
    ),
    7: Row(
        "inodes or quota run out", "as a full disk",
        ("test_a_file_system_without_room_for_one_more_name_loses_nothing",),
    ),
    8: Row(
        "a folder that may not be written", "exit 73 before any work, the path named",
        ("test_a_folder_that_may_not_be_written_says_so",
         "test_a_file_where_a_folder_should_be_says_so"),
    ),
    9: Row(
        "out of memory in a step", "smaller passes of the same batch, each an event",
        ("test_out_of_memory_repeats_the_step_in_smaller_passes",
         "test_a_row_that_fits_nowhere_is_named",
         "test_a_run_without_memory_gets_smaller_passes_of_the_same_batch",
         "test_every_rung_keeps_the_batch_and_divides_it"),
    ),
    10: Row(
        "the kernel kills the worker", "resumed, three times, then left for later",
        ("test_a_worker_that_is_always_killed_is_left_for_later_after_three_times",
         "test_four_runs_end_with_three_usable_ones_and_one_honest_failure"),
    ),
    11: Row(
        "memory of one model is not freed for the next", "one process a run, seen off at its end",
        ("test_an_error_of_the_display_ends_no_worker_unsaved_and_orphans_none",
         "test_one_card_has_one_run_at_a_time"),
    ),
    12: Row(
        "loss or gradient that is not a number",
        "left out; after three back to the last good checkpoint at half the rate, once; then 70",
        ("test_one_bad_step_is_left_out",
         "test_three_in_a_row_go_back_once_at_half_the_rate",
         "test_a_run_that_diverges_twice_fails_by_name"),
    ),
    13: Row(
        "a spike of the loss", "pointed out, not stopped",
        ("test_a_spike_is_pointed_out",),
    ),
    14: Row(
        "a flipped bit", "100 of 100 caught; the checkpoint before is taken",
        ("test_a_hundred_flipped_bits_are_all_caught",
         "test_a_damaged_checkpoint_is_set_aside"),
    ),
    15: Row(
        "a file cut short", "20 of 20 caught",
        ("test_twenty_truncations_are_all_caught",
         "test_a_garbled_answer_is_given_again",
         "test_a_torn_scorecard_is_judged_again"),
    ),
    16: Row(
        "every checkpoint damaged", "set aside and named, none deleted; a fresh start",
        ("test_a_damaged_checkpoint_is_set_aside",
         "test_a_torn_checkpoint_does_not_count_as_one_of_the_two"),
    ),
    17: Row(
        "a pickle planted in a checkpoint", "never opened",
        ("test_a_pickle_in_a_checkpoint_is_never_opened",
         "test_nothing_in_the_package_can_open_one"),
    ),
    18: Row(
        "recipe or data changed between start and resume", "refused with the difference",
        ("test_another_recipe_is_not_gone_on_with_and_the_difference_is_shown",
         "test_data_that_are_no_longer_the_same_are_refused",
         "test_other_data_redo_what_was_made_of_them"),
    ),
    19: Row(
        "kill −9 during generation or while the submission is written",
        "every answer once and the same; old or whole new submission",
        ("test_kills_during_generation_change_no_answer",
         "test_many_kills_during_generation_leave_the_same_file",
         "test_a_killed_writer_leaves_only_whole_submissions"),
    ),
    20: Row(
        "an input file cut short", "exit 65 with its row",
        ("test_a_file_cut_at_any_byte_is_refused_or_gives_whole_first_rows",),
    ),
    21: Row(
        "ids double, missing, foreign or in another order", "exit 65 with the rows",
        ("test_what_breaks_the_contract_is_named",
         "test_ids_must_be_the_samples"),
    ),
    22: Row(
        "cp949, UTF-16, a byte order mark", "recognised and named; the mark is accepted",
        ("test_another_encoding_is_recognised",
         "test_damaged_utf8_is_not_called_cp949"),
    ),
    23: Row(
        "empty dialogues, NA and null as words", "named; the words stay words",
        ("test_na_and_null_stay_text",
         "test_what_breaks_the_contract_is_named"),
    ),
    24: Row(
        "a dialogue of 100,000 characters", "read, shortened as text, counted",
        ("test_a_very_long_cell_is_read",
         "test_a_long_dialogue_loses_words_never_its_header"),
    ),
    25: Row(
        "NUL, lone surrogates, control codes", "no crash; refused or made harmless",
        ("test_a_damaged_file_is_named_with_its_row",
         "test_no_bytes_break_the_gate",
         "test_control_codes_and_direction_marks_are_gone"),
    ),
    26: Row(
        "a model that says nothing, its prompt, or another script",
        "eight answers are looked at before the rest is begun",
        ("test_a_fault_on_all_eight_ends_a_run_meant_for_quality",),
    ),
    27: Row(
        "the clock jumps", "order by number, durations from a clock that does not",
        ("test_runs_are_in_order_whatever_the_clock_did",),
    ),
    28: Row(
        "two commands start the same run", "one works, the other exits 75 naming pid and host",
        ("test_races_have_one_winner_each",
         "test_of_many_starters_one_wins_and_the_others_name_it",
         "test_of_many_starters_one_creates_the_run"),
    ),
    29: Row(
        "a lock left by a dead host on a network file system", "",
        why_not="needs two machines and a network file system; on one machine the kernel lets go",
    ),
    30: Row(
        "a tracker that is dead or missing", "training does not know of it; it is fed later",
        ("test_a_failing_mirror_and_a_failing_backup_change_nothing_in_the_run",
         "test_a_mirror_that_hangs_is_not_waited_for_at_the_exit",
         "test_a_tracker_that_dies_is_shown_once_and_the_log_knows_nothing",
         "test_a_mirror_that_is_killed_leaves_no_note_and_the_next_sends_everything",
         "test_every_step_is_sent_once_over_two_attempts_and_three_mirrors"),
    ),
    31: Row(
        "the hub cannot be reached", "a cached base works, any other is told before the run",
        ("test_a_base_is_here_or_can_be_fetched_or_neither",
         "test_the_hub_is_asked_for_two_seconds_at_most"),
    ),
    32: Row(
        "a download that was cut off", "the hub's client goes on with it",
        why_not="the hub's own client does this; without a hub it cannot be shown here",
    ),
    33: Row(
        "a log that is torn or garbled", "read up to there, gaps counted",
        ("test_a_log_cut_at_any_byte_tells_exactly_what_came_before",
         "test_a_garbled_line_is_counted_and_hides_no_other"),
    ),
    34: Row(
        "a loss of power", "what was committed had been forced to the disk before",
        ("test_what_is_committed_survives_a_loss_of_power",),
    ),
    35: Row(
        "a worker that hangs", "told slow from stuck; all its stacks in worker.log",
        ("test_a_silent_worker_is_asked_where_it_stands_though_the_parent_writes",
         "test_moods"),
    ),
    36: Row(
        "secrets in environment, command line, recipe and errors", "in no byte that is written",
        ("test_a_failure_leaves_a_record_and_no_secret_in_any_file",
         "test_only_allowed_variables_are_written_and_no_secret_of_the_command",
         "test_one_mistake_and_nothing_is_written",
         "test_a_secret_is_hidden_by_its_shape_wherever_it_stands"),
    ),
    37: Row(
        "a plan that cannot fit", "refused with the arithmetic and what would fit",
        ("test_ten_epochs_of_the_3b_in_forty_minutes_is_a_contradiction",
         "test_forty_gigabytes_for_three_pending_bases_is_a_contradiction"),
    ),
}  # fmt: skip


@cache
def places() -> dict[str, list[str]]:
    """The files, below tests/, that define each test."""
    found = defaultdict(list)
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for name in re.findall(r"^def (test_\w+)\(", path.read_text("utf-8"), re.MULTILINE):
            found[name].append(path.relative_to(ROOT / "tests").as_posix())
    return found


def located(name):
    """``file::name`` of a test that exactly one file defines."""
    (file,) = places()[name]
    return f"{file}::{name}"


def test_every_row_names_tests_that_exist_or_says_why_not():
    nameless = [number for number, row in MATRIX.items() if bool(row.tests) == bool(row.why_not)]
    assert nameless == []
    named = {test for row in MATRIX.values() for test in row.tests}
    assert {test: places()[test] for test in named if len(places()[test]) != 1} == {}


def test_the_written_page_has_every_row_and_names_no_test_that_is_gone():
    whole = (ROOT / "docs" / "reliability.md").read_text("utf-8")
    page = whole.partition("## Hostile inputs")[0]
    rows = re.findall(r"^\| (\d+) \| ([^|]+) \|", page, re.MULTILINE)
    assert [(int(number), fault) for number, fault in rows] == [
        (number, row.fault) for number, row in MATRIX.items()
    ]
    named = re.findall(r"`([^`\s]+::\w+)`", page)
    if named != [located(test) for row in MATRIX.values() for test in row.tests]:
        pytest.skip("the page is older than the matrix, and only a run may write it: make faults")


@pytest.mark.process
@pytest.mark.timeout(3600)
def test_the_whole_matrix(long, note, tmp_path):
    if not long:
        pytest.skip("each fault has tests of its own; make faults runs all of them here")
    record = tmp_path / "record.xml"
    shown = {located(test) for row in MATRIX.values() for test in row.tests}
    elsewhere = sorted(test for test in shown if not test.startswith("faults/"))
    subprocess.run(
        [sys.executable, "-m", "pytest", "-q", f"--junitxml={record}",
         *(f"tests/{test}" for test in elsewhere)],
        cwd=ROOT, check=False, capture_output=True,
    )  # fmt: skip
    results = {}
    for case in ET.parse(record).iter("testcase"):
        place = case.get("classname", "").replace(".", "/").removeprefix("tests/")
        name = case.get("name", "").partition("[")[0]
        bad = case.find("failure") is not None or case.find("error") is not None
        state = "failed" if bad else "skipped" if case.find("skipped") is not None else "passed"
        results.setdefault(f"{place}.py::{name}", []).append(state)
    note("matrix", results)
    note(
        "rows",
        {
            number: (
                row.fault,
                row.expected or row.why_not,
                tuple(located(test) for test in row.tests),
            )
            for number, row in MATRIX.items()
        },
    )
    failed = [test for test in elsewhere if "failed" in results.get(test, ["failed"])]
    assert failed == []
