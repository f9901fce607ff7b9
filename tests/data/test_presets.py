"""``contest.toml`` as it is started: its text is the contest that was checked."""

import pytest

from yoyak.data.contest import Columns, Contest, SplitFiles, read_contest
from yoyak.data.presets import PRESETS, detect_preset, starter_contest
from yoyak.messages import LANGUAGES, speaking

NAMED = ["지수: 안녕\n민호: 응"]
TAGGED = ["#Person1#: 안녕\n#Person2#: 응"]


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize(
    ("files", "columns"),
    [
        (SplitFiles(), None),
        (SplitFiles(dev='a "b"\\c.csv'), Columns()),
        (
            SplitFiles(train="학습.csv"),
            Columns(id="번호", summary=("요약", "요약 2")),
        ),
    ],
)
def test_the_text_reads_back_as_the_contest(lang, preset, files, columns, tmp_path):
    with speaking(lang):
        starter = starter_contest(preset, files, columns, TAGGED)
    (tmp_path / "contest.toml").write_text(starter.text, encoding="utf-8")
    assert read_contest(tmp_path) == starter.contest
    assert starter.contest.files == files
    assert starter.contest.columns == columns


def test_presets_set_their_rules():
    made = {name: starter_contest(name, SplitFiles(), None, NAMED).contest for name in PRESETS}
    assert made["contest"].uploads_per_day == 12
    assert made["contest"].tag_speakers_in_summaries
    assert made["dialogsum"].tag_speakers_in_summaries
    assert made["nikl"] == Contest(forbid_test_in_training=True)
    assert made["aihub"] == made["own"] == Contest()
    assert not starter_contest(
        "contest", SplitFiles(), None, TAGGED
    ).contest.tag_speakers_in_summaries


def test_a_preset_is_recognised():
    assert detect_preset("AI Hub", [], has_sample=False) == "aihub"
    assert detect_preset("NIKL", [], has_sample=True) == "nikl"
    assert detect_preset(None, TAGGED, has_sample=True) == "contest"
    assert detect_preset(None, TAGGED, has_sample=False) == "dialogsum"
    assert detect_preset(None, NAMED, has_sample=False) == "dialogsum"
    assert detect_preset(None, ["안녕"], has_sample=False) == "own"
