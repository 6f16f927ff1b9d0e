"""The centre as a node reaches it: by ordinary calls through the node's own consumer edge.

The edge records, proves and carries each call like any other. Its answer is the centre's word and is checked against
the log by whoever asked (`operational`).
"""

from __future__ import annotations

import ssl
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

import msgspec

from qaztech.core.errors import Conflict, Malformed, Unavailable, Untrusted
from qaztech.core.ids import ServiceId, SubsystemId
from qaztech.node.operational import Delivery, Held
from qaztech.node.settings import NodeSettings

CONTENT_TYPE: Final = "application/vnd.qaztech.operational"
MAX_ANSWER: Final = 64 * 1024
TIMEOUT: Final = 120.0


class EdgeCentre:
    """The centre's service, called as one of the node's subsystems."""

    def __init__(self, settings: NodeSettings, base: Path) -> None:
        wanted, edge = settings.operational, settings.edge
        if not wanted.service or not wanted.client:
            raise Malformed("operational.settings", "node.toml names no service and client in its table [operational]")
        self._target = f"/r1/{ServiceId.parse(wanted.service)}"
        self._client = str(SubsystemId.parse(wanted.client))
        self._token = (base / wanted.token_file).read_text().strip() if wanted.token_file else ""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(edge.host, edge.host)
        self._where = (host, edge.port)
        self._tls = _own_edge(base / edge.certificate) if edge.certificate else None

    def deliver(self, delivery: Delivery) -> tuple[str, Held]:
        """Bring a delivery; gives the message id and what the centre then holds."""
        connection = self._connect()
        try:
            headers = {"Content-Length": str(delivery.length), "Content-Type": CONTENT_TYPE, **self._headers()}
            return self._ask(connection, "POST", "/deliveries", headers, delivery)
        finally:
            connection.close()

    def held(self, origin: str) -> Held:
        """What the centre holds of a log."""
        connection = self._connect()
        try:
            return self._ask(connection, "GET", f"/held?{urlencode({'origin': origin})}", self._headers(), None)[1]
        finally:
            connection.close()

    def _headers(self) -> dict[str, str]:
        headers = {"X-Road-Client": self._client}
        return {**headers, "Authorization": f"Bearer {self._token}"} if self._token else headers

    def _connect(self) -> HTTPConnection:
        host, port = self._where
        if self._tls is not None:
            return HTTPSConnection(host, port, timeout=TIMEOUT, context=self._tls)
        return HTTPConnection(host, port, timeout=TIMEOUT)

    def _ask(
        self, connection: HTTPConnection, method: str, path: str, headers: dict[str, str], delivery: Delivery | None
    ) -> tuple[str, Held]:
        try:
            body = delivery.body() if delivery is not None else None
            connection.request(method, self._target + path, body, headers)
            answer = connection.getresponse()
            data = answer.read(MAX_ANSWER)
        except (OSError, HTTPException) as exc:
            raise Unavailable("operational.undelivered", "this node's edge does not answer", context=repr(exc)) from exc
        _check(answer, data)
        try:
            return answer.headers.get("X-Road-Request-Id", ""), msgspec.json.decode(data, type=Held)
        except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
            raise Untrusted("operational.answer", "the centre's answer is not one", at="service") from exc


def _check(answer: HTTPResponse, data: bytes) -> None:
    """Raise what an answer other than 200 means."""
    if answer.status == 200:
        return
    said = ""
    try:
        fields = msgspec.json.decode(data, type=dict[str, object])
        said = f"{fields.get('code') or fields.get('type')}: {fields.get('detail') or fields.get('message')}"[:300]
    except (msgspec.MsgspecError, UnicodeDecodeError):
        pass
    if answer.status == 409 and answer.headers.get("X-Road-Error") is None:
        raise Conflict("operational.elsewhere", f"the centre holds something else ({said})", at="service")
    raise Unavailable("operational.undelivered", f"not delivered: status {answer.status}, {said}", at="service")


def _own_edge(certificate: Path) -> ssl.SSLContext:
    """Trust this node's own edge by its certificate, whatever the name in it: it is on this machine."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.load_verify_locations(certificate)
    return context
