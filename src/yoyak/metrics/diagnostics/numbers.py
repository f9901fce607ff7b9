"""The ways a number can be written in Korean, to find it in a dialogue that spells it out."""

from functools import lru_cache

_DIGITS = ("", "일", "이", "삼", "사", "오", "육", "칠", "팔", "구")
_NATIVE = (
    ("한", "하나", "첫"), ("두", "둘"), ("세", "셋", "석"), ("네", "넷"), ("다섯",),
    ("여섯",), ("일곱",), ("여덟",), ("아홉",),
)  # fmt: skip
_NATIVE_TENS = (
    ("열",), ("스물", "스무"), ("서른",), ("마흔",), ("쉰",), ("예순",), ("일흔",),
    ("여든",), ("아흔",),
)  # fmt: skip
_PLACES = ("", "십", "백", "천")
_GROUPS = ("", "만", "억", "조")
_LARGEST = 10**16


def sino_korean(number: int) -> str:
    """The Sino-Korean reading, 만 by 만: 2025 is 이천이십오; 1 to 10^16 - 1."""
    parts = []
    for group in _GROUPS:
        number, rest = divmod(number, 10_000)
        if rest:
            reading = _below_ten_thousand(rest)
            parts.append("만" if group == "만" and reading == "일" else reading + group)
    return "".join(reversed(parts))


def _below_ten_thousand(number: int) -> str:
    parts = []
    for place in _PLACES:
        number, digit = divmod(number, 10)
        if digit:
            parts.append(place if digit == 1 and place else _DIGITS[digit] + place)
    return "".join(reversed(parts))


def native_korean(number: int) -> tuple[str, ...]:
    """The native Korean forms, with those before a counter; 1 to 99."""
    tens, ones = divmod(number, 10)
    ten_forms = _NATIVE_TENS[tens - 1] if tens else ("",)
    one_forms = _NATIVE[ones - 1] if ones else ("",)
    return tuple(ten + one for ten in ten_forms for one in one_forms)


@lru_cache(maxsize=4096)
def spellings(digits: str) -> tuple[str, ...]:
    """Other ways to write a number of digits: in words, or with 만, 천 and 백 after the digits."""
    number = int(digits) if len(digits) <= len(str(_LARGEST)) - 1 else 0
    if number == 0:
        return ()
    units = (("억", 10**8), ("만", 10**4), ("천", 1000), ("백", 100))
    mixed = tuple(f"{number // size}{unit}" for unit, size in units if number % size == 0)
    native = native_korean(number) if number < 100 else ()
    return (sino_korean(number), *native, *mixed)
