import pytest
from hypothesis import given
from hypothesis import strategies as st

from yoyak.engine.tokenization.script_filter import FOREIGN_TEXT, foreign_script_ids

pytestmark = pytest.mark.torch

FORMS = ("bart", "qwen3")


def scripts(*ranges):
    return st.one_of(*(st.characters(min_codepoint=a, max_codepoint=b) for a, b in ranges))


FOREIGN = scripts(
    (0x3041, 0x3096), (0x30A1, 0x30FA), (0x4E00, 0x9FFF), (0x400, 0x4FF), (0x20000, 0x2A6DF)
)  # fmt: skip


@pytest.fixture(scope="module")
def banned(tokenizers):
    return {form: frozenset(foreign_script_ids(tokenizers[form].token_bytes())) for form in FORMS}


@given(character=FOREIGN)
def test_no_sequence_of_allowed_ids_writes_a_foreign_character(tokenizers, banned, character):
    """Over bytes: what is left of the character once banned ids are out never completes it."""
    tokenizer = tokenizers["qwen3"]
    ids = tokenizer.encode_answer(character)
    left = b"".join(tokenizer.token_bytes()[i] for i in ids if i not in banned["qwen3"])
    assert banned["qwen3"].intersection(ids)
    assert not FOREIGN_TEXT.search(left.decode(errors="ignore"))


@pytest.mark.parametrize("form", FORMS)
@given(text=st.text(st.one_of(scripts((0x20, 0x7E), (0xAC00, 0xD7A3), (0xA1, 0x24F)))))
def test_latin_hangul_and_tags_are_untouched(tokenizers, banned, form, text):
    ids = tokenizers[form].encode_answer(f"#Person1# {text} #PhoneNumber#")
    assert not banned[form].intersection(ids)


def test_bytes_of_tokens_join_to_the_text(tokenizers, dialogues):
    for form in FORMS:
        tokenizer = tokenizers[form]
        written = tokenizer.token_bytes()
        for dialogue in dialogues[:5]:
            ids = tokenizer.encode_answer(dialogue.references[0])
            assert b"".join(written[i] for i in ids).decode().strip() == dialogue.references[0]


@pytest.mark.parametrize(
    ("token", "foreign"),
    [
        ("한".encode(), False), ("ㅋ".encode(), False), (b"#Person", False), ("é".encode(), False),
        ("「".encode(), False), ("…".encode(), False),
        ("🙂".encode(), False), ("！".encode(), False),
        ("漢".encode(), True), ("の".encode(), True), ("ｱ".encode(), True), ("д".encode(), True),
        ("豈".encode(), True), ("\U00020000".encode(), True), ("龍".encode()[:2], True),
        (b"\xe3", True), (b" \xe6", True), (b"\xe3\x81", True), (b"\xed\x95", False),
        (b"\x81", False),
    ],
)  # fmt: skip
def test_bytes_decide(token, foreign):
    assert bool(foreign_script_ids([token])) == foreign
    assert foreign_script_ids([token], keep=frozenset({0})) == ()
