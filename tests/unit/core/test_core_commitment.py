"""Salted commitments: computed here a second time, from the page and RFC 2104 alone."""

from __future__ import annotations

from hashlib import sha256

from qaztech.core.commitment import BODY, EMPTY_DIGEST, FIELDS, HEADERS, PATH, QUERY, commit, commit_digest, salt

SECRET = bytes([0xBB]) * 32


def hmac_by_hand(key: bytes, message: bytes) -> bytes:
    """HMAC-SHA-256 spelled out (RFC 2104), for keys of at most one block."""
    key = key.ljust(64, b"\0")
    inner = sha256(bytes(k ^ 0x36 for k in key) + message).digest()
    return sha256(bytes(k ^ 0x5C for k in key) + inner).digest()


def test_a_commitment_is_what_the_page_says() -> None:
    """Secret to salt to commitment, step by step."""
    expected_salt = hmac_by_hand(SECRET, b"path")
    assert salt(SECRET, PATH) == expected_salt
    assert commit(SECRET, PATH, b"/countries/KZ") == sha256(expected_salt + sha256(b"/countries/KZ").digest()).digest()


def test_a_commitment_can_be_made_from_a_digest() -> None:
    """A streamed body is hashed on its way; its digest is enough."""
    body = b"x" * 100_000
    assert commit_digest(salt(SECRET, BODY), sha256(body).digest()) == commit(SECRET, BODY, body)
    assert commit_digest(salt(SECRET, BODY), EMPTY_DIGEST) == commit(SECRET, BODY, b"")


def test_the_salt_of_one_field_opens_no_other() -> None:
    """The same value under the same secret has another commitment in each field."""
    assert FIELDS == (PATH, QUERY, HEADERS, BODY) == ("path", "query", "headers", "body")
    assert len({commit(SECRET, field, b"same") for field in FIELDS}) == len(FIELDS)
    assert len({salt(SECRET, field) for field in FIELDS}) == len(FIELDS)


def test_the_same_value_in_two_messages_cannot_be_recognised() -> None:
    """Two messages have two secrets, so equal values have unequal commitments."""
    assert commit(bytes(32), BODY, b"same") != commit(SECRET, BODY, b"same")
