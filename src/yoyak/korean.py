"""Choose Korean particles by the final consonant of the word before them: 책을, 종이를, 길로."""

_HANGUL_START, _HANGUL_END = "가", "힣"
_FINALS = 28
"""Finals of a syllable block, none included: ``(code - start) % 28`` is the final's index."""
_RIEUL = 8

_DIGITS = dict(zip("0123456789", "영일이삼사오육칠팔구", strict=True))
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
_LATIN = {"l": "일", "m": "음", "n": "은"}
"""Latin letters after which a particle follows a consonant; after the others, a vowel."""

_PAIRS = (
    ("은", "는"), ("이", "가"), ("을", "를"), ("과", "와"), ("아", "야"), ("으로", "로"),
    ("이에요", "예요"), ("이었", "였"),
)  # fmt: skip
_FORMS = {form: pair for pair in _PAIRS for form in pair}


def particle(word: str, form: str) -> str:
    """Return ``form`` of a particle, or its other form where ``word`` asks for that one.

    ``form`` is either form of a pair (은/는, 이/가, 을/를, 과/와, 아/야, 으로/로, 이에요/예요,
    이었/였), or the long form of one that only drops its 이 (이랑, 이나, 이라고, 이고 …). Numbers
    and tags such as ``#Person1#`` count as they are read; ㄹ takes 로.

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
    readable = [character for character in word if character.isalnum()]
    if not readable:
        return 0
    if word.endswith("#"):
        tag = word.rstrip("#").rpartition("#")[2]
        readable = list(_TAGS.get(tag, tag))
    last = readable[-1].lower()
    last = _DIGITS.get(last) or _LATIN.get(last) or last
    if not _HANGUL_START <= last <= _HANGUL_END:
        return 0
    return (ord(last) - ord(_HANGUL_START)) % _FINALS
