"""A node looks after its own certificate: renews it at two thirds of its life, and changes to a new TLS key when told.

Renewal asks the registry (`registry.renewal`) and believes nothing of the answer before it is checked. A change of key:
`qaztech node new-key` makes the key, the member's file names both, the registry certifies the new one; when everybody
has had time to hear of it the node shows it, makes its links anew beside the old ones, and lets those end by
themselves. No link is dropped and no exchange touched; when nothing uses the old key it may be revoked.
"""

from __future__ import annotations

import asyncio
import json
import logging
from base64 import b64encode
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from cryptography.hazmat.primitives.asymmetric import ec

from qaztech.core.errors import Error, Unavailable, Untrusted
from qaztech.core.ids import NodeId
from qaztech.core.time import Clock
from qaztech.node.tls_files import TlsFiles
from qaztech.registry.client import Alarm
from qaztech.registry.renewal import renewal_statement
from qaztech.runtime.telemetry import log_error
from qaztech.trust.certificates import Period, certificate_request, check_issued, key_spki_hash, sign_with

logger = logging.getLogger("qaztech.certificate")

# Seconds between two looks at the files and the clock.
LOOK_EVERY: Final = 5.0
# Seconds before the first repetition after a failure, and before any later one.
FIRST_PAUSE: Final = 10.0
LONGEST_PAUSE: Final = 3600.0
# And once the certificate has ended, when every moment counts.
PAUSE_AFTER_THE_END: Final = 15.0
# Milliseconds before a certificate is renewed again that is due at once.
DUE_AGAIN: Final = 60_000
# So many failures one after another are told; before, it may be that somebody restarts the registry.
TELL_AFTER: Final = 3
Post = Callable[[str, bytes, str], Awaitable[tuple[int, str, bytes]]]


class Wire(Protocol):
    """The links, and the TLS they speak."""

    def reload(self) -> None:
        """Show the certificate there is now to whoever comes next. Raises `Malformed`."""
        ...

    def remake(self) -> int:
        """Make links anew that were made before the last change of key; how many are still left."""
        ...

    def changed_key(self) -> None:
        """From here on every link there is counts as one of the old key."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Whose certificate it is, and whom it asks.

    `authorities` gives the instance's (PEM); `names` tells whether the configuration names a TLS key for the node;
    `overlap` is for how many milliseconds it must have named a new one before it is shown.
    """

    node: NodeId
    registry: str
    clock: Clock
    post: Post
    authorities: Callable[[], Sequence[str]]
    names: Callable[[bytes], bool]
    overlap: int


def renews_at(period: Period) -> int:
    """When two thirds of a certificate's life are over (milliseconds since 1970)."""
    return period.begins + (period.ends - period.begins) * 2 // 3


def pause(failures: int, left: int) -> float:
    """Seconds until the next attempt after so many failures, `left` milliseconds before the certificate ends.

    It doubles each time up to an hour; yet near the end, also of a short life, there are always some attempts left.
    """
    growing: float = min(FIRST_PAUSE * 2 ** min(failures - 1, 20), LONGEST_PAUSE)
    bound = left / 1000 / 8 if left > 0 else PAUSE_AFTER_THE_END
    return max(1.0, min(growing, bound))


