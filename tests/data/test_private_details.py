"""Numbers that name somebody become tags; dates, prices and times stay."""

import pytest

from yoyak.data.private_details import mask_details


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("010-1234-5678", "#PhoneNumber#"),
        ("01012345678로", "#PhoneNumber#로"),
        ("+82 10-1234-5678", "#PhoneNumber#"),
        ("02-345-6789나 1588-1234", "#PhoneNumber#나 #PhoneNumber#"),
        ("900101-1234567", "#SSN#"),
        ("1234-5678-9012-3456", "#CardNumber#"),
        ("국민 123456-01-234567", "국민 #CardNumber#"),
        ("12가 3456 차", "#CarNumber# 차"),
        ("여권 M12345678", "여권 #PassportNumber#"),
        ("yoyak@example.co.kr에", "#Email#에"),
    ],
)
def test_a_detail_becomes_its_tag(text, masked):
    found = mask_details(text)
    assert found.text == masked
    assert sum(found.counts.values()) == masked.count("#") // 2


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-26",
        "2026-1-5에",
        "12:30에",
        "1,250,000원",
        "3-4명",
        "10-20분",
        "2호선 7번",
        "#Person1#",
    ],
)
def test_dates_prices_and_counts_stay(text):
    assert mask_details(text).text == text
