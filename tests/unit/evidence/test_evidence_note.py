"""Signed notes and verifier keys: form, strictness, round trips."""

from __future__ import annotations

from base64 import b64encode

import pytest

from qaztech.core.errors import Malformed
from qaztech.evidence.note import (
    COSIGNATURE_ED25519,
    ED25519,
    MAX_NOTE_BYTES,
    MAX_SIGNATURES,
    ML_DSA_44,
    Note,
    SignatureLine,
    VerifierKey,
    format_note,
    key_id,
    parse_note,
    parse_signature_lines,
)

LINE = "— a.example/log " + b64encode(b"\1\2\3\4signature").decode() + "\n"


def test_a_note_is_read_and_written_back() -> None:
    """Text and signatures come out as they went in, empty lines and non-ASCII text included."""
    data = f"одна строка\n\nтағы бір жол\n\n{LINE}".encode()
    note = parse_note(data)
    assert note.text == "одна строка\n\nтағы бір жол\n".encode()
    assert note.signatures == (SignatureLine("a.example/log", b"\1\2\3\4", b"signature"),)
    assert format_note(note) == data


def test_the_last_blank_line_divides() -> None:
    """What looks like a signature before the last blank line is text."""
    note = parse_note(f"text\n\n{LINE}\n{LINE}".encode())
    assert note.text == f"text\n\n{LINE}".encode()
    assert len(note.signatures) == 1


@pytest.mark.parametrize(
    "data",
    [
        "",
        "text\n",
        "text\n\n",
        f"text\n{LINE}",
        f"text\n\n{LINE[:-1]}",
        f"text\n\n{LINE}\n",
        f"te\txt\n\n{LINE}",
        f"te\rxt\n\n{LINE}",
        f"te\0xt\n\n{LINE}",
        f"text\n\n{LINE[:-1]}\r\n",
        f"text\n\n-{LINE[1:]}",
        f"text\n\n—{LINE[2:]}",
        f"text\n\n{LINE.replace('a.example/log', '')}",
        f"text\n\n{LINE.replace('a.example/log', 'a+b')}",
        "text\n\n" + LINE.replace("a.example/log", "a\u00a0b"),
        "text\n\n" + LINE.replace("a.example/log", "a\u2028b"),
        f"text\n\n{LINE[:-1]} \n",
        f"text\n\n{LINE[:-1]}=\n",
        "text\n\n— a AQIDBA==\n",
        "text\n\n— a \n",
        "text\n\n— a\n",
        "text\n\n— a AQIDBAV=\n",  # not canonical: the last bits are not zero
        "text\n\n— a AQID BAU=\n",
        "text\n\n— a AQIDBA_-\n",
    ],
)
def test_what_is_not_a_note_is_refused(data: str) -> None:
    """Anything but the exact form is malformed."""
    with pytest.raises(Malformed):
        parse_note(data.encode())


def test_a_note_is_utf8() -> None:
    """Bytes that are not UTF-8 are refused in the text and under it."""
    for data in (b"te\xffxt\n\n" + LINE.encode(), b"text\n\n" + LINE.encode().replace(b"a.ex", b"a\xff")):
        with pytest.raises(Malformed):
            parse_note(data)


def test_a_note_has_limits() -> None:
    """Size and number of signatures are limited; sixteen signatures and more fit."""
    assert len(parse_note(f"text\n\n{LINE * MAX_SIGNATURES}".encode()).signatures) == MAX_SIGNATURES
    for data in (f"text\n\n{LINE * (MAX_SIGNATURES + 1)}", "x" * MAX_NOTE_BYTES + f"\n\n{LINE}"):
        with pytest.raises(Malformed):
            parse_note(data.encode())


def test_a_text_without_final_newline_is_not_written() -> None:
    """A note whose text does not end in a newline cannot be formed."""
    with pytest.raises(Malformed):
        format_note(Note(b"text", ()))


def test_signatures_are_added_once() -> None:
    """Lines already under the note are not doubled; order is kept."""
    one, two = SignatureLine("a", b"1234", b"x"), SignatureLine("b", b"1234", b"x")
    assert Note(b"t\n", (one,)).with_signatures([one, two, two]).signatures == (one, two)


def test_signature_lines_stand_alone() -> None:
    """A witness's answer is lines without a text."""
    assert len(parse_signature_lines((LINE + LINE).encode())) == 2
    for data in (b"", b"\n", LINE.encode() + b"\n", b"\xff\n"):
        with pytest.raises(Malformed):
            parse_signature_lines(data)


@pytest.mark.parametrize(("kind", "size"), [(ED25519, 32), (COSIGNATURE_ED25519, 32), (ML_DSA_44, 1312)])
def test_a_vkey_is_read_and_written_back(kind: int, size: int) -> None:
    """A verifier key survives its text form, whose id depends on name, type and key."""
    key = VerifierKey.of("kz.example/w", kind, bytes(size))
    assert VerifierKey.parse(str(key)) == key
    assert key.key_id == key_id("kz.example/w", kind, bytes(size))
    assert VerifierKey.of("kz.example/v", kind, bytes(size)).key_id != key.key_id


def test_a_mangled_vkey_is_refused() -> None:
    """Wrong id, type, length, name and base64 are all refused."""
    good = str(VerifierKey.of("name", ED25519, bytes(32)))
    name, identifier, material = good.split("+", 2)
    for vkey in (
        "",
        "name",
        "name+",
        f"{name}+{identifier}",
        f"+{identifier}+{material}",
        f"other+{identifier}+{material}",
        f"{name}+{identifier.upper()}+{material}" if identifier.upper() != identifier else "x",
        f"{name}+{identifier[:-1]}+{material}",
        f"{name}+٠٠٠٠٠٠٠٠+{material}",
        f"{name}+{identifier}+{material[:-4]}",
        f"{name}+{identifier}+{material}\n",
        f"na me+{identifier}+{material}",
        f"na\udce9me+{identifier}+{material}",
        str(VerifierKey("name", key_id("name", 0x7F, bytes(32)), 0x7F, bytes(32))),
        str(VerifierKey("name", key_id("name", ED25519, bytes(31)), ED25519, bytes(31))),
    ):
        with pytest.raises(Malformed):
            VerifierKey.parse(vkey)


def test_a_line_is_told_by_name_and_id() -> None:
    """A line belongs to a key only if both name and id are its own."""
    key = VerifierKey.of("name", ED25519, bytes(32))
    assert key.made(SignatureLine("name", key.key_id, b"x"))
    assert not key.made(SignatureLine("Name", key.key_id, b"x"))
    assert not key.made(SignatureLine("name", b"0000", b"x"))
