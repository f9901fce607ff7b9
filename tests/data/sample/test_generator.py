"""The generated sample is correct Korean in the contest's format, the same everywhere."""

import hashlib
import re
from collections import Counter
from itertools import combinations

import pytest

from yoyak.data.audit import audit
from yoyak.data.corpus import read_corpus
from yoyak.data.near_duplicates import letters_of
from yoyak.data.rows import read_rows
from yoyak.data.sample import generator
from yoyak.errors import CannotWrite
from yoyak.korean import particle

DIGEST = "f547dbca63026c6319e261e715bff3d9dd25faadfc0e2362ab1d1cb3d2338a28"
GRAMMARS = generator.grammars()
ENDINGS = [
    pytest.param(grammar, ending, id=f"{name}-{number}")
    for name, grammar in GRAMMARS.items()
    for number, ending in enumerate(grammar.endings)
]
PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
SLOT = re.compile(r"([A-D]|[a-z]+\d?)(?:\.(\d))?(?::([가-힣]+))?")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield generator.generated_folder()


@pytest.fixture(scope="module")
def corpus(folder):
    return read_corpus(folder)


@pytest.fixture(scope="module")
def rows():
    return generator.generate({"train": 300, "dev": 200, "test": 200}, seed=7)


def slots(text):
    return {SLOT.fullmatch(found)[1] for found in PLACEHOLDER.findall(text)}


def said_in_any_case(turns):
    """Slots that occur whichever alternatives are chosen."""
    return set().union(*(set.intersection(*map(slots, alternatives)) for alternatives in turns))


def test_the_same_rows_on_every_python_version_and_machine(rows):
    text = repr([rows["train"][:40], rows["dev"][:40]])
    assert hashlib.sha256(text.encode()).hexdigest() == DIGEST


@pytest.mark.parametrize(("grammar", "ending"), ENDINGS)
def test_a_summary_says_nothing_that_the_dialogue_may_leave_out(grammar, ending):
    turns = (*grammar.opening, *ending.turns)
    speakers = set().union(
        *({text[0] for text in alternatives} for alternatives in turns if all(alternatives))
    )
    known = said_in_any_case(turns) | speakers
    for summary in ending.summaries:
        assert slots(summary) <= known


@pytest.mark.parametrize("name", GRAMMARS)
def test_every_placeholder_has_a_value_and_a_particle_that_exists(name):
    grammar = GRAMMARS[name]
    turns = [*grammar.opening, *(turn for ending in grammar.endings for turn in ending.turns)]
    texts = [text for turn in turns for text in turn]
    assert all(re.match(r"[A-D]: \S", text) for text in texts if text)
    texts += [text for ending in grammar.endings for text in ending.summaries]
    for found in (match for text in texts for match in PLACEHOLDER.findall(text)):
        slot, field, form = SLOT.fullmatch(found).groups()
        if form:
            particle("말", form)
        if not slot.isupper():
            for value in grammar.slots[slot.rstrip("23")]:
                assert isinstance(value, str) == (field is None), found
                assert field is None or value[int(field) - 1]


def test_particles_after_tags_are_right(corpus):
    """Tags, which are read aloud: 일, 삼, 육 and 메일 end in a consonant, 이, 사, 오 do not."""
    closed_first = re.compile(r"(#Person[136]#|#Email#)(는|가|를|와)(?![가-힣])")
    open_first = re.compile(r"(#Person[245]#|#PhoneNumber#|#Address#)(은|이|을|과)(?![가-힣])")
    texts = [text for row in corpus.dev.dialogues for text in (row.text, *row.references)]
    texts += [row.references[0] for row in corpus.train.dialogues]
    for pattern in (closed_first, open_first):
        assert [text for text in texts if pattern.search(text)] == []


def test_some_conversations_are_new_in_dev(rows):
    seen = {split: {row.grammar for row in found} for split, found in rows.items()}
    assert len(seen["train"]) >= 28
    assert seen["dev"] - seen["train"] == {name for name in GRAMMARS if GRAMMARS[name].held_out}
    assert seen["test"] == seen["dev"] == set(GRAMMARS)


def test_no_two_dialogues_have_more_than_80_percent_of_their_letters_in_common(rows):
    from rapidfuzz.distance.Indel import normalized_similarity

    texts = [row.dialogue for split in rows.values() for row in split]
    letters = [letters_of(re.sub(r"\\n|<br>", " ", text)) for text in texts]
    pairs = combinations(letters, 2)
    assert max(normalized_similarity(*pair, score_cutoff=0.7) for pair in pairs) <= 0.8


def test_no_values_of_one_conversation_are_in_two_splits(rows):
    summaries = {split: {row.summaries for row in found} for split, found in rows.items()}
    for one, other in combinations(summaries.values(), 2):
        assert len(one & other) < 0.2 * min(len(one), len(other))


def test_the_files_keep_the_contract(corpus, folder):
    counts = {split.name: len(split.dialogues) for split in (corpus.train, corpus.dev, corpus.test)}
    assert counts == generator.ROWS
    assert all(len(set(row.references)) == 3 for row in corpus.dev.dialogues)
    assert all(row.topic for row in corpus.train.dialogues)
    assert corpus.sample_submission.startswith(",fname,summary\n0,test_0,")
    assert audit(corpus).findings == ()
    assert set(corpus.train.cleaned) >= {
        "literal-newline", "html-break", "blanks", "speaker-inside-line", "speaker-separator"
    }  # fmt: skip


def test_speakers_and_turns_vary(corpus):
    rows = (*corpus.train.dialogues, *corpus.dev.dialogues)
    assert {len(row.speakers) for row in rows} == {2, 3, 4}
    turns = Counter(len(row.turns) for row in rows)
    assert (min(turns), max(turns)) == (3, 9)


def test_the_written_rows_are_a_second_dev_set(folder):
    table = read_rows(folder / "dev2.csv")
    assert table.columns == ("fname", "dialogue", "summary", "topic", "summary2", "summary3")
    assert len(table.rows) == 120
    assert sum(bool(row.cells["summary3"]) for row in table.rows) == 12


def test_the_cache_is_written_once_and_again_when_it_was_harmed(folder, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder.parents[1]))
    before = (folder / "dev.csv").stat().st_mtime_ns
    assert generator.generated_folder() == folder
    assert (folder / "dev.csv").stat().st_mtime_ns == before
    (folder / "dev.csv").write_text("fname,dialogue,summary\n", encoding="utf-8")
    assert generator.generated_folder() == folder
    assert len(read_rows(folder / "dev.csv").rows) == generator.ROWS["dev"]


@pytest.mark.parametrize("below", ["/proc/nowhere", "file"])
def test_a_cache_that_cannot_exist_is_named_with_the_variable_that_sets_it(
    tmp_path, monkeypatch, below
):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / below))
    with pytest.raises(CannotWrite, match=r"XDG_CACHE_HOME") as found:
        generator.generated_folder()
    assert below in str(found.value)
