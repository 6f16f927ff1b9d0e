"""Every error of the project, in one tree.

Error:
    ├── Malformed        400  the input does not have the form it must have
    ├── Unauthenticated  401  the caller is not known
    ├── Forbidden        403  the caller is known and may not
    ├── NotFound         404  no such thing here
    ├── Conflict         409  the state changed meanwhile, or stands against it
    ├── Limited          429  over a limit that is a setting
    ├── Untrusted        502  a verification failed, whatever the reason
    ├── Unavailable      503  a part that is needed does not answer
    ├── Internal         500  our own fault
    └── Halt             503  the log stops rather than fork

`detail` may be shown to the caller; `context` is only ever logged and holds no personal data. `code` is a stable
slug. Verifiers turn every library exception into `Untrusted`; parsers raise `Malformed` and nothing else.
"""

from __future__ import annotations

from typing import ClassVar, Literal

At = Literal["caller", "consumer-node", "provider-node", "service", "registry", "log"]


class Error(Exception):
    """The root: what went wrong (`code`, `detail`), and on whose side (`at`)."""

    status: ClassVar[int] = 500

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        at: At = "consumer-node",
        context: str = "",
        retry_after: int | None = None,
    ) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail
        self.at: At = at
        self.context = context
        self.retry_after = retry_after


class Malformed(Error):
    """The input does not have the form it must have."""

    status = 400


class Unauthenticated(Error):
    """The caller could not be identified."""

    status = 401


class Forbidden(Error):
    """The caller is known and may not do this."""

    status = 403


class NotFound(Error):
    """Nothing by that name here."""

    status = 404


class Conflict(Error):
    """The request stands against the present state."""

    status = 409


class Limited(Error):
    """Over a limit; `retry_after` says when to come again, in seconds."""

    status = 429


class Untrusted(Error):
    """A verification failed: signature, proof, version, time, key. One error for all of them."""

    status = 502


class Unavailable(Error):
    """A part that is needed does not answer now."""

    status = 503


class Internal(Error):
    """Our own fault."""

    status = 500


# What a process ends with whose log must not go on: it is not to be started again by itself.
FINAL_STATUS = 4
_FINAL = frozenset({"log.closed", "log.contradicted", "log.damaged", "log.identity"})


class Halt(Error):
    """The log stops: going on could contradict what has been signed, or lose what was promised."""

    status = 503

    @property
    def is_final(self) -> bool:
        """Whether a new start mends nothing: what the disk holds stands against what was signed."""
        return self.code in _FINAL
