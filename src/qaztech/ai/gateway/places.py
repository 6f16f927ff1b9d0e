"""The way to a place that hosts a model: over the body's own node as an exchange, or straight to a URL for trying.

Makes a request's target and head lines, and says what an answer is: the model's, the node's fault, or nothing of use.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from qaztech.ai.gateway.models import Deployment
from qaztech.core.errors import Error, Forbidden, Limited, Malformed, NotFound, Unavailable
from qaztech.core.ids import ServiceId
from qaztech.node.http_call import Headers, Response
from qaztech.node.http_client import ClientLimits, HttpClient

# What records say of a call, and of its usage: the request record commits to a header, and both nodes keep it.
CALL_HEADER = b"x-qaztech-ai"
USAGE_HEADER = b"x-qaztech-ai-usage"
_EXCHANGE = b"x-road-request-id"
_MESSAGE = re.compile(r"[0-9A-Za-z-]{1,64}")
_FAULT = b"x-road-error"
# What a node's code means to who called a model; the code itself stands beside it.
_MEANT = (
    ("service_failed.network_error", "the model's server is away from its host's node: tell the host"),
    ("access_denied", "its host gives this system no right to it: ask for one"),
    ("unknown_service", "its host offers no such service: the gateway's settings name a wrong one"),
    (
        "unknown_member",
        "the registry lists no such system of this node: the gateway's settings or the key's system are wrong",
    ),
    ("outcome_unknown", "no answer came back, and nobody knows whether the model was asked"),
    ("clientproxy.network_error", "the node of its host cannot be reached: come again, or tell the host"),
    ("logging_failed", "a node could not put it on record: its operator has to look at its log"),
)
# Bytes of an answer that is not a stream; embeddings of many texts are some megabytes.
MOST_ANSWER = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """The body's own node: the address of its edge, and bearer tokens by system (`KZ/…/permits`)."""

    edge: str
    tokens: Mapping[str, str]


class Places:
    """Connections to every place there is. On the loop's thread."""

    def __init__(self, node: Node | None, *, max_connections: int = 512, max_queue: int = 4096) -> None:
        self._limits = ClientLimits(
            max_connections=max_connections, max_queue=max_queue, first_byte_timeout=600.0, read_timeout=600.0
        )
        self._tokens = node.tokens if node is not None else {}
        self._edge = HttpClient(url=node.edge, limits=self._limits) if node is not None else None
        self._others: dict[str, HttpClient] = {}
        self._is_node_away = False

    def client(self, place: Deployment) -> HttpClient:
        """The connections by which a place is reached. Raises `Unavailable` where there is no way."""
        if place.service:
            if self._edge is None:
                raise Unavailable("ai.gateway.no-node", "this gateway has no node to call by", at="consumer-node")
            return self._edge
        client = self._others.get(place.url)
        if client is None:
            client = self._others[place.url] = HttpClient(url=place.url, limits=self._limits)
        return client

    @property
    def is_node_away(self) -> bool:
        """Whether the last attempt to reach the body's own node found nobody there."""
        return self._is_node_away

    def failure(self, error: Error, *, by_node: bool = True) -> Error:
        """Why there was no answer, in words that say whose process it is that does not answer."""
        if not by_node or self._edge is None:
            return error
        if error.code == "service.unreachable":
            self._is_node_away = True
            return Unavailable(
                "ai.node.away", "the node of the calling organisation does not answer: start it, or look at `edge`",
                at="consumer-node", context=error.context, retry_after=5,
            )  # fmt: skip
        return error

    def reached(self) -> None:
        """Somebody answered: the node is there."""
        self._is_node_away = False

    def target(self, place: Deployment, path: str) -> bytes:
        """The request target of a path below `/v1/` there."""
        if place.service:
            return f"/r1/{ServiceId.parse(place.service)}/v1/{path}".encode()
        return self.client(place).url.path.rstrip(b"/") + b"/v1/" + path.encode()

    def head(self, place: Deployment, *, member: str, system: str, said: bytes, name: bytes, has_body: bool) -> bytes:
        """The head lines of a request, with what its record is to say."""
        lines = [b"Content-Type:application/json\r\n"] if has_body else []
        if place.service:
            lines += [self._identity(member, system), b"%b:%b\r\n" % (name, said)]
        return b"".join(lines)

    def _identity(self, member: str, system: str) -> bytes:
        client = f"{member}/{system}"
        line = b"X-Road-Client:%b\r\n" % client.encode()
        token = self._tokens.get(client)
        return line + b"Authorization:Bearer %b\r\n" % token.encode() if token else line

    async def fetch(self, service: str, path: str, *, member: str, system: str, patience: float = 10.0) -> bytes:
        """What a service of the backbone answers to a GET, as a system of the body. Raises `Unavailable` and others."""
        if self._edge is None:
            raise Unavailable("ai.gateway.no-node", "this gateway has no node to call by", at="consumer-node")
        loop = asyncio.get_running_loop()
        done: asyncio.Future[bytes] = loop.create_future()

        def answered(response: Response) -> None:
            self.reached()
            Whole(response, lambda data: arrived(response, data), lambda: failed(_large()))

        def arrived(response: Response, data: bytes) -> None:
            if done.done():
                return
            if response.status == 200:
                done.set_result(data)
            else:
                done.set_exception(refusal_of(response, ""))

        def failed(error: Error) -> None:
            if not done.done():
                done.set_exception(self.failure(error))

        call = self._edge.send(
            "GET", f"/r1/{ServiceId.parse(service)}/{path}".encode(), self._identity(member, system),
            on_response=answered, on_error=failed, timeout=patience,
        )  # fmt: skip
        try:
            # The answer's head comes in time or not at all; the rest of it has as long again.
            return await asyncio.wait_for(done, 2 * patience)
        except TimeoutError:
            call.abort()
            raise Unavailable("ai.answer.slow", "an answer did not come to its end in time", at="service") from None
        except asyncio.CancelledError:
            call.abort()
            raise

    async def close(self) -> None:
        """End all connections."""
        for client in (*self._others.values(), *((self._edge,) if self._edge is not None else ())):
            await client.close()


