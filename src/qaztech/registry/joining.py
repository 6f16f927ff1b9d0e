"""How organisations join, over HTTP: applications, member files, enrolments. Open to anyone, believed from nobody.

What is sent here carries its own proof (a member's signature, a node's), so no password stands before it; sizes and
numbers are bounded, and addresses that send what is refused are slowed down. The operator's side of applications is in
`management` and in the registry's console.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Awaitable, Callable

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from qaztech.core.errors import Error, Limited, Malformed
from qaztech.core.ids import MemberId
from qaztech.core.time import Clock
from qaztech.people.gate import address_of
from qaztech.people.throttle import network
from qaztech.registry.applications import Applications, Filed
from qaztech.registry.enrolments import Enrolments, Granted
from qaztech.registry.publisher import Publisher
from qaztech.runtime.shell import read_json

MAX_PAGES = 5000
# So many refused requests an address may make in a minute before it has to wait.
MAX_REFUSED = 30
_MINUTE = 60_000


class SubmissionRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A member's change: the member file and rights pages it names, each base64.

    With `partial` more pages are to come, and the file counts only with the last of them.
    """

    envelope: str
    pages: list[str] = []
    partial: bool = False


class ShowcaseRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A member's showcase and OpenAPI documents it names, each base64; `partial`: more documents are to come."""

    member: str
    envelope: str
    descriptions: list[str] = []
    partial: bool = False


class Joining:
    """The routes by which organisations join. `behind_proxy` as in `people.gate`: else all who come by it are one."""

    def __init__(
        self,
        *,
        applications: Applications,
        enrolments: Enrolments,
        publisher: Publisher,
        clock: Clock,
        most_refused: int = MAX_REFUSED,
        behind_proxy: bool = False,
    ) -> None:
        self._applications = applications
        self._enrolments = enrolments
        self._publisher = publisher
        self._refused = _Refused(clock, most_refused)
        self._behind_proxy = behind_proxy

    def routes(self) -> list[Route]:
        """Open to anyone."""
        return [
            Route("/members/applications", self._guarded(self._apply), methods=["POST"]),
            Route("/members/applications/{id}", self._guarded(self._application)),
            Route("/members/applications/{id}/withdraw", self._guarded(self._withdraw), methods=["POST"]),
            Route("/members/files", self._guarded(self._submit), methods=["POST"]),
            Route("/members/showcases", self._guarded(self._show), methods=["POST"]),
            Route("/nodes/grants", self._guarded(self._grant), methods=["POST"]),
            Route("/nodes/grants/{token}", self._guarded(self._granted)),
            Route("/nodes/enrolments", self._guarded(self._enrol), methods=["POST"]),
        ]

    # Open ---------------------------------------------------------------------------------------------------------

    async def _apply(self, request: Request) -> Response:
        envelope = await request.body()
        filed = await self._publisher.decide(lambda: self._applications.submit(envelope), publish=False)
        return JSONResponse(describe(filed), status_code=201)

    async def _application(self, request: Request) -> Response:
        return JSONResponse(describe(self._applications.get(request.path_params["id"])))

    async def _withdraw(self, request: Request) -> Response:
        id_ = request.path_params["id"]
        filed = await self._publisher.decide(lambda: self._applications.withdraw(id_), publish=False)
        return JSONResponse(describe(filed))

    async def _submit(self, request: Request) -> Response:
        asked = await read_json(request, SubmissionRequest)
        if len(asked.pages) > MAX_PAGES:
            raise Limited("request.too-large", f"at most {MAX_PAGES} pages at once", at="caller")
        envelope, pages = _bytes(asked.envelope), [_bytes(page) for page in asked.pages]
        registry = self._publisher.registry
        file = await self._publisher.decide(
            lambda: registry.accept_submission(envelope, pages, partial=asked.partial), publish=not asked.partial
        )
        return JSONResponse({"id": str(file.member), "version": file.version}, status_code=201)

    async def _show(self, request: Request) -> Response:
        asked = await read_json(request, ShowcaseRequest)
        member, envelope = MemberId.parse(asked.member), _bytes(asked.envelope)
        documents = [_bytes(document) for document in asked.descriptions]
        registry = self._publisher.registry
        showcase = await self._publisher.decide(
            lambda: registry.accept_showcase(member, envelope, documents, partial=asked.partial),
            publish=not asked.partial,
        )
        return JSONResponse({"id": asked.member, "version": showcase.version}, status_code=201)

    async def _grant(self, request: Request) -> Response:
        envelope = await request.body()
        granted = await self._publisher.decide(lambda: self._enrolments.grant(envelope), publish=False)
        return JSONResponse(_describe_grant(granted), status_code=201)

    async def _granted(self, request: Request) -> Response:
        return JSONResponse(_describe_grant(self._enrolments.status(request.path_params["token"])))

    async def _enrol(self, request: Request) -> Response:
        data = await request.body()
        certificate = await self._publisher.decide(lambda: self._enrolments.enrol(data), publish=False)
        return Response(certificate, status_code=201, media_type="application/x-pem-file")

    def _guarded(self, handle: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        async def guarded(request: Request) -> Response:
            address = network(address_of(request, behind_proxy=self._behind_proxy))
            self._refused.check(address)
            try:
                return await handle(request)
            except Error as exc:
                if exc.status < 500:
                    self._refused.count(address)
                raise

        return guarded


class _Refused:
    """Counts refused requests by address, for a minute each."""

    def __init__(self, clock: Clock, most: int) -> None:
        self._clock = clock
        self._most = most
        self._minute = 0
        self._counts: dict[str, int] = {}

    def check(self, address: str) -> None:
        """Raise `Limited` for who has had too many."""
        minute = self._clock.now() // _MINUTE
        if minute != self._minute:
            self._minute, self._counts = minute, {}
        if self._counts.get(address, 0) >= self._most:
            raise Limited("request.too-many", "too many refused requests from there", at="caller", retry_after=60)

    def count(self, address: str) -> None:
        """One more was refused."""
        self._counts[address] = self._counts.get(address, 0) + 1


def describe(filed: Filed) -> dict[str, object]:
    """An application as whoever knows its id may see it."""
    return {
        "id": filed.id, "member": filed.member, "lineage": filed.lineage, "names": msgspec.to_builtins(filed.names),
        "received": filed.received, "state": filed.state, "version": filed.version, "decided": filed.decided,
        "reason": filed.reason,
    }  # fmt: skip


def _describe_grant(granted: Granted) -> dict[str, object]:
    identity = granted.identity.decode() if granted.identity is not None else None
    return {
        "token": granted.token, "node": granted.node, "expires": granted.expires, "used": granted.used,
        "identity": identity,
    }  # fmt: skip


def _bytes(text: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except ValueError as exc:
        raise Malformed("request.malformed", "a file is base64", at="caller") from exc
