"""Descriptions, passports and showcases under generated input: only our own errors escape.

And what is read can be shown, copied as a call, named in rights, written again.
"""

from __future__ import annotations

import json
from contextlib import suppress
from functools import cache
from pathlib import Path

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from qaztech.core.errors import Error, Malformed
from qaztech.core.ids import ServiceId, SubsystemId
from qaztech.core.rights import Endpoint
from qaztech.member.openapi import read_description
from qaztech.member.openapi_text import read_tree
from qaztech.member.passport import completeness, passport_from_form, passport_to_form
from qaztech.member.rendering import render
from qaztech.member.samples import example_call, samples
from qaztech.registry.passport import format_passport, parse_passport
from qaztech.registry.showcase import parse_showcase
from qaztech.testing import codes

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
WORDS = st.sampled_from(["$ref", "get", "parameters", "schema", "properties", "allOf", "servers", "example", "in", "x"])
LIKE_OPENAPI = st.recursive(
    st.sampled_from([None, True, 1, 1.5, "string", "#/components/schemas/A", "#", "query", "http://a.example/"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=12,
)


CLIENT = SubsystemId.parse("KZ/GOV/991340000017/permits")
SERVICE = ServiceId.parse("KZ/QUASI/991340000027/codes/codes")
INPUTS = st.sampled_from([
    "names.kk", "names.ru", "names.en", "purpose.kk", "owner.unit.kk", "legal_basis.0.act", "legal_basis.1.title.ru",
    "serves.kind", "serves.code", "data.0.field", "data.0.personal", "data.x.field", "personal", "categories",
    "source.holder", "environment", "contact", "availability.percent", "version", "deprecated", "successor", "", ".",
])  # fmt: skip


@cache
def sound() -> bytes:
    """A description that is well."""
    return (Path(codes.__file__).parent / "codes.openapi.yaml").read_bytes()


def read(data: bytes) -> None:
    """Read a document; whatever is read can be shown, and its endpoints can stand in a right."""
    described = read_description(data)
    assert len(described.findings) <= 100
    for endpoint in described.endpoints:
        assert Endpoint.parse(str(endpoint)) == endpoint
    for group in render(described.document).groups:
        for operation in group.operations:
            samples(example_call(operation, edge="http://a.example", client=CLIENT, service=SERVICE))
    if not described.errors:
        assert read_description(described.document).endpoints == described.endpoints


@settings(max_examples=60)
@given(st.binary(max_size=300) | JSON.map(lambda v: json.dumps(v).encode()) | st.text(max_size=200).map(str.encode))
def test_only_our_errors_escape_from_any_bytes(data: bytes) -> None:
    """Whatever is uploaded."""
    with suppress(Malformed):
        read(data)


@settings(max_examples=60)
@given(st.sampled_from(["3.0.3", "3.1.0"]), LIKE_OPENAPI, LIKE_OPENAPI, LIKE_OPENAPI)
def test_only_our_errors_escape_from_what_looks_like_a_description(
    version: str, item: object, schema: object, more: object
) -> None:
    """Known names in wrong places, references to anything, loops."""
    whole = {
        "openapi": version,
        "info": {"title": "a", "version": "1"},
        "paths": {"/a": item, "/b/{c}": {"get": {"responses": {"200": more}, "parameters": [more]}}},
        "components": {"schemas": {"A": schema}},
    }
    with suppress(Malformed):
        read(json.dumps(whole).encode())


@settings(max_examples=60)
@given(st.integers(0, 19_000), st.binary(max_size=6), st.integers(0, 60))
def test_only_our_errors_escape_from_a_damaged_description(at: int, put: bytes, cut: int) -> None:
    """A good document with a few bytes changed."""
    data = sound()
    with suppress(Malformed):
        read(data[:at] + put + data[at + cut :])


@settings(max_examples=60)
@given(JSON.filter(lambda v: isinstance(v, dict)))
def test_json_and_yaml_of_one_value_are_read_alike(value: dict[str, object]) -> None:
    """Two spellings of the same document have one meaning, or neither is read."""
    try:
        found = read_tree(json.dumps(value, allow_nan=True).encode()).root
    except Error:
        return
    text = yaml.safe_dump(value, allow_unicode=False, sort_keys=False, default_style='"')
    block = read_tree(b"# a comment, so that this is taken for YAML\n" + text.encode()).root
    assert json.dumps(block) == json.dumps(found)


@settings(max_examples=60)
@given(st.dictionaries(INPUTS, st.lists(st.text(max_size=8) | st.sampled_from(["yes", "identity", "test", "24x7"]))))
def test_any_form_is_a_passport_or_has_problems(values: dict[str, list[str]]) -> None:
    """What has no problem can be written, read and put into the form again; the score is a percentage."""
    passport, problems = passport_from_form(values)
    assert 0 <= completeness(passport).score <= 100
    if problems:
        with suppress(Malformed):
            format_passport(passport)
        return
    assert parse_passport(format_passport(passport)) == passport
    assert passport_from_form(passport_to_form(passport)) == (passport, ())


@settings(max_examples=40)
@given(st.binary(max_size=200) | JSON.map(lambda v: json.dumps(v).encode()))
def test_only_our_errors_escape_from_passports_and_showcases(data: bytes) -> None:
    """Whatever is sent as one."""
    for parse in (parse_passport, parse_showcase):
        with suppress(Malformed):
            parse(data)
