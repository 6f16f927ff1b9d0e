"""Salted commitments: a record names what was sent without disclosing it.

    salt       = HMAC-SHA-256(key = secret, message = field name in ASCII)
    commitment = SHA-256(salt ‖ SHA-256(value))

One 32-byte random secret a message. Whoever is given the salt of one field can check that field and no other; once
secret and data are deleted the commitment can no longer be opened. The fields are `path`, `query`, `headers`, `body`.
"""

from __future__ import annotations

import hmac
from hashlib import sha256

SECRET_SIZE = 32
PATH, QUERY, HEADERS, BODY = "path", "query", "headers", "body"
FIELDS = (PATH, QUERY, HEADERS, BODY)
EMPTY_DIGEST = sha256(b"").digest()
_NAMES = {field: field.encode() for field in FIELDS}


def salt(secret: bytes, field: str) -> bytes:
    """The 32-byte salt of one field of the message that has this secret."""
    return hmac.digest(secret, _NAMES[field], "sha256")


def commit_digest(salt_: bytes, digest: bytes) -> bytes:
    """The commitment to a value of which only the SHA-256 is at hand."""
    return sha256(salt_ + digest).digest()


def commit(secret: bytes, field: str, value: bytes) -> bytes:
    """The 32-byte commitment to `value`."""
    return sha256(hmac.digest(secret, _NAMES[field], "sha256") + sha256(value).digest()).digest()
