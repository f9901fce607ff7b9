"""Ids are matched exactly, and ids that only look the same are named so that one can see it."""

import unicodedata

import pytest

from yoyak.errors import BadData
from yoyak.metrics.align_ids import align, lookalikes, require_any, require_whole

KNOWN = ("dev_0", "dev_1", "대화_2")


@pytest.mark.parametrize(
    ("key", "original", "shown"),
    [
        ("dev_0 ", "dev_0", "'dev_0 '"),
        ("\tdev_0", "dev_0", r"'\tdev_0'"),
        ("DEV_0", "dev_0", "'DEV_0'"),
        ("dev_0\u200b", "dev_0", r"'dev_0\u200b'"),
        ("\ufeffdev_0", "dev_0", r"'\ufeffdev_0'"),
        ("dev\u00a0_0", "dev_0", r"'dev\xa0_0'"),
        ("ｄev_０", "dev_0", r"'\uff44ev_\uff10'"),
        (unicodedata.normalize("NFD", "대화_2"), "대화_2", r"'\u1103\u1162\u1112\u116a_2'"),
    ],
)
def test_ids_that_look_the_same_are_told_apart(key, original, shown):
    assert lookalikes([key], KNOWN) == {key: original}
    alignment = align([key], KNOWN)
    with pytest.raises(BadData) as caught:
        require_whole(alignment)
    assert caught.value.key == "metrics.ids-look-alike"
    assert f"{shown} ≠ '{original}'" in str(caught.value)
    with pytest.raises(BadData, match="look the same"):
        require_any(alignment)


def test_other_ids_are_simply_other():
    assert lookalikes(["dev_00", "dev-0", "dev_0"], KNOWN) == {}
    with pytest.raises(BadData, match=r"3 ids have no prediction, 1 predictions") as caught:
        require_whole(align(["x"], KNOWN))
    assert caught.value.key == "metrics.ids-differ"


def test_a_list_of_ids_ends_after_ten():
    keys = [f"dev_{number}" for number in range(25)]
    with pytest.raises(BadData) as caught:
        require_whole(align([], keys))
    assert "'dev_9', … (+15)" in str(caught.value)
    with pytest.raises(BadData) as caught:
        require_whole(align([f"{key} " for key in keys], keys))
    assert str(caught.value).count("≠") == 10
    assert "… (+15)" in str(caught.value)


def test_nothing_missing_is_no_error():
    require_whole(align(KNOWN, KNOWN))
    require_any(align(KNOWN[:1], KNOWN))
