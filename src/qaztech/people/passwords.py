"""Passwords: argon2id hashes that cost the same whether or not there is an account (RFC 9106).

How many are computed at once is limited, because each takes memory; who waits too long is told to come again.
"""

from __future__ import annotations

import secrets
import threading
import unicodedata
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager

from argon2 import DEFAULT_HASH_LENGTH, DEFAULT_RANDOM_SALT_LENGTH, PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.low_level import ARGON2_VERSION

from qaztech.core.errors import Limited, Malformed
from qaztech.people.parameters import Parameters

_FEWEST_CHARACTERS = 5
# Letters and digits that are not mistaken for one another when read aloud or typed.
_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"


class Passwords:
    """Hashes and compares passwords, from any thread."""

    def __init__(self, parameters: Parameters) -> None:
        self._parameters = parameters
        self._hasher = PasswordHasher(
            time_cost=parameters.argon2_passes,
            memory_cost=parameters.argon2_memory_kib,
            parallelism=parameters.argon2_lanes,
            type=Type.ID,
        )
        self._room = threading.BoundedSemaphore(parameters.hashing_at_once)
        # Compared with when there is no account or no password, so that an answer takes as long.
        self._nobody = _hash_of_nothing(parameters)

    def hash(self, password: str) -> str:
        """The hash to keep."""
        with self._turn():
            return self._hasher.hash(_normal(password))

    def matches(self, password: str, kept: str | None) -> bool:
        """Whether this is the password; never for None, after the same work."""
        if len(password) > self._parameters.password_max:
            password = ""
        with self._turn():
            try:
                return self._hasher.verify(kept or self._nobody, _normal(password)) and kept is not None
            except (VerificationError, InvalidHashError):
                return False

    def is_outdated(self, kept: str) -> bool:
        """Whether a hash was made with other parameters than today's."""
        return self._hasher.check_needs_rehash(kept)

    def check(self, password: str, name: str) -> None:
        """Refuse a password that anybody would guess. Raises `Malformed`, which does not repeat it."""
        least = self._parameters.password_min
        if not least <= len(password) <= self._parameters.password_max:
            raise Malformed(
                "password.length", f"a password has {least} to {self._parameters.password_max} characters", at="caller"
            )
        if len(set(password)) < _FEWEST_CHARACTERS or name.casefold() in password.casefold():
            raise Malformed("password.weak", "that password is too easy to guess", at="caller")

    @contextmanager
    def _turn(self) -> Iterator[None]:
        if not self._room.acquire(timeout=self._parameters.hashing_wait_seconds):
            raise Limited("sign-in.busy", "too many people sign in at this moment", at="caller", retry_after=5)
        try:
            yield
        finally:
            self._room.release()


def made_password() -> str:
    """A password to be printed once: 20 characters, 99 bits."""
    return "-".join("".join(secrets.choice(_ALPHABET) for _ in range(5)) for _ in range(4))


def _hash_of_nothing(parameters: Parameters) -> str:
    """What is a hash by its look and its cost (RFC 9106), and of no password: nothing is computed for it."""
    cost = f"m={parameters.argon2_memory_kib},t={parameters.argon2_passes},p={parameters.argon2_lanes}"
    salt, digest = (
        b64encode(secrets.token_bytes(size)).decode().rstrip("=")
        for size in (DEFAULT_RANDOM_SALT_LENGTH, DEFAULT_HASH_LENGTH)
    )
    return f"$argon2id$v={ARGON2_VERSION}${cost}${salt}${digest}"


def _normal(password: str) -> str:
    # The same password typed on two keyboards is the same password (NIST SP 800-63B, 5.1.1.2).
    return unicodedata.normalize("NFKC", password)
