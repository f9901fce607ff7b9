"""What the machine lacks, and what runs will take: unknown is a dash and no zero."""

import pytest

from yoyak import messages
from yoyak.planning.disk_estimate import DiskStep
from yoyak.planning.gpu_catalogue import GpuSpec
from yoyak.planning.memory_estimate import ForwardPass, MemoryEstimate
from yoyak.planning.plan import Plan, RecipePlan
from yoyak.planning.time_estimate import TimeEstimate
from yoyak.planning.workload import Workload
from yoyak.system.doctor import CheckLine, CheckStatus
from yoyak.system.prune import PruneCandidate, PruneKind
from yoyak.terminal import system

NOON = 1_767_225_600.0  # 2026-01-01 00:00:00 UTC
WORK = Workload(
    rows=12457, rows_shortened=31, tokens_per_epoch=2_000_000, supervised_per_epoch=500_000,
    longest_row=1500, answer_tokens_p99=90, steps_per_epoch=100, steps=250, generated_rows=998,
)  # fmt: skip
MEMORY = MemoryEstimate(
    weights_gb=4.0, learned_gb=2.0, activations_gb=3.0, head_gb=1.0, reserve_gb=1.5
)
GPU = GpuSpec(name="RTX 3090", memory_gb=25.8, tflops=71.0)


def known(**changes):
    usual = {
        "recipe": "kobart", "work": WORK, "forward_pass": ForwardPass(8192, 900, "off"),
        "training": MEMORY, "generation": MemoryEstimate(weights_gb=4.0, learned_gb=0.0,
                                                         activations_gb=2.0, reserve_gb=1.0),
        "training_time": TimeEstimate(low_seconds=1200, high_seconds=2400, flops=3.2e18),
        "generation_time": TimeEstimate(low_seconds=300, high_seconds=600),
        "download_gb": 0.52,
    } | changes  # fmt: skip
    return RecipePlan(**usual)


@pytest.fixture
def shown(drawn):
    """Draw a plan of recipes; its tables as lists of cells, by the first word of their title."""

    def draw(*recipes, disk=(), gpu=GPU, width=120):
        return drawn(system.plan(Plan(recipes=recipes, disk=disk, gpu=gpu), now=NOON), width)

    return draw


def cells(shown, name, title):
    """The cells of a recipe's row below a title; cells are apart by blanks."""
    _, _, below = shown.partition(title)
    return next(line.split() for line in below.splitlines() if line.startswith(name))


def test_the_figures_of_a_run_are_counted_and_times_are_in_minutes(shown):
    said = shown(known())
    # 2 M tokens an epoch, 2.5 epochs; (1200 + 300) s to (2400 + 600) s.
    assert cells(said, "kobart", "What each run takes") == [
        "kobart", "12,457", "31", "5.00", "250", "8,192", "25–50", "0.5",
    ]  # fmt: skip


def test_memory_stands_part_by_part_and_the_sum_has_five_per_cent_more(shown):
    said = shown(known())
    assert "GPU memory, GB (RTX 3090 25.8)" in said
    # (4 + 2 + 3 + 1) × 1.05 + 1.5; generation: (4 + 2) × 1.05 + 1
    assert cells(said, "kobart", "GPU memory") == [
        "kobart", "4.0", "2.0", "3.0", "1.0", "1.5", "12.0", "7.3",
    ]  # fmt: skip


def test_a_recipe_of_unknown_shape_has_dashes_and_no_zero(shown):
    said = shown(RecipePlan(recipe="own-model"), gpu=None)
    assert cells(said, "own-model", "What each run takes") == ["own-model", *"–––––––"]
    assert "GPU memory" not in said
    assert "Expected to finish" not in said


def test_only_what_is_not_known_is_a_dash(shown):
    said = shown(known(training_time=None, generation_time=None, forward_pass=None, training=None))
    assert cells(said, "kobart", "What each run takes") == [
        "kobart", "12,457", "31", "5.00", "250", "–", "–", "0.5",
    ]  # fmt: skip
    assert cells(said, "kobart", "GPU memory") == ["kobart", *"––––––", "7.3"]


def test_the_end_is_promised_only_when_every_run_can_be_estimated(shown):
    assert "Expected to finish" in shown(known())
    assert "Expected to finish" not in shown(known(), known(recipe="big", training_time=None))


def test_short_runs_keep_a_decimal(shown):
    one = known(
        training_time=TimeEstimate(low_seconds=30, high_seconds=60),
        generation_time=TimeEstimate(low_seconds=6, high_seconds=12),
    )
    assert "0.6–1.2" in cells(shown(one), "kobart", "What each run takes")


@pytest.mark.parametrize(
    ("recompute", "mark", "why"),
    [
        ("off", "8,192 ", None),
        ("selective", "8,192 ½", "half of the activations are recomputed"),
        ("on", "8,192 ×2", "all activations are recomputed"),
    ],
)
def test_recomputation_is_marked_and_its_mark_explained(shown, recompute, mark, why):
    said = shown(known(forward_pass=ForwardPass(8192, 900, recompute)))
    assert mark in said
    assert ("recomputed" in said) == (why is not None)
    assert why is None or why in said


