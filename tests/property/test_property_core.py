"""Generated tests of the words: what is written can be read, and no input brings out anything but our own errors."""

from __future__ import annotations

import re
import string
from contextlib import suppress
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qaztech.core.bin import check_digit, has_valid_checksum, reserved_bin
from qaztech.core.commitment import FIELDS, commit, commit_digest, salt
from qaztech.core.errors import Malformed
from qaztech.core.ids import MemberId, NodeId, ServiceId, SubsystemId
from qaztech.core.record import KINDS, Kind, format_record, hash_text, parse_record
from qaztech.core.rights import METHODS, Endpoint, normal_path

_NOT_IN_PARTS = "%:;/\\\u200b\ufeff\u2028\u2029"
_part_characters = st.characters(codec="utf-8", exclude_characters=_NOT_IN_PARTS, exclude_categories=["Cc"])
parts = st.text(_part_characters, min_size=1, max_size=20).filter(lambda part: part not in {".", ".."})
members = st.builds(MemberId, parts, parts, parts)
subsystems = st.builds(SubsystemId, members, parts)
services = st.builds(ServiceId, subsystems, parts)
numbers = st.integers(0, 10**19 - 1)
hashes = st.binary(min_size=32, max_size=32).map(hash_text)
origins = st.builds(
    "{}/log/{}".format,
    st.text(string.ascii_lowercase + string.digits + ".-", min_size=1, max_size=100),
    st.text("0123456789abcdef", min_size=20, max_size=20),
)
segments = st.text(string.ascii_letters + string.digits + "-._~!$&'()+,;=:@", max_size=8)
endpoints = st.builds(
    Endpoint,
    st.sampled_from((*METHODS, "*")),
    st.lists(segments | st.just("*"), min_size=1, max_size=5).map(lambda s: "/" + "/".join(s)),
)
bindings = st.builds("{} {}".format, hashes, numbers)


@st.composite
def record_fields(draw: st.DrawFn) -> tuple[Kind, dict[str, str]]:
    """A kind and well-formed values for every field any kind has."""
    kind: Kind = draw(st.sampled_from(KINDS))  # type: ignore[arg-type]
    streamed = kind in {"request", "response"} and draw(st.booleans())
    values = {
        "message": str(draw(st.uuids())),
        "from_": draw(origins),
        "to": draw(origins),
        "client": str(draw(subsystems)),
        "service": str(draw(services)),
        "method": draw(st.sampled_from(METHODS)),
        "endpoint": str(draw(endpoints | st.just("-"))),
        "snapshot": f"{draw(st.integers(1, 10**19 - 1))} {draw(st.binary(min_size=32, max_size=32)).hex()}",
        "size": "-" if streamed else str(draw(numbers)),
        "body": "-" if streamed else draw(hashes),
        "status": str(draw(st.integers(100, 599))),
        "code": draw(st.from_regex(r"[a-z0-9_-]{1,64}(\.[a-z0-9_-]{1,64}){0,7}", fullmatch=True)),
        "outcome": draw(st.sampled_from(["complete", "aborted"])),
    }
    values |= {name: str(draw(numbers)) for name in ("time", "expires", "attempt")}
    values |= {name: draw(hashes) for name in ("path", "query", "headers")}
    values |= {name: draw(bindings) for name in ("request", "head")}
    return kind, values


@given(services)
def test_an_identifier_survives_being_written_and_read(service: ServiceId) -> None:
    """Parse is the inverse of format, on every level, and the written form is plain ASCII."""
    assert ServiceId.parse(str(service)) == service
    assert SubsystemId.parse(str(service.subsystem)) == service.subsystem
    assert MemberId.parse(str(service.subsystem.member)) == service.subsystem.member
    assert str(service).isascii()
    assert str(service).count("/") == 4


@given(st.text(max_size=60) | st.text("KZ/.%2Fe5cuü\\;:\n", max_size=60))
def test_text_becomes_an_identifier_or_malformed(text: str) -> None:
    """Nothing but `Malformed` comes out, and what is accepted has one spelling."""
    for kind in (MemberId, SubsystemId, ServiceId, NodeId):
        with suppress(Malformed):
            written = str(kind.parse(text))
            assert str(kind.parse(written)) == written


@given(record_fields())
def test_a_record_survives_being_written_and_read(made: tuple[Kind, dict[str, str]]) -> None:
    """Parse is the inverse of format, for every kind."""
    kind, values = made
    record = format_record(kind, **values)
    assert parse_record(record.data) == record


