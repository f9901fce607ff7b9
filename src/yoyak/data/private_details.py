"""Replace personal numbers and addresses of accounts by the tags that the contest's dialogues use.

Recognised are numbers of Korean telephones, cards, bank accounts, residents, passports and cars,
and e-mail addresses. Names, postal addresses and dates of birth are not: they cannot be told from
other words reliably.
"""

import re
from collections import Counter
from typing import NamedTuple

_DETAILS = (
    ("#Email#", r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+"),
    ("#SSN#", r"\d{6}-?[1-8]\d{6}"),
    ("#CardNumber#", r"\d{4}[- ]\d{4}[- ]\d{4}[- ]\d{4}|\d{15,16}"),
    (
        "#PhoneNumber#",
        r"(?:\+82[- ]?|0)1[016789][-. ]?\d{3,4}[-. ]?\d{4}"
        r"|(?:\+82[- ]?|0)(?:2|[3-6][1-5]|70|50\d)[-.) ]\d{3,4}[-. ]\d{4}"
        r"|1[5-8]\d{2}-\d{4}",
    ),
    # Accounts of banks have two to four groups; a date has groups of 4, 2 and 2.
    ("#CardNumber#", r"(?!\d{4}-\d{1,2}-\d{1,2}(?!\d))\d{2,6}-\d{2,6}-\d{2,8}(?:-\d{1,4})?"),
    ("#CarNumber#", r"\d{2,3}[가-힣] ?\d{4}"),
    ("#PassportNumber#", r"[MSROD]\d{8}|[MSROD]\d{3}[A-Z]\d{4}"),
)
_PATTERN = re.compile(
    "|".join(
        rf"(?P<k{place}>(?<![\w#])(?:{pattern})(?![\dA-Za-z]))"
        for place, (_, pattern) in enumerate(_DETAILS)
    )
)


class MaskedText(NamedTuple):
    """A text with tags in place of details, and how often each tag was put in."""

    text: str
    counts: Counter[str]


def mask_details(text: str) -> MaskedText:
    """Return ``text`` with a tag in place of each number or address that names somebody."""
    counts = Counter[str]()

    def tag(found: re.Match[str]) -> str:
        kind, _ = _DETAILS[int(str(found.lastgroup)[1:])]
        counts[kind] += 1
        return kind

    return MaskedText(_PATTERN.sub(tag, text), counts)
