"""Hostile and odd texts of documents: bounded before anything is built, refused with a place and a reason."""

from __future__ import annotations

import json
import time

import pytest

from qaztech.core.errors import Malformed
from qaztech.member.openapi import read_description
from qaztech.member.openapi_text import MAX_NODES, MAX_TEXT, read_tree

BOMB = (
    "a: &a [x, x, x, x, x, x, x, x, x]\n"
    + "".join(f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True))
).encode()
LONG_BOMB = b"a: &a '" + b"x" * 100_000 + b"'\nb: [" + b", ".join([b"*a"] * 50_000) + b"]\n"

HOSTILE = {
    "five megabytes": (b'{"a": "' + b"x" * (5 << 20) + b'"}', "openapi.too-large"),
    "deep JSON": (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, "openapi.too-large"),
    "deep JSON lists": (b'{"a":' + b"[" * 1_000_000, "openapi.too-large"),
    "deep YAML": (b"a: " + b"[" * 10_000 + b"]" * 10_000, "openapi.too-large"),
    "deep YAML by lines": ("\n".join(f"{' ' * n}a:" for n in range(1500)).encode(), "openapi.too-large"),
    "unclosed YAML": (b"a: " + b"{" * 500_000, "openapi.malformed"),
    "many values": (b"[" + b"1," * MAX_NODES + b"1]", "openapi.too-large"),
    "many JSON values": (b'{"a":[' + b"1," * MAX_NODES + b"1]}", "openapi.too-large"),
    "billion laughs": (BOMB, "openapi.too-large"),
    "long laughs": (LONG_BOMB, "openapi.too-large"),
    "a list of parameters": (
        b'{"parameters": [' + b",".join(b'{"a":%d}' % n for n in range(1001)) + b"]}",
        "openapi.too-large",
    ),
    "an alias inside itself": (b"a: &a [*a]\n", "openapi.malformed"),
    "an alias of nothing": (b"a: *b\n", "openapi.malformed"),
    "an alias as a name": (b"a: &a x\n*a : 1\n", "openapi.malformed"),
    "a list as a name": (b"? [a]\n: 1\n", "openapi.malformed"),
    "a name twice in JSON": (b'{"a": 1, "a": 2}', "openapi.malformed"),
    "a name twice in YAML": (b"a: 1\n'a': 2\n", "openapi.malformed"),
    "NaN": (b'{"a": NaN}', "openapi.malformed"),
    "NaN in YAML": (b"a: .nan\n", "openapi.malformed"),
    "infinity": (b'{"a": 1e999}', "openapi.malformed"),
    "infinity in YAML": (b"a: 1e999\n", "openapi.malformed"),
    "a long number": (b'{"a": ' + b"9" * 100_000 + b"}", "openapi.malformed"),
    "half a pair": (b'{"a": "\\ud800"}', "openapi.malformed"),
    "half a pair as a name": (b'{"\\udfff": 1}', "openapi.malformed"),
    "not UTF-8": (b"a: 1\nb: \xff\xfe\n", "openapi.malformed"),
    "UTF-16": ("a: 1".encode("utf-16"), "openapi.malformed"),
    "a Python object": (b"a: !!python/object/apply:os.system [x]\n", "openapi.malformed"),
    "binary": (b"a: !!binary aGk=\n", "openapi.malformed"),
    "a tag on a name": (b"!!int 1: 2\n", "openapi.malformed"),
    "two documents": (b"a: 1\n---\nb: 2\n", "openapi.malformed"),
    "directives": (b"".join(b"%%TAG !%d! a\n" % n for n in range(50_000)) + b"--- {a: 1}\n", "openapi.malformed"),
    "merging a number": (b"a:\n  <<: 5\n", "openapi.malformed"),
    "control characters": (b"a: \x01\n", "openapi.malformed"),
    "broken JSON": (b'{"a": }', "openapi.malformed"),
    "open quotes": (b'{"' + b'\\"' * 900_000, "openapi.malformed"),
    "broken YAML": (b"a: [1\nb: 2\n", "openapi.malformed"),
    "a list": (b"- a\n", "openapi.malformed"),
    "a word": (b"word", "openapi.malformed"),
    "nothing": (b"", "openapi.malformed"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_document_is_refused_at_once(name: str) -> None:
    """By our own error, with its code, in less than two seconds of this process."""
    data, code = HOSTILE[name]
    begun = time.process_time()
    with pytest.raises(Malformed) as caught:
        read_description(data)
    assert caught.value.code == code
    assert caught.value.at == "caller"
    assert len(caught.value.detail) < 600
    assert time.process_time() - begun < 2


@pytest.mark.parametrize(
    ("data", "place"),
    [
        (b"a: 1\nb: 2\na: 3\n", "line 3"),
        (b"a: 1\nb: [\n", "line 3"),
        (b'{"a": 1,\n "b": x}', "line 2, column 7"),
        (b"a: 1\nb: \xff\n", "line 2"),
        (b"a:\n  b: !x 1\n", "line 2"),
    ],
)
def test_an_error_says_the_line(data: bytes, place: str) -> None:
    """Whoever has to mend it finds it."""
    with pytest.raises(Malformed, match=place):
        read_tree(data)


def test_yaml_scalars_are_what_json_would_have_them() -> None:
    """`no`, dates and sexagesimals stay text; names are text whatever they look like."""
    text = b"a: no\nb: 2027-01-01\nc: 12:30:45\nd: 0x1F\ne: 1_000\n200: ~\ntrue: [1.5, -3, false, '1', .5e1]\n"
    assert read_tree(text).root == {
        "a": "no",
        "b": "2027-01-01",
        "c": "12:30:45",
        "d": 31,
        "e": "1_000",
        "200": None,
        "true": [1.5, -3, False, "1", 5.0],
    }


def test_aliases_and_merges_stand_for_what_they_name() -> None:
    """What is written beside `<<` goes first, wherever it stands."""
    text = b"a: &a {x: 1, y: 2}\nb: {y: 3, <<: *a}\nc: {<<: [*a, {z: 4}], x: 5}\nd: [*a]\n"
    assert read_tree(text).root == {
        "a": {"x": 1, "y": 2},
        "b": {"y": 3, "x": 1},
        "c": {"x": 5, "y": 2, "z": 4},
        "d": [{"x": 1, "y": 2}],
    }


def test_json_and_yaml_of_one_document_are_one_tree() -> None:
    """With a byte order mark or without."""
    value = {"a": [1, 2.5, None, True, "қ"], "b": {"c": "\U0001f1f0\U0001f1ff"}}
    data = json.dumps(value).encode()
    assert read_tree(data).root == read_tree(b"\xef\xbb\xbf" + data).root == value
    assert read_tree("a: [1, 2.5, ~, true, қ]\nb:\n  c: \U0001f1f0\U0001f1ff\n".encode()).root == value


def test_the_largest_document_that_is_allowed_is_read() -> None:
    """The bounds refuse what is above them and nothing below."""
    data = b'{"a": "' + b"x" * (MAX_TEXT - 10) + b'"}'
    assert len(read_tree(data).root["a"]) == MAX_TEXT - 10
    required = json.dumps({"required": [f"field {n}" for n in range(5000)]}).encode()
    assert len(read_tree(required).root["required"]) == 5000
