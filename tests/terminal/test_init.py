"""What ``yoyak init`` shows of the data that it found."""

import io

from support.corpora import write_corpus
from yoyak.data.corpus import read_corpus
from yoyak.messages import LANGUAGES, speaking
from yoyak.terminal.init import example, found_splits
from yoyak.terminal.render import show


def test_it_shows_the_rows_and_a_dialogue_line_by_line(tmp_path):
    corpus = read_corpus(write_corpus(tmp_path, "samsum"))
    first = corpus.train.dialogues[0]
    theirs = {"id": "id", "dialogue": "dialogue", "summary": "summary"}
    for language in LANGUAGES:
        out = io.StringIO()
        with speaking(language):
            show(found_splits(corpus, dict.fromkeys(("train", "dev", "test"), "x.json")), out)
            show(example(first, theirs, "x.json"), out)
        shown = out.getvalue()
        assert "train" in shown
        assert "12" in shown
        assert first.id in shown
        for turn in first.turns[:3]:
            assert f"{turn.speaker}: {turn.text[:10]}" in shown