@given(record_fields(), st.integers(0, 2**32), st.binary(max_size=3))
def test_a_record_with_bytes_changed_is_another_record_or_none(
    made: tuple[Kind, dict[str, str]], where: int, replacement: bytes
) -> None:
    """Any change of bytes is malformed or means something else: no two spellings of one record exist."""
    record = format_record(made[0], **made[1])
    position = where % len(record.data)
    for length in range(3):
        changed = record.data[:position] + replacement + record.data[position + length :]
        if changed == record.data:
            continue
        with suppress(Malformed):
            other = parse_record(changed)
            assert other.data == changed
            assert (other.kind, other.fields) != (record.kind, record.fields)


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda t: f"qaztech-record 1\nkind request\n{t}\n".encode()))
def test_bytes_become_a_record_or_malformed(data: bytes) -> None:
    """Nothing but `Malformed` comes out of the parser."""
    with suppress(Malformed):
        parse_record(data)


@given(endpoints)
def test_a_right_survives_being_written_and_read(endpoint: Endpoint) -> None:
    """Parse is the inverse of format."""
    assert Endpoint.parse(str(endpoint)) == endpoint


@given(st.text(max_size=40) | st.text("GET /*ab%2F.?", max_size=40))
def test_text_becomes_a_right_or_malformed(text: str) -> None:
    """Nothing but `Malformed` comes out of the parser."""
    with suppress(Malformed):
        assert str(Endpoint.parse(text)) == text


def _covers(pattern: list[str], path: list[str]) -> bool:
    """The meaning of a pattern, spelled out segment by segment."""
    if not pattern:
        return not path
    if pattern[0] == "**":
        return any(_covers(pattern[1:], path[n:]) for n in range(len(path) + 1))
    return bool(path) and pattern[0] in {"*", path[0]} and _covers(pattern[1:], path[1:])


def _decoded(segments: list[str]) -> list[str]:
    """The segments a system sees that decodes escaped separators and takes several in a row for one."""
    return re.sub("(?:/|%2F)+", "/", "/" + "/".join(segments)).split("/")[1:]


@given(
    st.lists(st.sampled_from(["a", "b", "%2F", "*", "**", ""]), min_size=1, max_size=6).filter(
        lambda s: s.count("**") < 3
    ),
    st.lists(st.sampled_from(["a", "b", "%2F", "%2f", "%61", "", "..", "%2e", ".%2E"]), min_size=1, max_size=7),
)
def test_a_pattern_covers_what_its_meaning_says(pattern: list[str], path: list[str]) -> None:
    """The compiled pattern agrees with the definition, in both readings; dot segments match nothing."""
    endpoint = Endpoint.parse("GET /" + "/".join(pattern))
    normal = [normal_path(segment) for segment in path]
    expected = _covers(pattern, normal) and _covers(_decoded(pattern), _decoded(normal))
    expected = expected and not {".", ".."} & set(normal)
    assert endpoint.covers("GET", "/" + "/".join(path)) == expected


@given(st.text("/ab.%2Fe5C~*", max_size=30))
def test_a_normal_path_is_normal(path: str) -> None:
    """Normalising neither makes nor removes a separator, and undoes one layer of escapes, not two."""
    assert normal_path(path).count("/") == path.count("/")
    assert normal_path(path.replace("%", "%25")) == path.replace("%", "%25")


@given(st.binary(min_size=32, max_size=32), st.sampled_from(FIELDS), st.binary(max_size=100))
def test_a_commitment_opens_with_its_salt(secret: bytes, field: str, value: bytes) -> None:
    """Whoever is given the salt and the value arrives at the commitment; any other salt leads elsewhere."""
    opened = commit(secret, field, value)
    assert commit_digest(salt(secret, field), sha256(value).digest()) == opened
    for other in set(FIELDS) - {field}:
        assert commit_digest(salt(secret, other), sha256(value).digest()) != opened


@given(st.text("0123456789", min_size=11, max_size=11))
def test_a_check_digit_makes_a_number_valid(eleven: str) -> None:
    """Exactly the digit computed passes."""
    valid = [d for d in range(10) if has_valid_checksum(f"{eleven}{d}")]
    assert valid == ([] if check_digit(eleven) is None else [check_digit(eleven)])


@given(st.text(max_size=14) | st.text("0123456789²٣", max_size=14))
def test_any_text_is_a_valid_number_or_not(text: str) -> None:
    """The checksum answers yes or no and raises nothing."""
    assert has_valid_checksum(text) in {True, False}


@pytest.mark.parametrize("serial", [0, 1, 99_999])
def test_reserved_numbers_exist_for_the_whole_range(serial: int) -> None:
    """The first, the second and the last serial have a number."""
    assert has_valid_checksum(reserved_bin(serial))
