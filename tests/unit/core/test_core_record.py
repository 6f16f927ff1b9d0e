"""Records: one spelling, the fields of each kind, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from qaztech.core.errors import Malformed
from qaztech.core.exchange import MAX_RECORD
from qaztech.core.record import KINDS, Kind, Record, format_record, hash_text, parse_record

PAGE = Path(__file__).parents[3] / "docs/formats/record.md"
DIGEST = hash_text(bytes(range(32)))
VALUES: dict[str, Any] = {
    "message": "0199b2f4-6c1d-7a52-9c3e-5b0c0f1f7a11",
    "from_": "kz.qaztech.example/log/5f0c2a9be1d34477a6b0",
    "to": "kz.qaztech.example/log/c81e728d9d4c2f636f06",
    "client": "KZ/GOV/991340000017/permits",
    "service": "KZ/QUASI/991340000027/registers/countries",
    "method": "GET",
    "endpoint": "GET /countries/*",
    "snapshot": "12 " + "9f" * 32,
    "time": 1795413600000,
    "expires": 1795413660000,
    "attempt": 1,
    "size": 0,
    "path": DIGEST,
    "query": DIGEST,
    "headers": DIGEST,
    "body": DIGEST,
    "request": f"{DIGEST} 41",
    "head": f"{DIGEST} 7",
    "status": 200,
    "code": "server.serverproxy.access_denied",
    "outcome": "complete",
}
# For each field, values that must not pass.
BAD: dict[str, list[str]] = {
    "message": ["", "0199B2F4-6C1D-7A52-9C3E-5B0C0F1F7A11", "0199b2f4", VALUES["message"] + "\r"],
    "from_": ["", "KZ.example/log/5f0c2a9be1d34477a6b0", "kz.example/log/5f", "kz.example/log/" + "g" * 20],
    "to": ["kz.example/LOG/5f0c2a9be1d34477a6b0", " kz.example/log/5f0c2a9be1d34477a6b0"],
    "client": ["", "KZ/GOV/1", "KZ/GOV/1/%70ermits", "KZ/GOV/1/a%2fb", "KZ/GOV/1/permits/countries"],
    "service": ["", "KZ/GOV/1/permits", "KZ/GOV/1/permits/%c3%b6", "KZ/GOV/1/permits/.."],
    "method": ["", "get", "GET ", "CONNECT", "*"],
    "endpoint": ["", "/countries", "GET countries", "GET /a*", "GET  /a", "--", "GET /a?b"],
    "snapshot": ["", "0 " + "9f" * 32, "12 " + "9F" * 32, "12 9f", "12"],
    "time": ["", "-1", "01", "1.0", "+1", "١", "1" * 20, "1_0"],
    "expires": ["", " 1", "1 "],
    "attempt": ["", "x"],
    "size": ["", "--", "-1", "0x1"],
    "path": ["", "-", DIGEST[:-1], DIGEST[:-2] + "9=", DIGEST + "=", "A" * 44, DIGEST.replace("+", "-") + " "],
    "query": ["-", DIGEST[:-1]],
    "headers": ["-", DIGEST[:-1]],
    "body": ["", "--", DIGEST[:-1]],
    "request": ["", DIGEST, f"{DIGEST} ", f"{DIGEST} -1", f"{DIGEST}  41", f"{DIGEST} 41 "],
    "head": [DIGEST, f"{DIGEST} x"],
    "status": ["", "99", "600", "2000", "OK"],
    "code": ["", "Server.AccessDenied", ".a", "a.", "a..b", "a" * 65, ".".join("abcdefghi")],
    "outcome": ["", "Complete", "partial"],
}


def make(kind: Kind, **changes: Any) -> Record:
    """A good record of a kind, but for the changes."""
    return format_record(kind, **VALUES | changes)


def test_the_example_of_the_page_is_a_record() -> None:
    """What the format page shows first is accepted, byte for byte."""
    example = re.search(r"```\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert example
    data = example[1].encode()
    record = parse_record(data)
    assert record.kind == "request"
    assert record["client"] == "KZ/GOV/991340000017/permits"
    assert (
        format_record("request", **{("from_" if k == "from" else k): v for k, v in record.fields.items()}).data == data
    )


def test_the_page_names_the_fields_of_every_kind_in_order() -> None:
    """The table of kinds on the page is what the code writes."""
    rows = re.findall(
        r"^\| `([a-z-]+)` \| [a-z ]+node \| ([a-z ]+) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE
    )
    assert {kind: fields.split() for kind, fields in rows} == {kind: list(make(kind).fields) for kind in KINDS}  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_written_can_be_read(kind: Kind) -> None:
    """Each kind comes back from its bytes as it was."""
    written = make(kind)
    assert parse_record(written.data) == written
    assert written.data.startswith(b"qaztech-record 1\nkind " + kind.encode() + b"\n")
    assert written.data.endswith(b"\n")


@pytest.mark.parametrize(("name", "value"), [(n, v) for n, values in BAD.items() for v in values])
def test_a_field_that_is_not_well_formed_is_refused(name: str, value: str) -> None:
    """No field has a second spelling, and none is taken on trust, whatever the kind of record that holds it."""
    label = name.rstrip("_")
    kinds = [kind for kind in KINDS if label in make(kind).fields]  # type: ignore[arg-type]
    assert kinds
    for kind in kinds:
        with pytest.raises(Malformed) as caught:
            parse_record(make(kind, **{name: value}).data)  # type: ignore[arg-type]
        assert caught.value.code == "record.malformed"


@pytest.mark.parametrize(
    "change",
    {
        "another version": lambda d: d.replace(b"qaztech-record 1", b"qaztech-record 2", 1),
        "no version": lambda d: d.partition(b"\n")[2],
        "another kind": lambda d: d.replace(b"kind request", b"kind reply", 1),
        "the fields of another kind": lambda d: d.replace(b"kind request", b"kind response", 1),
        "a field twice": lambda d: d.replace(b"attempt 1\n", b"attempt 1\nattempt 1\n"),
        "a field missing": lambda d: d.replace(b"attempt 1\n", b""),
        "two fields exchanged": lambda d: d.replace(b"attempt 1\nsize 0\n", b"size 0\nattempt 1\n"),
        "a space too many": lambda d: d.replace(b"attempt 1", b"attempt  1"),
        "a space at the end": lambda d: d.replace(b"attempt 1\n", b"attempt 1 \n"),
        "a carriage return": lambda d: d.replace(b"\n", b"\r\n"),
        "no last line break": lambda d: d[:-1],
        "a line after the last": lambda d: d + b"\n",
        "bytes after the last": lambda d: d + b"x\n",
        "not UTF-8": lambda d: d.replace(b"permits", b"p\xffrmits"),
        "a byte-order mark": lambda d: b"\xef\xbb\xbf" + d,
        "nothing": lambda _: b"",
        "one line": lambda _: b"qaztech-record 1\n",
        "too long": lambda d: d.replace(b"permits", b"p" * MAX_RECORD),
    }.items(),
    ids=lambda pair: pair[0],
)
def test_bytes_that_format_would_not_write_are_refused(change: tuple[str, Any]) -> None:
    """Order, spacing and ends are part of the format: there is one spelling."""
    data = make("request").data
    with pytest.raises(Malformed):
        parse_record(change[1](data))


@pytest.mark.parametrize("kind", ["request", "response"])
def test_a_streamed_head_leaves_size_and_body_to_its_tail(kind: Kind) -> None:
    """Size and body are left out together or not at all."""
    assert parse_record(make(kind, size="-", body="-").data)["size"] == "-"
    for changes in ({"size": "-"}, {"body": "-"}):
        with pytest.raises(Malformed):
            parse_record(make(kind, **changes).data)


@pytest.mark.parametrize("kind", ["request-tail", "response-tail"])
def test_a_tail_leaves_nothing_open(kind: Kind) -> None:
    """A tail is where size and body must be named."""
    with pytest.raises(Malformed):
        parse_record(make(kind, size="-", body="-").data)


def test_a_value_seen_before_is_still_checked_against_its_own_field() -> None:
    """A value remembered as a good service is not taken for a good client."""
    parse_record(make("request").data)
    with pytest.raises(Malformed):
        parse_record(make("request", client=VALUES["service"]).data)


def test_fields_come_out_with_their_types() -> None:
    """Numbers, commitments and bindings are read from the record, not by its users."""
    response = make("response")
    assert response.number("time") == VALUES["time"]
    assert response.commitment("body") == bytes(range(32))
    assert response.bound_to() == (bytes(range(32)), 41)
    assert make("request-tail").bound_to("head") == (bytes(range(32)), 7)


def test_a_call_that_needs_no_right_names_no_endpoint() -> None:
    """A node's own services are called without an access right; the record says so with a dash."""
    assert parse_record(make("request", endpoint="-").data)["endpoint"] == "-"
