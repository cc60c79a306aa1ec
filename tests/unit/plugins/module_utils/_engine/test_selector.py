# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import SelectorError
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.selector import Selector, parse

PROFILE = settings(derandomize=True, max_examples=120, deadline=None)

SITES = 'site starts with "par-" || site ends with "-lab" && has(test)'

# Every row of spec ippool.md §8.6, and the table of meanings of §8.3.
MATCHES = [
    ('tier == "gold"', {"tier": "gold"}, True),
    ('tier == "gold"', {"tier": "Gold"}, False),
    ('tier == "gold"', {}, False),
    ('tier != "gold"', {}, True),
    ('tier != "gold"', {"tier": "gold"}, False),
    ('tier != "gold"', {"tier": "silver"}, True),
    ('has(gpu) && gpu != "none"', {"gpu": "a100"}, True),
    ('has(gpu) && gpu != "none"', {}, False),
    ('tier in {"gold", "silver"} && !has(retired)', {"tier": "silver"}, True),
    ('tier in {"gold", "silver"} && !has(retired)', {"tier": "silver", "retired": ""}, False),
    ('!tier in {"gold"}', {}, True),
    (SITES, {"site": "x-lab"}, False),
    (SITES, {"site": "x-lab", "test": ""}, True),
    (SITES, {"site": "par-1"}, True),
    ('(site starts with "par-" || site ends with "-lab") && has(test)', {"site": "par-1"}, False),
    ("! ! has(gpu)", {"gpu": ""}, True),
    ("note == 'say \"hi\"'", {"note": 'say "hi"'}, True),
    ("tier not in {}", {"tier": "gold"}, True),
    ("!all()", {}, False),
    ("!all()", {"tier": "gold"}, False),
    # §8.3
    ('k in {"a", "b"}', {"k": "b"}, True),
    ('k in {"a", "b"}', {"k": "c"}, False),
    ('k in {"a", "b"}', {}, False),
    ("k in {}", {"k": ""}, False),
    ('k not in {"a"}', {"k": "a"}, False),
    ('k not in {"a"}', {}, True),
    ("k not in {}", {}, True),
    ('k contains "b"', {"k": "abc"}, True),
    ('k contains ""', {"k": ""}, True),
    ('k contains ""', {}, False),
    ('k contains "x"', {"k": "abc"}, False),
    ('k starts with "a"', {"k": "abc"}, True),
    ('k starts with "b"', {"k": "abc"}, False),
    ('k starts with ""', {}, False),
    ('k ends with "c"', {"k": "abc"}, True),
    ('k ends with "b"', {"k": "abc"}, False),
    ('k ends with ""', {}, False),
    ("has(k)", {"k": ""}, True),
    ("has(k)", {}, False),
    ("!has(k)", {"k": ""}, False),
    ("!has(k)", {}, True),
    ("all()", {}, True),
    ("global()", {}, True),
    ("", {}, True),
    (" \t ", {"k": "v"}, True),
    # precedence and negation
    ('!tier == "gold"', {"tier": "gold"}, False),
    ('!tier == "gold"', {}, True),
    ("!(has(a) && has(b))", {"a": ""}, True),
    ("!(has(a) && has(b))", {"a": "", "b": ""}, False),
    ("!(has(a) || !has(b))", {"b": ""}, True),
    ("!!!has(a)", {"a": ""}, False),
    ("has(a) || has(b) && has(c)", {"a": ""}, True),
    ("has(a) || has(b) && has(c)", {"b": ""}, False),
]