class Certificate:
    """The certificate of one running node. Everything runs on the loop."""

    def __init__(self, place: Place, files: TlsFiles, wire: Wire) -> None:
        self._place = place
        self._files = files
        self._wire = wire
        self.period = files.period()
        self._known = files.known()
        self._key, self._next = files.spki(), files.next_spki()
        self._failures = 0
        self._failure: tuple[int, Error] | None = None
        self._again = 0
        self._named_since: int | None = None
        self._left: int | None = None
        self._looking = asyncio.Lock()

    @property
    def known(self) -> frozenset[bytes]:
        """SHA-256 of every TLS key (SPKI) that is this node's."""
        return self._known

    @property
    def left(self) -> frozenset[bytes]:
        """Those of them that it uses no more."""
        return self._known - {self._key, self._next}

    async def run(self) -> None:
        """Look after it for as long as the node runs."""
        while True:
            await self.look()
            due = (max(renews_at(self.period), self._again) - self._place.clock.now()) / 1000
            await asyncio.sleep(max(0.2, min(LOOK_EVERY, due)))

    async def look(self, *, at_once: bool = False) -> None:
        """Do what is to be done now, if anything. Failures are kept for `alarms` and tried again after a pause.

        `at_once` does not wait for the pause to end: somebody has mended what was wrong.
        """
        async with self._looking:
            if at_once:
                self._again = 0
            await self._look()

    async def _look(self) -> None:
        now = self._place.clock.now()
        if now < self._again:
            return
        try:
            if now >= renews_at(self.period):
                await self._renew()
            await self._change(now)
        except Error as exc:
            self._failed(exc, now)
        except OSError as exc:
            detail = "the disk does not take the certificate"
            self._failed(Unavailable("disk.failed", detail, context=repr(exc)), now)
        else:
            self._failures, self._failure = 0, None
            # One that is due again as soon as it comes, by a registry whose clock is far behind, is no reason to hurry.
            self._again = now + DUE_AGAIN if renews_at(self.period) <= now else 0

    def alarms(self) -> list[Alarm]:
        """What has failed for so long that people must hear of it."""
        if self._failure is None or self._failures < TELL_AFTER:
            return []
        since, why = self._failure
        detail = f"the certificate cannot be renewed: {why.detail} ({why.code}); it ends in {self._days_left()} days"
        return [Alarm(code="certificate.not-renewed", detail=detail, since=since)]

    def facts(self) -> dict[str, Any]:
        """For `GET /status`; keys are base64 of SHA-256 of the SPKI, times milliseconds."""
        return {
            "key": _b64(self._key),
            "ends": self.period.ends,
            "renews": renews_at(self.period),
            "failure": self._failure[1].code if self._failure is not None else None,
            "next_key": None if self._next is None else {"key": _b64(self._next), "named": self._named_since},
            "links_of_old_key": self._left,
        }

    def _days_left(self) -> int:
        return max(0, (self.period.ends - self._place.clock.now()) // 86_400_000)

    def _failed(self, exc: Error, now: int) -> None:
        self._failures += 1
        since = self._failure[0] if self._failure is not None else now
        self._failure = (since, exc)
        self._again = now + int(pause(self._failures, self.period.ends - now) * 1000)
        log_error(logger, "the certificate was not renewed", exc, again=self._again)

    # Renewal -------------------------------------------------------------------------------------------------------

    async def _renew(self) -> None:
        pem, period = await self._certified(self._files.key())
        if period.ends <= self.period.ends:
            detail = "the new certificate ends no later than the one there is"
            raise Untrusted("certificate.answer", detail, at="registry")
        self._files.replace(pem)
        self._wire.reload()
        self.period = period
        logger.info("certificate renewed", extra={"fields": {"ends": period.ends}})

    async def _certified(self, key: ec.EllipticCurvePrivateKey) -> tuple[bytes, Period]:
        """A certificate of the registry for one of this node's keys, checked."""
        place = self._place
        request, time = certificate_request(key, place.node), place.clock.now()
        statement = renewal_statement(place.node.member.instance, place.node, time, request)
        asked = {
            "node": str(place.node),
            "time": time,
            "request": request.decode(),
            "signature": _b64(sign_with(key, statement)),
        }
        url = f"{place.registry.rstrip('/')}/certificates/renew"
        status, _, body = await place.post(url, json.dumps(asked).encode(), "application/json")
        pem = _pem(status, body)
        period = check_issued(
            pem, spki=key_spki_hash(key), node=place.node, authorities=place.authorities(), now=place.clock.now()
        )
        return pem, period

    # A change of key -------------------------------------------------------------------------------------------------

    async def _change(self, now: int) -> None:
        key = self._files.next_key()
        self._next = key_spki_hash(key) if key is not None else None
        if key is None:
            if self._left is not None:
                self._left = self._wire.remake()
            return
        self._known = self._files.known()
        if not self._place.names(key_spki_hash(key)):
            self._named_since = None  # its member has still to name it, or takes it back
            return
        if self._named_since is None:
            self._named_since = now
        if not self._files.has_next_certificate():
            pem, _ = await self._certified(key)
            self._files.put_next(pem)
        if now >= self._named_since + self._place.overlap:
            self._take_next()

    def _take_next(self) -> None:
        # Nothing is dialled meanwhile: this is one step of the loop that dials.
        self._files.take_next()
        self.period, self._known, self._named_since = self._files.period(), self._files.known(), None
        self._key, self._next = self._files.spki(), None
        self._wire.changed_key()
        self._wire.reload()
        self._left = self._wire.remake()
        logger.info("the TLS key was changed", extra={"fields": {"key": _b64(self._key)}})


def _b64(data: bytes) -> str:
    return b64encode(data).decode()


def _pem(status: int, body: bytes) -> bytes:
    """The certificate in an answer; raises `Unavailable` with the registry's code where there is none."""
    try:
        said = json.loads(body)
        if status == 201:
            return str(said["certificate"]).encode("ascii")
        code = str(said["code"])
    except (ValueError, KeyError, TypeError) as exc:
        raise Unavailable("certificate.refused", f"the registry answers {status}", at="registry") from exc
    raise Unavailable("certificate.refused", f"the registry says {code[:60]}", at="registry")
