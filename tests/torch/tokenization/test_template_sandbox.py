"""Chat templates from strangers: what they may do, and where they are stopped."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yoyak.engine.tokenization.template_sandbox import (
    MAX_CHARACTERS,
    MAX_STEPS,
    BoundedTemplate,
)
from yoyak.errors import BadRecipe

pytestmark = pytest.mark.torch

MESSAGES = [{"role": "user", "content": "안녕 " * 1000}]

DOUBLED = "{%% set ns = namespace(s='xx') %%}{%% for i in range(60) %%}%s{%% endfor %%}{{ ns.s }}"

ENDLESS = {
    "nested loops": "{% for i in range(9999) %}{% for j in range(9999) %}x{% endfor %}{% endfor %}",
    "empty loops": "{% for i in range(9999) %}{% for j in range(99999) if false %}x{% endfor %}"
    "{% endfor %}",
    "recursion without end": "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "a tree of calls": "{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}"
    "{% endmacro %}{{ m(60) }}",
    "a loop into itself": "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}",
    "much literal text": "{% for i in range(99999) %}" + 9999 * "x" + "{% endfor %}",
}

HUGE = {
    "range": "{{ range(10**10) | list }}",
    "product": "{{ 'x' * 10**10 }}",
    "constant width": "{{ 'x' | center(10000000000) }}",
    "method": "{{ 'x'.ljust(10**10) }}",
    "power": "{{ 9**9**9 }}",
    "sum": DOUBLED % "{% set ns.s = ns.s + ns.s %}",
    "concatenation": DOUBLED % "{% set ns.s = ns.s ~ ns.s %}",
    "block": DOUBLED % "{% set t %}{{ ns.s }}{{ ns.s }}{% endset %}{% set ns.s = t %}",
    "join": DOUBLED % "{% set ns.s = [ns.s, ns.s] | join %}",
    "nested lists": DOUBLED % "{% set ns.s = [ns.s, ns.s] %}",
    "nested tuples": DOUBLED % "{% set ns.s = (ns.s, ns.s) %}",
    "nested mappings": DOUBLED % "{% set ns.s = {1: ns.s, 2: ns.s} %}",
    "percent": "{{ '%10000000000d' % 1 }}",
    "star": "{{ '%*d' % (10**10, 1) }}",
    "filter": "{{ '%10000000000d' | format(1) }}",
    "format": "{{ '{:>10000000000}'.format(1) }}",
    "nested format": "{{ '{:>{}}'.format(1, 10**10) }}",
    "indentation": "{{ messages | tojson(indent=10**9) }}",
    "batch": "{{ [1] | batch(10**9, 'x') | list }}",
    "map": "{{ [1] | map('center', 10**10) | list }}",
}

FORBIDDEN = {
    "file": "{% include '/etc/passwd' %}",
    "import": "{% import 'os' as os %}",
    "class": "{{ ''.__class__.__mro__ }}",
    "globals": "{{ cycler.__init__.__globals__ }}",
    "self": "{{ self.__init__.__globals__ }}",
    "namespace": "{% set ns = namespace(__class__=1) %}",
    "namespace later": "{% set ns = namespace() %}{% set ns._b = 1 %}",
    "change of a message": "{{ messages.append(1) }}",
    "undefined": "{{ x.y.z }}",
    "division": "{{ 1 // 0 }}",
    "types": "{{ 'a' + 1 }}",
    "own refusal": "{{ raise_exception('no system role') }}",
    "syntax": "{% if %}",
}


def render(source: str) -> str:
    return BoundedTemplate(source).render({"messages": MESSAGES})


@pytest.mark.parametrize("source", (HUGE | FORBIDDEN).values(), ids=HUGE | FORBIDDEN)
def test_a_hostile_or_broken_template_ends_in_one_sentence(source):
    with pytest.raises(BadRecipe) as stopped:
        render(source)
    assert str(stopped.value).count("\n") == 0
    assert "model.base" in str(stopped.value)


@pytest.mark.parametrize("source", ENDLESS.values(), ids=ENDLESS)
def test_a_loop_is_stopped_by_its_steps_or_its_size(source):
    limits = (f"{MAX_STEPS:,}", f"{MAX_CHARACTERS:,}", "recursion")
    with pytest.raises(BadRecipe) as stopped:
        render(source)
    assert any(limit in str(stopped.value) for limit in limits)


def test_the_sentence_names_the_roles_and_the_reason():
    with pytest.raises(BadRecipe, match="user: no system role"):
        render("{{ raise_exception('no system role') }}")


def test_what_published_templates_use_works():
    source = """
        {%- set ns = namespace(last=0) -%}
        {%- for message in messages[::-1] -%}
            {%- if message.role == 'user' -%}{%- set ns.last = loop.index0 -%}{%- endif -%}
        {%- endfor -%}
        {%- for a, b in [('x', 1), ('y', 2)] -%}
            {%- if b == 2 -%}{%- break -%}{%- endif -%}{{- a ~ b -}}
        {%- endfor -%}
        {%- generation -%}{{- '%02d' | format(ns.last) -}}{%- endgeneration -%}
        {{- {'k': '값'} | tojson -}}{{- ' b '.strip() | upper -}}
        {{- messages | map(attribute='role') | join(',') -}}
    """
    assert render(source) == 'x100{"k": "값"}Buser'


def test_a_rendering_does_not_use_up_the_next_ones_steps():
    template = BoundedTemplate("{% for i in range(60000) %}x{% endfor %}")
    assert {len(template.render({"messages": []})) for _ in range(2)} == {60000}


@given(st.text(max_size=200), st.integers(0, 50))
def test_a_rendering_within_the_limits_is_jinjas(text, times):
    import jinja2

    source = "{% for i in range(times) %}{{ text | trim ~ i }}|{{ text * 2 }}{% endfor %}"
    fields = {"messages": [], "text": text, "times": times}
    expected = jinja2.Environment(trim_blocks=True, lstrip_blocks=True).from_string(source)
    assert BoundedTemplate(source).render(fields) == expected.render(fields)