# Text and what Calico prints for it: §8.4.
CANONICAL = [
    ("", "all()"),
    ("  ", "all()"),
    ("all( )", "all()"),
    ("global(\t)", "global()"),
    ("has( gpu )", "has(gpu)"),
    ("tier=='gold'", 'tier == "gold"'),
    ("note == 'say \"hi\"'", "note == 'say \"hi\"'"),
    ("k in{'b','a',\"b\"}", 'k in {"a", "b"}'),
    ("k notin { 'a' , }", 'k not in {"a"}'),
    ("k not in {}", "k not in {}"),
    ("k startswith'a'", 'k starts with "a"'),
    ("k ends\twith 'a'", 'k ends with "a"'),
    ("k contains'a'", 'k contains "a"'),
    ("has(a)&&has(b)||has(c)", "((has(a) && has(b)) || has(c))"),
    ("((has(a)))", "has(a)"),
    ("! ! has(a)", "has(a)"),
    ("! (has(a) || has(b))", "!(has(a) || has(b))"),
    ("!k == 'v'", '!k == "v"'),
    ("has(a) && (has(b) && has(c))", "(has(a) && (has(b) && has(c)))"),
    ("k == 'two\nlines \u00e9'", 'k == "two\nlines \u00e9"'),
    # words of the language are label names where a label is due
    ("in in {'in'}", 'in in {"in"}'),
    ("contains contains 'x'", 'contains contains "x"'),
    ("all == 'x' && has == 'y'", '(all == "x" && has == "y")'),
    ("has(has)", "has(has)"),
    ("starts starts with 'with'", 'starts starts with "with"'),
    ("a.b/c-d_E9 == 'x'", 'a.b/c-d_E9 == "x"'),
]

# Text, position of the error, what was found, what was expected.
ERRORS = [
    ('tier = "gold"', 5, "found '='", "expected =="),
    ("tier == gold", 8, "found 'gold'", "a value in quotes"),
    ('"gold" == tier', 0, 'found a " quote', "a label name"),
    ("tier", 4, "the end", "expected =="),
    ('tier == "gold" and site == "par"', 15, "found 'and'", "&&, || or the end"),
    ("has (gpu)", 4, "found '('", "no space may stand between has and its parenthesis"),
    ("has()", 4, "found ')'", "a label name"),
    ("has(gpu", 7, "the end", "expected )"),
    ("not has(gpu)", 4, "found 'has'", "expected =="),
    ('tier in ("gold")', 8, "found '('", "expected {"),
    ("tier in {gold}", 9, "found 'gold'", "a value in quotes or }"),
    ("tier in {,}", 9, "found ','", "a value in quotes or }"),
    ("tier == \"gold'", 14, "the end", 'the " that ends the value begun at position 8'),
    ('tier == "gold" ||', 17, "the end", "a label name"),
    ('(tier == "gold"', 15, "the end", "the ) for the ( at position 0"),
    ("All()", 3, "found '('", "all() is written in lower case"),
    # more of §8.1 and §8.2
    ("has(a) & has(b)", 7, "found '&'", "&&"),
    ("has(a) | has(b)", 7, "found '|'", "||"),
    ("has(a)\n&& has(b)", 6, r"found '\n'", "&&"),
    ("\u00a0has(a)", 0, r"found '\xa0'", "a label name"),
    ("has(a))", 6, "found ')'", "the end"),
    ("()", 1, "found ')'", "a label name"),
    ("&& has(a)", 0, "found '&&'", "a label name"),
    ("!= 'a'", 0, "found '!='", "a label name"),
    ("!", 1, "the end", "a label name"),
    ("k IN {'a'}", 2, "found 'IN'", "expected =="),
    ("k inside {'a'}", 2, "found 'inside'", "expected =="),
    ("k starts 'a'", 2, "found 'starts'", "expected =="),
    ("k in {'a' 'b'}", 10, "found a ' quote", ", or }"),
    ("k in {'a'", 9, "the end", ", or }"),
    ("k in {'a',,}", 10, "found ','", "a value in quotes"),
    ("k == 'it''s'", 9, "found a ' quote", "&&"),
    ("k == 5", 5, "found '5'", "a value in quotes"),
    ("k == `a`", 5, "found '`'", "a value in quotes"),
    ("has(a) # why", 7, "found '#'", "&&"),
    ("k == 'a';", 8, "found ';'", "&&"),
    ("a" * 513 + " == 'x'", 0, "found 'aaa", "at most 512 characters, not 513"),
    ("has(" + "a" * 513 + ")", 4, "found 'aaa", "at most 512"),
    ("all(x)", 4, "found 'x'", "expected )"),
    ("all (  )", 4, "found '('", "no space may stand"),
]


@pytest.mark.parametrize(("text", "labels", "selected"), MATCHES)
def test_matches(text, labels, selected):
    assert parse(text).matches(labels) is selected


@pytest.mark.parametrize(("text", "canonical"), CANONICAL)
def test_canonical(text, canonical):
    assert parse(text).canonical() == canonical
    assert parse(canonical).canonical() == canonical
    assert parse(text) == parse(canonical)


