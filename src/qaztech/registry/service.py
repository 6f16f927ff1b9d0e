"""The registry's HTTP service: what nodes fetch, the witness's endpoint, how organisations join.

Everything a node fetches is verified by the node, so it is served plainly and to anyone. Not here: deciding
(`management`, and the console's pages), which the process adds as `more` routes.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Protocol

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from qaztech.core.errors import NotFound
from qaztech.core.time import Clock
from qaztech.evidence.checkpoint import SignedCheckpoint
from qaztech.evidence.proof import TlogProof
from qaztech.evidence.tiles import TiledLog, serve
from qaztech.evidence.witness import Witness
from qaztech.registry.api_description import describe_registry
from qaztech.registry.directory import DIRECTORY
from qaztech.registry.forms import MAX_VERSION
from qaztech.registry.joining import Joining
from qaztech.registry.publisher import Publisher
from qaztech.registry.renewal import RenewalRequest, Renewals
from qaztech.registry.store import RegistryStore
from qaztech.runtime.shell import ShellLimits, application, read_json
from qaztech.trust.certificates import Authority

_METADATA = re.compile(r"(?:timestamp|[1-9][0-9]{0,15}\.(?:root|snapshot|targets|b-[0-9a-f]{1,8}))\.json\Z")
_TARGET = re.compile(r"(?:[A-Za-z0-9._~%-]{1,600}/){0,2}[0-9a-f]{64}\.[A-Za-z0-9._~%-]{1,800}\.json\Z")
_DESCRIPTION = re.compile(r"[0-9a-f]{64}\.json\Z")
_GZIP_FROM = 1024
_FOREVER = "public, max-age=31536000, immutable"


class RegistryLog(TiledLog, Protocol):
    """The registry's own log, as it is shown."""

    def inclusion_proof(self, index: int, size: int) -> list[bytes]:
        """RFC 6962 inclusion proof."""
        ...


