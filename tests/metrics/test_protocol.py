"""A wish is parsed or refused with a reason; an identity depends on what was scored only."""

import pytest

from yoyak.errors import BadRecipe, UsageError
from yoyak.metrics import protocol
from yoyak.metrics.protocol import NAMED, Definition, parse, protocol_of
from yoyak.values import Profile, ReferenceMode, TagMode

REFERENCES = {"a": ("가 나", "다"), "b": ("라",)}


def test_named_definitions_parse_to_themselves():
    assert {name: parse(name) for name in NAMED} == NAMED
    assert parse("official") == Definition()


def test_a_name_can_be_varied():
    assert parse("official,refs=max,tags=strip,tok=char") == Definition(
        profile=Profile.OFFICIAL,
        analyser="char",
        references=ReferenceMode.MAX,
        tags=TagMode.STRIP,
    )


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        ("offical", "no protocol is called 'offical'. Known: official"),
        ("official,refs=median", "Invalid enum value 'median'"),
        ("official,refs", "'refs' is no variation"),
        ("official,token=char", "'token=char' is no variation. Known: refs=, tags=, tok="),
        ("", "no protocol is called ''"),
    ],
)
def test_a_wrong_wish_is_refused_with_the_reason(wish, said):
    with pytest.raises(UsageError, match="→") as caught:
        parse(wish)
    assert said in str(caught.value)


def test_an_unknown_analyser_is_refused_and_ascii_says_why():
    with pytest.raises(BadRecipe, match="no analyser is called 'okt'"):
        parse("official,tok=okt")
    with pytest.raises(BadRecipe, match="drops every Hangul syllable"):
        parse("official,tok=ascii")


def test_the_protocol_names_what_was_resolved():
    found = protocol_of(parse("official-max,tok=char"), REFERENCES)
    assert found.analyser == "char-1"
    assert (found.items, found.reference_count) == (2, "1-2")
    assert found.signature == (
        "rouge|profile:official|tok:char-1|refs:1-2|agg:max|tags:split|items:2"
        f"|sha:{found.data_sha256[:8]}|v:1"
    )


def test_the_identity_ignores_the_order_of_rows_and_sees_everything_else():
    sha = protocol.data_sha256
    assert sha(REFERENCES) == sha(dict(reversed(REFERENCES.items())))
    others = [
        {"a": ("가 나", "다")},
        {"a": ("다", "가 나"), "b": ("라",)},
        {"a": ("가 나",), "b": ("다", "라")},
        {"a": ("가 나", "다"), "c": ("라",)},
        {"a": ("가 나", "다"), "b": ("라 ",)},
    ]
    assert len({sha(REFERENCES), *map(sha, others)}) == 6
    assert len(sha({"\ud800": ("\ud800",)})) == 64


def test_reference_counts():
    wish = parse("official,tok=space")
    assert protocol_of(wish, {"a": ("가",), "b": ("나",)}).reference_count == "1"
    assert protocol_of(wish, {}).reference_count == "0"
