"""The newest events of all runs as lines."""

from yoyak.config import load
from yoyak.terminal.event_lines import LINES, EventLines


def test_the_last_things_that_happened_are_read_as_they_come(workspace, corpus, make):
    run = workspace.find_or_create(load.resolve("tiny-bart").recipe, corpus, lambda: b"{}")
    lines = EventLines(workspace)
    assert lines.read() == []
    toy = make.toy_run().events
    for event in toy[:-2]:
        run.emit(event)
    before = lines.read()
    assert not any("dev ROUGE mean 18.33" in line for line in before)
    assert all(line[2] == ":" for line in before), "each begins with its time of day"
    for event in toy[-2:]:
        run.emit(event)
    after = lines.read()
    assert list(after[: len(before)]) == list(before)
    assert "dev ROUGE mean 18.33" in after[-2]
    assert "finished in" in after[-1]


def test_only_the_newest_are_kept(workspace, corpus, make):
    run = workspace.find_or_create(load.resolve("lead").recipe, corpus, lambda: b"{}")
    started = make.lead_run().events[1]
    for _ in range(LINES + 5):
        run.emit(started)
    assert len(EventLines(workspace).read()) == LINES
