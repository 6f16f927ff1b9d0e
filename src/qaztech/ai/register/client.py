"""The register as a member asks it: by exchanges through its own node, as any service is asked.

What the register refuses is raised as it said it, by code. Blocks: call from a thread. Not here: what a gateway does
with how cards stand (`gateway`).
"""

from __future__ import annotations

import re
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Final, TypeVar
from urllib.parse import quote, urlsplit

import msgspec

from qaztech.ai.register.card import Card
from qaztech.ai.register.service import ActForm, CardLine, CardShown, DraftForm
from qaztech.ai.register.standing import Standing, parse_standing
from qaztech.core.errors import Conflict, Error, Forbidden, Limited, Malformed, NotFound, Unavailable
from qaztech.core.ids import ServiceId, SubsystemId

# Bytes of one answer that are read at most: a card with a long history.
MAX_ANSWER: Final = 16 * 1024 * 1024
_CODE: Final = re.compile(r"(?:ai|request|identifier)\.[a-z0-9.-]{1,60}\Z")
_KINDS: Final[dict[int, type[Error]]] = {
    kind.status: kind for kind in (Malformed, Forbidden, NotFound, Conflict, Limited)
}
_T = TypeVar("_T")


class _Problem(msgspec.Struct, frozen=True):
    code: str
    detail: str = ""


class RegisterClient:
    """The register's `service`, asked as `client`, a subsystem of the own member, through the `edge` of the own node.

    `token` is what the edge knows the client by, where it does not take every program on the machine for it.
    """

    def __init__(
        self, *, edge: str, service: ServiceId, client: SubsystemId, token: str = "", seconds: float = 30.0
    ) -> None:
        parts = urlsplit(edge)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise Malformed("access.edge", "the edge of the own node is an http(s) address")
        self._kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        self._host, self._port = parts.hostname, parts.port
        self._service = service
        self._seconds = seconds
        self._headers = {"X-Road-Client": str(client), "Accept": "application/json"}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"

    def cards(self) -> list[CardLine]:
        """The own cards."""
        return _decoded(self._ask("GET", "/cards"), list[CardLine])

    def card(self, identifier: str) -> CardShown:
        """One own card with its history. Raises `NotFound`."""
        return _decoded(self._ask("GET", f"/cards/{_part(identifier)}"), CardShown)

    def draft(self, card: Card, version: int = 0) -> CardShown:
        """Keep a card: a new one at version 0, else the one that was seen at `version`.

        Raises `Malformed`, `Forbidden`, `Conflict`.
        """
        body = msgspec.json.encode(DraftForm(card=card, version=version))
        return _decoded(self._ask("PUT", f"/cards/{_part(card.id)}", body), CardShown)

    def act(self, identifier: str, act: str, reason: str, version: int) -> CardShown:
        """Do something with an own card: declare, serve, suspend, resume, revise, retire. Raises as `draft`."""
        body = msgspec.json.encode(ActForm(act=act, reason=reason, version=version))
        return _decoded(self._ask("POST", f"/cards/{_part(identifier)}/acts", body), CardShown)

    def standing(self) -> Standing:
        """How all own cards stand now. Raises `Unavailable`; `Malformed` for an answer in doubt."""
        return parse_standing(self._ask("GET", "/standing"))

    def _ask(self, method: str, path: str, body: bytes | None = None) -> bytes:
        headers = dict(self._headers)
        if body is not None:
            headers["Content-Type"] = "application/json"
        connection = self._kind(self._host, self._port, timeout=self._seconds)
        try:
            connection.request(method, f"/r1/{self._service}{path}", body, headers)
            answer = connection.getresponse()
            data = answer.read(MAX_ANSWER + 1)
            fault = answer.getheader("x-road-error") or ""
        except (OSError, HTTPException) as exc:
            raise Unavailable("access.no-edge", "the own node does not answer", context=repr(exc)) from exc
        finally:
            connection.close()
        if answer.status == 200 and len(data) <= MAX_ANSWER and not fault:
            return data
        raise _refusal(answer.status, fault, data)


def _part(identifier: str) -> str:
    return quote(identifier, safe="")


def _decoded(data: bytes, kind: type[_T]) -> _T:
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        raise Unavailable("ai.register.silent", "the register answered something else", at="service") from exc


def _refusal(status: int, fault: str, data: bytes) -> Error:
    """What the register itself refused, as it said it; else that there is no register to be had."""
    kind = _KINDS.get(status)
    if not fault and kind is not None:
        try:
            said = msgspec.json.decode(data, type=_Problem)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            said = None
        if said is not None and _CODE.match(said.code):
            return kind(said.code, said.detail[:500], at="service")
    return Unavailable("ai.register.silent", f"the register answered {status} {fault[:100]}".strip(), at="service")
