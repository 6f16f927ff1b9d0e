"""The admin log for anyone (`/registry/admin-log/…`): its public part, and the proof of every entry by its hash.

What may be seen is decided in `public_acts`. The entries themselves are for those who may read acts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from qaztech.core.errors import Malformed, NotFound
from qaztech.evidence.checkpoint import SignedCheckpoint
from qaztech.evidence.proof import TlogProof
from qaztech.people.acts import LoggedAct
from qaztech.registry.management import whole
from qaztech.registry.public_acts import MOST_AT_ONCE, ActsPage, find_acts, public_act

MAX_KIND = 100
SHOWN = 50


class PublicLog(Protocol):
    """The admin log, as its public part is made from it."""

    origin: str

    @property
    def vkey(self) -> str:
        """What it is verified by."""
        ...

    @property
    def size(self) -> int:
        """Entries under the newest signed head."""
        ...

    def acts(self, *, newest_first: bool = True, limit: int = 50, before: int | None = None) -> Sequence[LoggedAct]:
        """Acts by their place."""
        ...

    def leaf_hash(self, index: int) -> bytes:
        """The leaf hash of an entry."""
        ...

    def inclusion_proof(self, index: int, size: int) -> list[bytes]:
        """RFC 6962 inclusion proof."""
        ...


class ActService:
    """The routes. `witnessed` gives the newest checkpoint of the log that a quorum cosigned, as a note, or nothing."""

    def __init__(self, log: PublicLog, *, witnessed: Callable[[], bytes]) -> None:
        self._log = log
        self._witnessed = witnessed

    def routes(self) -> list[BaseRoute]:
        """Both. They run on the loop that owns the log."""
        return [
            Route("/registry/admin-log/acts", self._acts),
            Route("/registry/admin-log/proofs/{index:int}", self._proof),
        ]

    async def _acts(self, request: Request) -> Response:
        """`?kind=` the kind of act or its beginning, `?before=` an index, `?limit=` how many."""
        kind, limit = request.query_params.get("kind", ""), whole(request, "limit")
        limit = SHOWN if limit is None else limit
        if len(kind) > MAX_KIND or not 1 <= limit <= MOST_AT_ONCE:
            raise Malformed("request.malformed", f"a limit is 1 to {MOST_AT_ONCE}", at="caller")
        found, older = find_acts(
            lambda before: self._log.acts(limit=MOST_AT_ONCE, before=before),
            kind=kind, before=whole(request, "before"), limit=limit,
        )  # fmt: skip
        note = self._witnessed()
        page = ActsPage(
            origin=self._log.origin,
            vkey=self._log.vkey,
            size=self._log.size,
            witnessed=SignedCheckpoint.parse(note).size if note else 0,
            checkpoint=note.decode(),
            acts=tuple(public_act(logged, self._log.leaf_hash(logged.index)) for logged in found),
            older=older,
        )
        return Response(msgspec.json.encode(page), media_type="application/json", headers={"Cache-Control": "no-store"})

    async def _proof(self, request: Request) -> Response:
        index, note = request.path_params["index"], self._witnessed()
        size = SignedCheckpoint.parse(note).size if note else 0
        if index >= size:
            raise NotFound("act.unwitnessed", "no witnessed proof of such an act yet", at="registry")
        proof = TlogProof(index=index, hashes=tuple(self._log.inclusion_proof(index, size)), checkpoint=note)
        return Response(proof.format(), media_type="text/plain; charset=utf-8", headers={"Cache-Control": "no-store"})
