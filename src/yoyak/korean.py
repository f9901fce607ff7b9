"""Korean spelling: particles by the final consonant (책을, 길로), search by initials (초성)."""

import re
import unicodedata

_HANGUL_START, _HANGUL_END = "가", "힣"
_FINALS = 28
"""Finals of a syllable block, none included: ``(code - start) % 28`` is the final's index."""
_RIEUL = 8
_INITIALS = "ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎ"
"""Initial consonants in the order of Unicode's syllable blocks (standard, chapter 3.12)."""
_BLOCK = 21 * _FINALS
"""Syllables that share an initial."""

_DIGITS = dict(zip("0123456789%", "영일이삼사오육칠팔구트", strict=True))
"""Digits and the percent sign (퍼센트) by their last syllable as read."""
_TAGS = {
    "PhoneNumber": "버",
    "Address": "스",
    "DateOfBirth": "스",
    "PassportNumber": "버",
    "SSN": "엔",
    "CardNumber": "버",
    "CarNumber": "버",
    "Email": "일",
}
"""The last syllable of a tag as it is read aloud; ``#Person3#`` is read by its digit."""
_LETTERS = {"l": "엘", "m": "엠", "n": "엔", "r": "알"}
"""Latin letters whose names end in a consonant: ROUGE-L, HTML, URL."""
_LOANWORDS = (
    (re.compile(r"le?$"), "일"),  # model 모델, file 파일, table 테이블
    (re.compile(r"(?:[mn]|ng|[aeiou][mn]e)$"), "은"),  # train 트레인, line 라인
    (re.compile(r"(?:^|[^aeiou])[aeiou][bckpt]$"), "읍"),  # git 깃, format 포맷; not bart 바트
)
"""Endings of Latin words that are read with a final consonant, and a syllable that has it."""

_PAIRS = (
    ("은", "는"), ("이", "가"), ("을", "를"), ("과", "와"), ("아", "야"), ("으로", "로"),
    ("이에요", "예요"), ("이었", "였"),
)  # fmt: skip
_FORMS = {form: pair for pair in _PAIRS for form in pair}


def particle(word: str, form: str) -> str:
    """Return ``form`` of a particle, or its other form where ``word`` asks for that one.

    ``form`` is either form of a pair (은/는, 이/가, 을/를, 과/와, 아/야, 으로/로, 이에요/예요,
    이었/였), or the long form of one that only drops its 이 (이랑, 이나, 이라고, 이고 …). Numbers,
    tags such as ``#Person1#`` and Latin words count as they are read; ㄹ takes 로.

    Raises:
        KeyError: no particle has this form.
    """
    final = _final(word)
    if form in _FORMS:
        after_consonant, after_vowel = _FORMS[form]
        if after_consonant == "으로" and final == _RIEUL:
            return after_vowel
        return after_consonant if final else after_vowel
    if len(form) < 2 or form[0] != "이":
        raise KeyError(form)
    return form if final else form[1:]


def with_particle(word: str, form: str) -> str:
    """Return ``word`` followed by the particle, in the form that ``particle`` chooses."""
    return word + particle(word, form)


def _final(word: str) -> int:
    """Return the index of the final consonant of ``word``'s last syllable as read, 0 for none."""
    readable = [character for character in word if character.isalnum() or character == "%"]
    if not readable:
        return 0
    last = readable[-1].lower()
    last = _DIGITS.get(last) or last
    tag = word.rstrip("#").rpartition("#")[2]
    if word.endswith("#") and tag in _TAGS:
        last = _TAGS[tag][-1]
    elif latin := re.search(r"([A-Za-z]+)[^\w%]*$", word):
        last = _last_syllable(latin[1].lower()) or last
    if not _HANGUL_START <= last <= _HANGUL_END:
        return 0
    return (ord(last) - ord(_HANGUL_START)) % _FINALS


def _last_syllable(latin: str) -> str | None:
    """Return a syllable that ends as a Latin word or abbreviation is read; ``None``: in a vowel."""
    if len(latin) == 1 or not re.search("[aeiou]", latin):  # spelled out
        return _LETTERS.get(latin[-1])
    return next((syllable for ending, syllable in _LOANWORDS if ending.search(latin)), None)


def search_patterns(query: str) -> tuple[re.Pattern[str], ...]:
    """Return a pattern for each word of ``query``; a text in NFC matches where all are found.

    Case is ignored. A lone initial consonant stands for every syllable that begins with it (ㅅㅁㅈ
    finds 소매점).
    """
    words = unicodedata.normalize("NFC", query).split()
    return tuple(re.compile("".join(map(_letter_pattern, word)), re.IGNORECASE) for word in words)


def _letter_pattern(letter: str) -> str:
    place = _INITIALS.find(letter)
    if place < 0:
        return re.escape(letter)
    first = ord(_HANGUL_START) + place * _BLOCK
    return f"[{letter}{chr(first)}-{chr(first + _BLOCK - 1)}]"
