"""The settings of signing in, with the defaults of a small machine. Values only; who reads them is elsewhere."""

from __future__ import annotations

from dataclasses import dataclass

MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """All limits of signing in. Times are milliseconds unless the name says otherwise."""

    # argon2id: OWASP's first choice, 46 MiB and one pass. Two at once are 92 MiB, which a 1 GB machine bears.
    argon2_memory_kib: int = 47_104
    argon2_passes: int = 1
    argon2_lanes: int = 1
    hashing_at_once: int = 2
    hashing_wait_seconds: float = 10.0
    password_min: int = 12
    password_max: int = 256
    session_idle: int = 30 * MINUTE
    session_absolute: int = 12 * HOUR
    # A new way in (passkey, token) is added only in a session that began so recently: a session left open or stolen
    # must not become more than itself.
    session_fresh: int = 15 * MINUTE
    # How old "last seen" may get before it is written again: a page with twenty requests is one write.
    session_touch: int = MINUTE
    ceremony: int = 5 * MINUTE
    token_longest: int = 366 * DAY
    # Guesses of a password that cost nothing (at one account from one network, at one account, from one network), then
    # a delay that doubles with each further one.
    free_by_both: int = 5
    free_by_account: int = 40
    free_by_address: int = 20
    first_delay: int = 1_000
    longest_delay: int = 15 * MINUTE
    forget_attempts: int = HOUR
