"""Particles follow the final consonant, also after digits, tags and Latin letters."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yoyak.korean import particle, search_patterns, with_particle


@pytest.mark.parametrize(
    ("word", "form", "whole"),
    [
        ("책", "을", "책을"),
        ("종이", "을", "종이를"),
        ("종이", "를", "종이를"),
        ("책", "를", "책을"),
        ("길", "으로", "길로"),
        ("집", "로", "집으로"),
        ("바다", "으로", "바다로"),
        ("수빈", "이랑", "수빈이랑"),
        ("민수", "이랑", "민수랑"),
        ("민수", "아", "민수야"),
        ("12만 원", "이에요", "12만 원이에요"),
        ("저녁 6시", "이에요", "저녁 6시예요"),
        ("#Person1#", "는", "#Person1#은"),
        ("#Person2#", "은", "#Person2#는"),
        ("#Person3#", "와", "#Person3#과"),
        ("#Person1#", "으로", "#Person1#로"),
        ("#Person3#", "으로", "#Person3#으로"),
        ("#Email#", "으로", "#Email#로"),
        ("#Email#", "를", "#Email#을"),
        ("#Address#", "으로", "#Address#로"),
        ("#SSN#", "는", "#SSN#은"),
        ("20", "이", "20이"),
        ("GPU 2", "가", "GPU 2가"),
        ("run.json", "을", "run.json을"),
        ("koBART", "을", "koBART를"),
        ("tiny-bart*", "은", "tiny-bart*는"),
        ("lead", "으로", "lead로"),
        ("train", "로", "train으로"),
        ("model", "으로", "model로"),
        ("format", "는", "format은"),
        ("qwen25-7b", "은", "qwen25-7b는"),
        ("ROUGE-L", "를", "ROUGE-L을"),
        ("submission.csv", "을", "submission.csv를"),
        ("report.html", "으로", "report.html로"),
        ("GPU", "을", "GPU를"),
        ("VRAM", "를", "VRAM을"),
        ("27.01", "를", "27.01을"),
        ("70.8%", "이", "70.8%가"),
        ("100 %", "을", "100 %를"),
        ("'책'", "을", "'책'을"),
        ("", "을", "를"),
    ],
)
def test_particles_follow_the_sound(word, form, whole):
    assert with_particle(word, form) == whole


@given(st.characters(min_codepoint=ord("가"), max_codepoint=ord("힣")))
def test_any_syllable_agrees_with_its_decomposition(syllable):
    letters = unicodedata.normalize("NFD", syllable)
    assert particle(syllable, "을") == ("을" if len(letters) == 3 else "를")
    closed_but_rieul = len(letters) == 3 and letters[2] != "\u11af"
    assert particle(syllable, "로") == ("으로" if closed_but_rieul else "로")


@pytest.mark.parametrize("form", ["에서", "", "하"])
def test_what_is_no_such_particle_is_an_error(form):
    with pytest.raises(KeyError):
        particle("책", form)


@pytest.mark.parametrize(
    ("query", "text", "is_found"),
    [
        ("ㅅㅁㅈ", "어제 소매점에 갔다", True),
        ("소ㅁ점", "어제 소매점에 갔다", True),
        ("ㅆ", "쓰레기", True),
        ("ㅅ", "쓰레기", False),
        ("ㄱㄴ", "까나리", False),
        ("ㅋㅋ", "웃겨 ㅋㅋ", True),
        ("ㅋㅋ", "코끼리와 크큭", True),
        ("person1 ㄱㄷ", "Person1\n가다", True),
        ("ㄱㄷ person1", "Person1\n그리고 가다", True),
        ("person1 ㄱㄷ", "Person1", False),
        (unicodedata.normalize("NFD", "소매점"), "소매점", True),
        ("a.b", "a.b", True),
        ("a.b", "axb", False),
        ("", "anything", True),
    ],
)
def test_search_finds_initials_and_letters(query, text, is_found):
    assert all(one.search(text) for one in search_patterns(query)) is is_found


@given(st.text(st.characters(min_codepoint=0xAC00, max_codepoint=0xD7A3), min_size=1, max_size=8))
def test_the_initials_of_a_word_find_it(word):
    # The oracle: canonical decomposition (NFD) begins each syllable with its conjoining initial,
    # in the order of the blocks; none of another initial is found.
    compatibility = "ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎ"
    places = [ord(unicodedata.normalize("NFD", syllable)[0]) - 0x1100 for syllable in word]
    initials = "".join(compatibility[place] for place in places)
    (found,) = search_patterns(initials)
    assert found.fullmatch(word)
    other = compatibility[(places[0] + 1) % 19] + initials[1:]
    (missed,) = search_patterns(other)
    assert not missed.fullmatch(word)