class RegistryService:
    """The routes. `witnessed` gives the newest checkpoint of the registry's log that a quorum cosigned, as a note.

    `more` are the routes for people, `counts` what is counted there.
    """

    def __init__(
        self,
        *,
        publisher: Publisher,
        store: RegistryStore,
        published: Path,
        anchor: bytes,
        log: RegistryLog,
        witnessed: Callable[[], bytes],
        witness: Witness | None,
        authority: Authority | None,
        clock: Clock,
        joining: Joining | None = None,
        more: Sequence[BaseRoute] = (),
        counts: Callable[[], Mapping[str, float]] = dict,
    ) -> None:
        self._publisher = publisher
        self._joining = joining
        self._registry = publisher.registry
        self._store = store
        self._published = published
        self._anchor = anchor
        self._log = log
        self._witnessed = witnessed
        self._witness = witness
        self._more = more
        self._counts = counts
        self._renewals = Renewals(self._registry, authority, clock)

    def app(self, limits: ShellLimits | None = None) -> ASGIApp:
        """The ASGI application."""
        return application(self.routes(), limits, counts=self._counts)

    def routes(self) -> list[BaseRoute]:
        """All routes of the process."""
        return [
            Route("/registry/metadata/{name}", self._metadata),
            Route("/registry/targets/{path:path}", self._target),
            Route("/registry/descriptions/{name}", self._document),
            Route("/registry/snapshots/{version:int}/proof", self._proof),
            Route("/registry/log/{path:path}", self._tile),
            Route("/anchor", self._get_anchor),
            Route("/directory", self._directory),
            Route("/health", self._health),
            Route("/api/openapi.json", self._describe),
            Route("/certificates/renew", self._renew, methods=["POST"]),
            Route("/witness/add-checkpoint", self._add_checkpoint, methods=["POST"]),
            Route("/witness/{log}/checkpoint", self._seen_checkpoint),
            *(self._joining.routes() if self._joining is not None else ()),
            *self._more,
        ]

    # What nodes fetch. Plain functions: Starlette runs them in threads, for they read files. ----------------------

    def _metadata(self, request: Request) -> Response:
        name = request.path_params["name"]
        if not _METADATA.match(name):
            raise _nothing(name)
        path = self._published / "metadata" / name
        if name == "timestamp.json":
            return Response(_read(path), media_type="application/json", headers={"Cache-Control": "no-cache"})
        return _immutable(request, path)

    def _target(self, request: Request) -> Response:
        # As it was sent: a percent sign in a code is part of the name on disk.
        path = request.scope["raw_path"].decode("ascii", "replace").partition("/registry/targets/")[2]
        if not _TARGET.match(path) or "/.." in f"/{path}" or "/./" in f"/{path}":
            raise _nothing(path[:100])
        return _immutable(request, self._published / "targets" / path)

    def _document(self, request: Request) -> Response:
        name = request.path_params["name"]
        if not _DESCRIPTION.match(name):
            raise _nothing(name[:100])
        data = self._registry.description(name.removesuffix(".json"))
        return Response(data, media_type="application/json", headers={"Cache-Control": _FOREVER})

    # The registry's log belongs to the loop: these run on it. -----------------------------------------------------

    async def _proof(self, request: Request) -> Response:
        version = request.path_params["version"]
        found = self._store.snapshot(version) if version <= MAX_VERSION else None
        note = self._witnessed()
        if found is None or not note:
            raise NotFound("registry.unwitnessed", "no witnessed proof of this snapshot yet", at="registry")
        size = SignedCheckpoint.parse(note).size
        if found[1] >= size:
            raise NotFound("registry.unwitnessed", "no witnessed proof of this snapshot yet", at="registry")
        hashes = tuple(self._log.inclusion_proof(found[1], size))
        proof = TlogProof(index=found[1], hashes=hashes, checkpoint=note)
        return Response(proof.format(), media_type="text/plain; charset=utf-8")

    async def _tile(self, request: Request) -> Response:
        found = serve(self._log, request.path_params["path"], entries=True)
        if found is None:
            raise _nothing(request.path_params["path"][:100])
        return Response(found[1], media_type=found[0])

    # For anyone ---------------------------------------------------------------------------------------------------

    async def _get_anchor(self, _: Request) -> Response:
        return Response(self._anchor, media_type="application/json")

    def _directory(self, _: Request) -> Response:
        return Response(self._registry.content(DIRECTORY), media_type="application/json")

    async def _health(self, _: Request) -> Response:
        published = self._publisher.publication.published
        status = 200 if published is not None else 503
        return JSONResponse({"ready": published is not None}, status_code=status)

    async def _describe(self, _: Request) -> Response:
        return JSONResponse(describe_registry())

    async def _renew(self, request: Request) -> Response:
        certificate = self._renewals.renew(await read_json(request, RenewalRequest))
        return JSONResponse({"certificate": certificate.decode()}, status_code=201)

    async def _add_checkpoint(self, request: Request) -> Response:
        if self._witness is None:
            raise NotFound("witness.none", "this registry runs no witness", at="registry")
        answer = self._witness.add_checkpoint(await request.body())
        return Response(answer.body, status_code=answer.status, headers={"Content-Type": answer.content_type})

    def _seen_checkpoint(self, request: Request) -> Response:
        if self._witness is None:
            raise NotFound("witness.none", "this registry runs no witness", at="registry")
        answer = self._witness.checkpoint(f"{request.path_params['log']}/checkpoint")
        return Response(answer.body, status_code=answer.status, headers={"Content-Type": answer.content_type})


def _nothing(path: str) -> NotFound:
    return NotFound("registry.missing", f"nothing here by the name {path!r}", at="registry")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as exc:
        raise _nothing(path.name) from exc


def _immutable(request: Request, path: Path) -> Response:
    """A file whose name says its version or hash. Metadata is mostly repetition: it travels compressed."""
    data = _read(path)
    headers = {"Cache-Control": _FOREVER, "Vary": "Accept-Encoding"}
    if len(data) >= _GZIP_FROM and "gzip" in request.headers.get("accept-encoding", ""):
        data = _compressed(data)
        headers["Content-Encoding"] = "gzip"
    return Response(data, media_type="application/json", headers=headers)


@lru_cache(maxsize=64)
def _compressed(data: bytes) -> bytes:
    return gzip.compress(data, 6, mtime=0)
