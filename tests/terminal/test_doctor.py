"""Every line of the check says by a sign and a word how it went, and what to type next."""

import pytest

from yoyak import messages
from yoyak.system.doctor import CheckLine, CheckStatus
from yoyak.terminal import doctor

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
    ("language", "words"),
    [
        ("en", ("✓ ok", "! warning", "✗ not ready")),
        ("ko", ("✓ 준비됨", "! 주의", "✗ 안 됨")),
    ],
)
@pytest.mark.parametrize("width", [80, 120])
def test_each_line_has_sign_word_name_and_finding(drawn, columns_of, language, words, width):
    with messages.speaking(language):
        shown = drawn(doctor.draw(LINES), width).splitlines()
    starts = set()
    for line, word in zip(LINES, words, strict=True):
        (found,) = (one for one in shown if one.startswith(word))
        assert found.removeprefix(word).split(maxsplit=1)[0] == line.name
        starts.add(columns_of(found[: found.index(line.found)]))
    assert len(starts) == 1, "findings begin in one column, whatever the language of the words"


def test_the_next_command_stands_whole_below_its_finding(drawn):
    shown = drawn(doctor.draw(LINES)).splitlines()
    assert sum("→" in one for one in shown) == 2, "nothing is to be done about what is ready"
    for line in LINES[1:]:
        at = next(place for place, one in enumerate(shown) if line.found in one)
        assert shown[at + 1].strip() == f"→ {line.next_step}"
        assert shown[at + 1].index("→") == shown[at].index(line.found)


def test_a_long_finding_folds_in_its_own_column(drawn):
    folder = "data/사용자/" + "긴이름" * 30
    one = CheckLine(name="workspace", status=CheckStatus.BAD, found=folder, next_step="yoyak prune")
    shown = drawn(doctor.draw([LINES[0], one])).splitlines()
    start = shown[0].index("Python")
    found = "".join(line[start:].strip() for line in shown[1:] if "→" not in line)
    assert found.endswith(folder)
    assert all(not line[:start].strip() for line in shown[2:])


def test_names_of_folders_and_processes_cannot_write_on_the_terminal(drawn):
    bad = "\x1b[2J[bold]x[/bold]\r\u202e"
    one = CheckLine(name="data", status=CheckStatus.BAD, found=bad, next_step=bad)
    shown = drawn(doctor.draw([one]))
    assert shown.count("[2J[bold]x[/bold]") == 2
    assert not {"\x1b", "\r", "\u202e"} & set(shown)