def test_it_says_where_the_minutes_come_from(shown):
    measured = TimeEstimate(low_seconds=60, high_seconds=90, measured=True)
    guessed = shown(known())
    assert "kobart: 3,200 PFLOP of training at 25–55 % of 71 TFLOP/s" in guessed
    assert "kobart: generation measured" not in guessed
    said = shown(known(training_time=measured, generation_time=measured))
    assert "kobart: training measured" in said
    assert "kobart: generation measured" in said
    assert "PFLOP" not in said


def test_the_disk_is_told_step_by_step_with_signs(shown):
    disk = (
        DiskStep(recipe="kobart", what="download", change_gb=0.52, total_gb=0.52),
        DiskStep(recipe="kobart", what="purge-checkpoints", change_gb=-0.25, total_gb=0.27),
    )
    lines = shown(known(), disk=disk).partition("How the disk fills")[2].splitlines()
    assert [line.split() for line in lines if line.startswith("kobart")] == [
        ["kobart", "base", "model", "download", "+0.52", "0.52"],
        ["kobart", "old", "checkpoints", "removed", "−0.25", "0.27"],
    ]


@pytest.mark.parametrize("language", messages.LANGUAGES)
@pytest.mark.parametrize("width", [80, 120])
def test_the_tables_fit_and_no_figure_is_cut(shown, columns_of, language, width):
    names = ("kobart", "한국어-요약기", "llama32-ko-3b")
    with messages.speaking(language):
        said = shown(*(known(recipe=name) for name in names), width=width)
    assert all(columns_of(line.rstrip()) <= width for line in said.splitlines())
    for name in names:
        rows = [line.split() for line in said.splitlines() if line.startswith(f"{name} ")]
        assert [row[1:] for row in rows] == [
            ["12,457", "31", "5.00", "250", "8,192", "25–50", "0.5"],
            ["4.0", "2.0", "3.0", "1.0", "1.5", "12.0", "7.3"],
        ]


def test_what_prune_would_remove_is_in_order_with_sizes_and_whole_paths(drawn):
    path = "workspace/runs/260101-0900-kobart-aaaa/" + "긴폴더" * 20
    found = (
        PruneCandidate(path="workspace/.trash", kind=PruneKind.TRASH, size_bytes=1_500_000),
        PruneCandidate(path=path, kind=PruneKind.CHECKPOINT, size_bytes=2_000_000_000, run="x"),
    )
    said = drawn(system.prunable(found))
    trash, checkpoint = said.index("leftovers"), said.index("checkpoint ")
    assert trash < checkpoint
    assert said[trash:].split()[1:3] == ["0.002", "workspace/.trash"]
    assert said[checkpoint:].split()[1] == "2.000"
    assert path in "".join(said[checkpoint:].split())


LINES = (
    CheckLine(name="python", status=CheckStatus.OK, found="Python 3.12.1"),
    CheckLine(
        name="fonts", status=CheckStatus.WARN, found="no Korean font found",
        next_step="apt-get install fonts-noto-cjk",
    ),
    CheckLine(
        name="data", status=CheckStatus.BAD, found="data/train.csv is not there",
        next_step="yoyak check --data FOLDER",
    ),
)  # fmt: skip


@pytest.mark.parametrize(
    ("language", "words", "names"),
    [
        ("en", ("✔ ok", "◆ warning", "✖ not ready"), ("python", "fonts", "data")),
        ("ko", ("✔ 준비됨", "◆ 주의", "✖ 안 됨"), ("Python", "글꼴", "데이터")),
    ],
)
@pytest.mark.parametrize("width", [80, 120])
def test_each_line_has_sign_word_name_and_finding(drawn, columns_of, language, words, names, width):
    with messages.speaking(language):
        shown = drawn(system.checks(LINES), width).splitlines()
    starts = set()
    for line, word, name in zip(LINES, words, names, strict=True):
        (found,) = (one for one in shown if one.startswith(word))
        assert found.removeprefix(word).split(maxsplit=1)[0] == name
        starts.add(columns_of(found[: found.index(line.found)]))
    assert len(starts) == 1, "findings begin in one column, whatever the language of the words"


def test_the_next_command_stands_whole_below_its_finding(drawn):
    shown = drawn(system.checks(LINES)).splitlines()
    assert sum("→" in one for one in shown) == 2, "nothing is to be done about what is ready"
    for line in LINES[1:]:
        at = next(place for place, one in enumerate(shown) if line.found in one)
        assert shown[at + 1].strip() == f"→ {line.next_step}"
        assert shown[at + 1].index("→") == shown[at].index(line.found)


def test_a_long_finding_folds_in_its_own_column(drawn):
    folder = "data/사용자/" + "긴이름" * 30
    one = CheckLine(name="workspace", status=CheckStatus.BAD, found=folder, next_step="yoyak prune")
    shown = drawn(system.checks([LINES[0], one])).splitlines()
    start = shown[0].index("Python")
    found = "".join(line[start:].strip() for line in shown[1:] if "→" not in line)
    assert found.endswith(folder)
    assert all(not line[:start].strip() for line in shown[2:])


def test_names_of_folders_and_processes_cannot_write_on_the_terminal(drawn):
    bad = "\x1b[2J[bold]x[/bold]\r\u202e"
    one = CheckLine(name="data", status=CheckStatus.BAD, found=bad, next_step=bad)
    shown = drawn(system.checks([one]))
    assert shown.count("[2J[bold]x[/bold]") == 2
    assert not {"\x1b", "\r", "\u202e"} & set(shown)
