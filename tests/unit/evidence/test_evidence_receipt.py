"""The receipt's form: one JSON with one meaning, and nothing in it that is not described."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import pytest

from qaztech.core.errors import Malformed
from qaztech.evidence.receipt import (
    MAX_RECEIPT,
    Disclosure,
    ListedLog,
    Message,
    Receipt,
    Token,
    format_receipt,
    parse_receipt,
)

RECEIPT = Receipt(
    message="0199b2f4-6c1d-7a52-9c3e-5b0c0f1f7a11",
    messages=(Message("request", b"record", {"a": b"proof \xd2\x9a", "b": b"other"}), Message("response", b"", {})),
    logs=(ListedLog("a", "KZ/GOV/991340000017", ("vkey",)), ListedLog("w", None, ())),
    configuration={"format": "qaztech-excerpt 1", "blobs": {"x": "Қ 😀"}},
    timestamps=(Token("a", b"note\n", b"\x30"),),
    seals=(Token("b", b"note\n", b"\x31"),),
    disclosure=(Disclosure("request", "path", bytes(32), b"/"), Disclosure("response", "body", bytes(32), None)),
    state="witnessed",
)


def changed(**members: Any) -> bytes:
    """The receipt's JSON with some members replaced; None takes one away."""
    form = json.loads(format_receipt(RECEIPT)) | members
    return json.dumps({name: value for name, value in form.items() if value is not None}).encode()


def test_what_is_written_is_read() -> None:
    """A receipt survives being written and read, also by a writer with white space and escapes."""
    assert parse_receipt(format_receipt(RECEIPT)) == RECEIPT
    assert parse_receipt(json.dumps(json.loads(format_receipt(RECEIPT)), indent=2).encode()) == RECEIPT


def test_disclosures_are_found() -> None:
    """By role and field."""
    assert RECEIPT.disclosed("request", "path") is RECEIPT.disclosure[0]
    assert RECEIPT.disclosed("response", "path") is None


def one(**members: Any) -> list[dict[str, Any]]:
    """A list of one disclosure."""
    return [{"role": "request", "field": "path", "salt": b64encode(bytes(32)).decode(), "value": ""} | members]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"null",
        b"{}",
        b"\xff",
        b"\xef\xbb\xbf{}",
        "{}".encode("utf-16"),
        b"[" * 200_000,
        b'{"a":' * 200_000,
        format_receipt(RECEIPT)[:-1],
        format_receipt(RECEIPT) + b"x",
        format_receipt(RECEIPT)[:-1] + b',"state":"recorded"}',
        format_receipt(RECEIPT).replace(b'"blobs":{', b'"blobs":{"x":"1",'),
        format_receipt(RECEIPT).replace(b'"x":', b'"\\ud800":'),
        format_receipt(RECEIPT).replace(b'"log":"a","proof"', b'"log":"b","proof"'),
        format_receipt(RECEIPT).replace(b'"origin":"w"', b'"origin":"a"'),
        b" " * (MAX_RECEIPT + 1),
        changed(format="qaztech-receipt 2"),
        changed(message=None),
        changed(message=7),
        changed(more=1),
        changed(messages=[]),
        changed(messages=json.loads(format_receipt(RECEIPT))["messages"] * 5),
        changed(logs=[{"origin": str(n), "member": None, "vkeys": []} for n in range(65)]),
        changed(configuration=[]),
        changed(configuration={"n": 1.0}),
        changed(configuration={"n": float("nan")}),
        changed(configuration={"n": 10**400}).replace(b"0" * 400, b"0" * 5000),
        changed(state="sure"),
        changed(seals=[{"log": "a"}]),
        changed(disclosure=one() + one()),
        changed(disclosure=one(role="response")),
        changed(disclosure=one(field="body")),
        changed(disclosure=one(salt="AAAA")),
        changed(disclosure=one(salt=b64encode(bytes(32)).decode()[:-2] + "B=")),
        changed(disclosure=one(value=None)),
        changed(disclosure=one(value="=")),
        changed(disclosure=one(field="secret")),
    ],
    ids=lambda data: repr(data[-24:]),
)
def test_anything_else_is_malformed(data: bytes) -> None:
    """Doubled names, unknown members, other types, fractions, halves of characters, too much of anything."""
    with pytest.raises(Malformed):
        parse_receipt(data)