@pytest.mark.parametrize(("text", "position", "found", "expected"), ERRORS)
def test_errors(text, position, found, expected):
    with pytest.raises(SelectorError) as caught:
        parse(text)
    error = caught.value
    assert error.position == position
    assert error.rule == "V18"
    assert f"position {position}: " in error.message
    before, _comma, after = error.message.partition(", expected ")
    assert found in before
    assert expected in "expected " + after
    assert error.message.count(". ") == 0
    assert error.message.endswith(".")


# Spec ippool.md §8.1, a row of the table of tokens each: what is one, and what next to it is not.
TOKENS = [
    ("white space", "has(a)\t &&  has(b)", "has(a)\r&& has(b)"),
    ("white space", " has(a) ", "has(a)\u00a0"),
    ("label name", "A.b_c/d-9 == ''", "a:b == ''"),
    ("label name", "-./_ == ''", "a+b == ''"),
    ("label name", "a" * 512 + " == ''", "a" * 513 + " == ''"),
    ("label name", "9 == ''", "== ''"),
    ("string", 'a == "it\'s"', "a == 'it's'"),
    ("string", "a == 'say \"hi\"'", 'a == "say "hi""'),
    ("string", "a == '\\'", "a == '\\''"),
    ("string", "a == 'two\nlines \u00e9'", "a == two"),
    ("symbols", "a == '' && b != ''", "a = ''"),
    ("symbols", "!has(a) || has(b)", "has(a) | has(b)"),
    ("symbols", "(has(a))", "has(a) & has(b)"),
    ("functions", "has( a ) && all(\t) && global( )", "has (a)"),
    ("functions", "all()", "all ()"),
    ("functions", "global()", "Global()"),
    ("functions", "has(a)", "HAS(a)"),
    ("operator words", "a startswith ''", "a Starts with ''"),
    ("operator words", "a notin {}", "a not  n {}"),
    ("operator words", "a ends\twith''", "a endswithx ''"),
    ("operator words", "a in{''}", "a in_ {''}"),
    ("operator words", "a contains''", "contains ''"),
    ("anything else", "true == ''", "true"),
    ("anything else", "and == ''", "has(a) and has(b)"),
    ("anything else", "or == ''", "has(a) or has(b)"),
    ("anything else", "not == ''", "not has(a)"),
    ("anything else", "has(a)", "has(a) # note"),
    ("anything else", "has(a)", "has(a);"),
    ("anything else", "has(a)", "a % ''"),
    ("anything else", "a == ''", "a == `b`"),
    ("anything else", "a == '1'", "a == 1"),
    ("words as labels", "in in {} && contains contains '' && all == '' && has != ''", "all( == ''"),
    # §8.2
    ("grammar", "a in {'x',}", "a in {'x',,}"),
    ("grammar", "!!a == ''", "a !== ''"),
    ("grammar", "(has(a) || has(b)) && !(has(c))", "(has(a) || has(b)"),
    ("grammar", "", "()"),
]


@pytest.mark.parametrize(("row", "text", "wrong"), TOKENS)
def test_tokens(row, text, wrong):
    parse(text)
    with pytest.raises(SelectorError):
        parse(wrong)


def test_labels_up_to_512_characters():
    assert parse("a" * 512 + " == 'x'").matches({"a" * 512: "x"})


@pytest.mark.parametrize("thing", [None, 5, ["all()"], b"all()"])
def test_not_text(thing):
    with pytest.raises(SelectorError, match="must be text"):
        parse(thing)


@pytest.mark.parametrize(
    ("text", "selected"),
    [
        ("(" * 50_000 + "has(a)" + ")" * 50_000, True),
        ("!(" * 50_001 + "has(a)" + ")" * 50_001, False),
        ("!" * 100_001 + "has(a)", False),
        ("(has(a) && !" * 20_000 + "has(a)" + ")" * 20_000, True),
        (" || ".join(["has(b)"] * 20_000 + ["has(a)"]), True),
    ],
)
def test_deep_and_long_selectors_do_not_exhaust_the_stack(text, selected):
    found = parse(text)
    assert found.matches({"a": ""}) is selected
    assert parse(found.canonical()).canonical() == found.canonical()


