"""The folder of an output: whose it is, and what happens to what stands there already."""

import msgspec
import pytest

from yoyak.data.dialogue_stream import DialoguePart
from yoyak.errors import BadData, CannotWrite, Interrupted
from yoyak.prediction.output import (
    BatchJob,
    ShardRecord,
    ShardTotals,
    SummaryRow,
    open_output,
)
from yoyak.values import Dialogue, StopReason, Turn

JOB = BatchJob(run="r", model={"weights": "w"}, columns={}, file_format="csv", shard_rows=2)


def part(first_row, *texts):
    turns = [(Turn(speaker="#Person1#", text=text),) for text in texts]
    rows = [Dialogue(id=f"d{n}", turns=each) for n, each in enumerate(turns, first_row)]
    return DialoguePart(first_row, tuple(rows))


def fill(output, number, rows):
    record = ShardRecord(
        first_row=rows.first_row,
        rows=len(rows.dialogues),
        input_sha256=rows.sha256,
        flags={},
        stops={StopReason.COPIED: len(rows.dialogues)},
        seconds=1.5,
    )
    found = [
        SummaryRow(id=one.id, summary=one.text, stop=StopReason.COPIED, tokens=None, flags=())
        for one in rows.dialogues
    ]
    output.write_shard(number, record, found)
    return record


def finished(folder):
    with open_output(folder, JOB) as output:
        totals = ShardTotals()
        totals.add(fill(output, 1, part(1, "가", "나")))
        totals.add(fill(output, 2, part(3, "다")))
        return output.finish(totals)


def test_the_joined_file_has_every_shard_in_order(tmp_path):
    result = finished(tmp_path / "out")
    assert (tmp_path / "out/predictions.csv").read_text("utf-8") == (
        "id,summary,stop,tokens,flags\n"
        "d1,#Person1#: 가,copied,,\nd2,#Person1#: 나,copied,,\nd3,#Person1#: 다,copied,,\n"
    )
    assert (result.rows, result.seconds, result.stops) == (3, 3.0, {StopReason.COPIED: 3})
    with open_output(tmp_path / "out", JOB) as output:
        assert output.result() == result


def test_a_shard_is_known_again_by_its_rows(tmp_path):
    rows = part(1, "가", "나")
    with open_output(tmp_path / "out", JOB) as output:
        record = fill(output, 1, rows)
    with open_output(tmp_path / "out", JOB) as output:
        assert output.shard(1, rows) == record
        assert output.shard(2, part(3, "다")) is None
        with pytest.raises(BadData, match="rows 1 to 2"):
            output.shard(1, part(1, "가", "라"))


def test_an_output_without_a_shard_is_bound_to_nothing(tmp_path):
    with open_output(tmp_path / "out", JOB):
        pass
    other = msgspec.structs.replace(JOB, run="other", model={"weights": "v"})
    with open_output(tmp_path / "out", other) as output:
        fill(output, 1, part(1, "가", "나"))
    with pytest.raises(BadData, match=r"begun with other, .* in: run, weights"):
        open_output(tmp_path / "out", JOB).__enter__()


def test_two_processes_do_not_write_one_output(tmp_path):
    with open_output(tmp_path / "out", JOB), pytest.raises(Interrupted, match="another process"):
        open_output(tmp_path / "out", JOB).__enter__()
    with open_output(tmp_path / "out", JOB):
        pass


def test_what_is_not_an_output_is_left_alone(tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.docx").write_bytes(b"")
    (tmp_path / "file").write_bytes(b"")
    for name in ("full", "file"):
        with pytest.raises(CannotWrite, match="so nothing is written there"):
            open_output(tmp_path / name, JOB).__enter__()
    (tmp_path / "full" / "job.json").write_text('{"steps": ["theirs"]}')
    with pytest.raises(BadData, match="cannot be read"):
        open_output(tmp_path / "full", JOB).__enter__()
    assert (tmp_path / "full" / "job.json").read_text() == '{"steps": ["theirs"]}'
    (tmp_path / "full" / "job.json").unlink()
    (tmp_path / "empty").mkdir()
    with open_output(tmp_path / "empty", JOB):
        pass
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["thesis.docx"]


@pytest.mark.parametrize("change", ["edited", "removed"])
def test_an_edited_output_is_not_called_done(tmp_path, change):
    finished(tmp_path / "out")
    path = tmp_path / "out/predictions.csv"
    path.write_text("mine") if change == "edited" else path.unlink()
    with open_output(tmp_path / "out", JOB) as output, pytest.raises(BadData, match="was edited"):
        output.result()


def test_an_output_of_a_newer_version_is_refused(tmp_path):
    finished(tmp_path / "out")
    path = tmp_path / "out/job.json"
    path.write_bytes(msgspec.json.encode(msgspec.structs.replace(JOB, format=2)))
    with pytest.raises(BadData, match="a newer version wrote it"):
        open_output(tmp_path / "out", JOB).__enter__()
    path.write_bytes(b"{")
    with pytest.raises(BadData, match="cannot be read"):
        open_output(tmp_path / "out", JOB).__enter__()
