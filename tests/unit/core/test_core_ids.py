"""Identifiers: what is accepted, how it is spelled, what is refused."""

from __future__ import annotations

import pytest

from qaztech.core.errors import Malformed
from qaztech.core.ids import MAX_PART, MemberId, NodeId, ServiceId, SubsystemId

REFUSED_PARTS = {
    "empty": "",
    "a dot": ".",
    "two dots": "..",
    "escaped dots": "%2E%2e",
    "an escaped slash": "a%2Fb",
    "a backslash": "a\\b",
    "an escaped backslash": "a%5Cb",
    "a colon": "a:b",
    "a semicolon": "a;b",
    "an escaped percent": "a%25b",
    "half an escape": "a%2",
    "not hexadecimal": "a%zz",
    "a control character": "a%00b",
    "a line break": "a\nb",
    "an escaped C1 control": "a%C2%85b",
    "a zero-width space": "a%E2%80%8Bb",
    "a byte-order mark": "a\ufeffb",
    "a line separator": "a%E2%80%A8b",
    "not UTF-8": "a%FFb",
    "an overlong encoding": "a%C0%AF",
    "too long": "a" * (MAX_PART + 1),
}


def test_an_identifier_has_the_parts_of_its_kind() -> None:
    """Each kind of identifier nests the one above it."""
    service = ServiceId.parse("KZ/GOV/991340000017/permits/countries")
    assert service == ServiceId(SubsystemId(MemberId("KZ", "GOV", "991340000017"), "permits"), "countries")
    assert NodeId.parse("KZ/GOV/991340000017/node1") == NodeId(MemberId("KZ", "GOV", "991340000017"), "node1")


@pytest.mark.parametrize("kind", [MemberId, SubsystemId, ServiceId, NodeId])
@pytest.mark.parametrize("parts", range(8))
def test_no_other_number_of_parts_is_accepted(kind: type[MemberId], parts: int) -> None:
    """Three parts name a member, four a subsystem or node, five a service; nothing else names anything."""
    expected = {MemberId: 3, SubsystemId: 4, NodeId: 4, ServiceId: 5}[kind]
    text = "/".join(["x"] * parts)
    if parts == expected:
        assert str(kind.parse(text)) == text
    else:
        with pytest.raises(Malformed):
            kind.parse(text)


@pytest.mark.parametrize("part", REFUSED_PARTS.values(), ids=REFUSED_PARTS)
def test_a_part_that_could_be_misread_is_refused(part: str) -> None:
    """What another program could read as a separator, an escape or a path step is no identifier part."""
    with pytest.raises(Malformed) as caught:
        MemberId.parse(f"KZ/GOV/{part}")
    assert caught.value.code == "identifier.malformed"
    assert caught.value.at == "caller"


def test_text_beyond_ascii_is_escaped_apart_for_each_part() -> None:
    """A Kazakh name crosses as UTF-8 escapes and comes back as it was."""
    subsystem = SubsystemId(MemberId("KZ", "GOV", "991340000017"), "рұқсат беру")
    assert str(subsystem) == "KZ/GOV/991340000017/%D1%80%D2%B1%D2%9B%D1%81%D0%B0%D1%82%20%D0%B1%D0%B5%D1%80%D1%83"
    assert SubsystemId.parse(str(subsystem)) == subsystem


def test_one_identifier_has_one_spelling_when_written() -> None:
    """However it was escaped on the way in, an identifier leaves in one form."""
    spellings = ["KZ/GOV/1/%70ermits%c3%b6", "KZ/GOV/1/permits%C3%B6", "KZ/GOV/1/permitsö"]
    assert {str(SubsystemId.parse(s)) for s in spellings} == {"KZ/GOV/1/permits%C3%B6"}


def test_the_characters_that_stand_for_themselves_do() -> None:
    """The punctuation that the protocol allows in an identifier is not escaped."""
    text = "KZ/GOV/1/a'()+,-.=?!*~_z"
    assert str(SubsystemId.parse(text)) == text


def test_identifiers_sort_and_serve_as_keys() -> None:
    """Identifiers order by their parts and are equal by value."""
    first, second = MemberId("KZ", "COM", "9"), MemberId("KZ", "GOV", "1")
    assert sorted([second, first]) == [first, second]
    assert {first: 1}[MemberId.parse("KZ/COM/9")] == 1


def test_text_that_no_encoding_has_is_refused() -> None:
    """A lone surrogate, as bytes decoded carelessly leave it, is malformed and not a crash."""
    with pytest.raises(Malformed):
        MemberId.parse("KZ/GOV/\ud800")