class Whole:
    """Gathers an answer that comes in pieces, up to a limit."""

    def __init__(
        self, response: Response, done: Callable[[bytes], None], too_large: Callable[[], None], most: int = MOST_ANSWER
    ) -> None:
        self._pieces: list[bytes] = []
        self._size = 0
        self._too_large = too_large
        self._most = most
        if response.body is not None:
            done(response.body)
            return
        response.on_data = self._piece
        response.on_end = lambda: done(b"".join(self._pieces))

    def _piece(self, data: bytes) -> None:
        self._size += len(data)
        if self._size > self._most:
            self._pieces.clear()
            self._too_large()
        else:
            self._pieces.append(data)


def header(headers: Headers, name: bytes) -> str | None:
    """The value of a header, the last one if there are several."""
    return next((value.decode("latin-1") for key, value in reversed(headers) if key.lower() == name), None)


def exchange_of(response: Response) -> str | None:
    """The message id of the exchange that brought an answer; None without a backbone."""
    found = header(response.headers, _EXCHANGE)
    return found if found is not None and _MESSAGE.fullmatch(found) else None


def is_stream(response: Response) -> bool:
    """Whether an answer is a stream of events."""
    return (header(response.headers, b"content-type") or "").lower().startswith("text/event-stream")


def may_try_another(status: int) -> bool:
    """Whether another place may do better: this one is away, overloaded or broken."""
    return status >= 500 or status in {408, 429}


def refusal_of(response: Response, said: str) -> Error:
    """An answer that is no success, in our words; `said` is what the model's server gave as its reason."""
    fault = header(response.headers, _FAULT)
    if fault is not None:
        code = fault if len(fault) < 100 and fault.isascii() else "unknown"
        kind = {403: Forbidden, 404: NotFound, 429: Limited}.get(response.status, Unavailable)
        return kind(
            "ai.exchange.refused", _meaning(code), at="consumer-node", context=code,
            retry_after=5 if kind in {Limited, Unavailable} else None,
        )  # fmt: skip
    text = f"the model's server refused: {said}" if said else "the model's server refused the call"
    if response.status == 429:
        return Limited("ai.server.busy", text, at="service", retry_after=1)
    if response.status == 404:
        return NotFound("ai.server.not-found", text, at="service")
    if 400 <= response.status < 500 and response.status not in {401, 403, 408}:
        return Malformed("ai.server.refused", text, at="service")
    return Unavailable(
        "ai.server.failed", f"the model's server answered {response.status}", at="service", retry_after=5
    )


def _meaning(code: str) -> str:
    meant = next((text for part, text in _MEANT if part in code), "")
    return f"the exchange was refused: {meant} ({code})" if meant else f"the exchange was refused: {code}"


def _large() -> Unavailable:
    return Unavailable("ai.answer.large", "more was answered than is taken", at="service")