@pytest.mark.parametrize("text", ["(" * 100_000, "!(" * 100_000, "has(a) && (" * 50_000, "k in {" + "'a'," * 50_000])
def test_deep_errors_do_not_exhaust_the_stack(text):
    with pytest.raises(SelectorError) as caught:
        parse(text)
    assert caught.value.position == len(text)
    assert len(caught.value.message) < 400


def test_equal_selectors():
    assert parse("has( a )") == parse("has(a)")
    assert hash(parse("has( a )")) == hash(parse("has(a)"))
    assert parse("has(a)") != parse("has(b)")
    assert parse("has( a )").text == "has( a )"
    assert isinstance(parse("all()"), Selector)


keys = st.sampled_from(["a", "b", "in", "has", "x.y/z-1"])
values = st.sampled_from(["", "u", "uv", "v", 'say "hi"', "it's", "\u00e9\n"])
label_maps = st.dictionaries(keys, values, max_size=4)


def quoted(value):
    return f'"{value}"' if "'" in value or not value else (f"'{value}'" if '"' in value else f'"{value}"')


# Trees that carry their own text and their own meaning: the naive model to compare with.
def _compare(key, operator, value):
    def meaning(labels):
        if operator == "==":
            return key in labels and labels[key] == value
        if operator == "!=":
            return not (key in labels and labels[key] == value)
        if key not in labels:
            return False
        return {
            "contains": lambda text: value in text,
            "starts with": lambda text: text.startswith(value),
            "ends with": lambda text: text.endswith(value),
        }[operator](labels[key])

    return f"{key} {operator} {quoted(value)}", meaning


def _member(key, inside, members):
    text = "{" + ",".join(map(quoted, members)) + "}"
    if inside:
        return f"{key} in {text}", lambda labels: key in labels and labels[key] in members
    return f"{key} not in {text}", lambda labels: not (key in labels and labels[key] in members)


leaves = st.one_of(
    st.builds(_compare, keys, st.sampled_from(["==", "!=", "contains", "starts with", "ends with"]), values),
    st.builds(_member, keys, st.booleans(), st.lists(values, max_size=3)),
    st.builds(lambda key: (f"has({key})", lambda labels: key in labels), keys),
    st.just(("all()", lambda labels: True)),
)


def _combine(children):
    def join(operator, parts):
        texts = [f"({text})" for text, _meaning in parts]
        if operator == "&&":
            return f" {operator} ".join(texts), lambda labels: all(meaning(labels) for _text, meaning in parts)
        return f" {operator} ".join(texts), lambda labels: any(meaning(labels) for _text, meaning in parts)

    return st.one_of(
        st.builds(join, st.sampled_from(["&&", "||"]), st.lists(children, min_size=1, max_size=4)),
        st.builds(lambda child: (f"! ({child[0]})", lambda labels: not child[1](labels)), children),
    )


@PROFILE
@given(st.recursive(leaves, _combine, max_leaves=12), st.lists(label_maps, max_size=8))
def test_meaning_and_canonical_text_agree_with_a_naive_model(tree, several):
    text, meaning = tree
    found = parse(text)
    again = parse(found.canonical())
    assert again == found
    assert again.canonical() == found.canonical()
    for labels in several:
        assert found.matches(labels) == meaning(labels)
        assert again.matches(labels) == meaning(labels)


@PROFILE
@given(leaves, leaves, leaves, label_maps)
def test_and_binds_tighter_than_or(one, two, three, labels):
    found = parse(f"{one[0]} || {two[0]} && {three[0]}")
    assert found.matches(labels) == (one[1](labels) or (two[1](labels) and three[1](labels)))


fragments = st.sampled_from(
    ["a", " ", "==", "!=", "!", "&&", "||", "(", ")", "{", "}", ",", "'", '"', "has(", "all()", "global(", "in", "not",
     "starts", "with", "contains", "=", "&", "\n", "\u00e9", "'v'", "k == 'v'"]
)  # fmt: skip


@PROFILE
@given(st.one_of(st.text(max_size=80), st.lists(fragments, max_size=25).map("".join)))
def test_any_text_is_a_selector_or_a_selector_error(text):
    try:
        found = parse(text)
    except SelectorError as error:
        assert 0 <= error.position <= len(text)
        assert error.message.endswith(".")
    else:
        assert parse(found.canonical()) == found
