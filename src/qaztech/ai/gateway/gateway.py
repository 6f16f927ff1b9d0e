"""The gateway's HTTP side: the OpenAI API for callers, health and counters for operators. One event loop, callbacks.

Who calls is known by key; whether its AI system may be called is asked of the register; all else is `serving`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from qaztech.ai.gateway import answers, policy
from qaztech.ai.gateway.budgeting import new_call_id
from qaztech.ai.gateway.cache import AnswerCache
from qaztech.ai.gateway.calls import ENDPOINTS, Endpoint, parse_call
from qaztech.ai.gateway.counting import count_refusal, outcome_of
from qaztech.ai.gateway.keys import Key, Keys
from qaztech.ai.gateway.ledger import Ledger
from qaztech.ai.gateway.models import Model
from qaztech.ai.gateway.places import Places, header
from qaztech.ai.gateway.refusing import respond_error
from qaztech.ai.gateway.routing import Routing
from qaztech.ai.gateway.serving import Kit, Serving, Settled
from qaztech.ai.gateway.shares import Readers, Shares
from qaztech.ai.personal.spans import Finder
from qaztech.ai.register.standing import CardStanding
from qaztech.core.errors import Error, Internal, Limited, Malformed, NotFound, Unauthenticated
from qaztech.core.time import Clock
from qaztech.node.http_request import Request
from qaztech.node.http_server import HttpServer, ServerLimits
from qaztech.runtime.telemetry import Metrics, log_error, process_gauges

logger = logging.getLogger("qaztech.ai")
CLASS_HEADER = b"x-qaztech-data-class"
_AUTHORIZATION = b"authorization"
_POSTS: Mapping[bytes, Endpoint] = {f"/v1/{name}".encode(): name for name in ENDPOINTS}
_MODELS = b"/v1/models"


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayLimits:
    """What callers may cost: bytes of a prompt, of all that are being read, of all calls under way, and how many."""

    prompt: int = 10 * 1024 * 1024
    reading: int = 64 * 1024 * 1024
    held: int = 256 * 1024 * 1024
    calls: int = 4096
    connections: int = 8192


class Gateway:
    """Answers callers. `start` it on a running loop."""

    def __init__(
        self,
        *,
        models: tuple[Model, ...],
        keys: Keys,
        ledger: Ledger,
        places: Places,
        finder: Finder,
        card: Callable[[str, str], CardStanding | None],
        clock: Clock,
        settled: Callable[[Settled], None],
        ready: Callable[[], tuple[str, ...]],
        warnings: Callable[[], tuple[str, ...]] = tuple,
        gauges: Callable[[], Mapping[str, float]] = dict,
        limits: GatewayLimits | None = None,
    ) -> None:
        self._models = {model.name: model for model in models}
        self._keys = keys
        self._ledger = ledger
        self._card = card
        self._clock = clock
        self._ready, self._warnings, self._gauges = ready, warnings, gauges
        self._limits = limits or GatewayLimits()
        self._reading = 0
        self.metrics = Metrics()
        self._kit = Kit(
            ledger=ledger, places=places, finder=finder, cache=AnswerCache(), metrics=self.metrics,
            routings={model.name: Routing(model.deployments) for model in models}, loop=asyncio.get_running_loop(),
            readers=Readers(asyncio.get_running_loop()),
            shares=Shares(calls=self._limits.calls, held=self._limits.held),
            settled=settled,
        )  # fmt: skip
        self._server = HttpServer(
            on_request=self._request,
            limits=ServerLimits(
                max_connections=self._limits.connections, max_body=self._limits.prompt + 64 * 1024,
                # A stream may be quiet while a model thinks; who is slow to read is cut by the server's own limit.
                write_timeout=120.0,
            ),
        )  # fmt: skip

    async def listen(self, host: str, port: int) -> int:
        """Accept callers; the port."""
        return await self._server.listen(host, port)

    async def drain(self, grace: float) -> None:
        """Take no more calls, and let those under way come to their end."""
        await self._server.drain(grace)
        self._kit.readers.close()

    # Requests -------------------------------------------------------------------------------------------------------

    def _request(self, request: Request) -> None:
        path = request.target.partition(b"?")[0]
        try:
            endpoint = _POSTS.get(path) if request.method == "POST" else None
            if endpoint is not None:
                self._take(request, endpoint)
            elif request.method == "GET":
                self._get(request, path)
            else:
                raise NotFound("ai.path.unknown", "this gateway answers /v1/models and POST /v1/…", at="caller")
        except Error as exc:
            self._refuse(request, exc)

    def _refuse(self, request: Request, error: Error) -> None:
        """Say no to what did not come to be a call, and count it."""
        count_refusal(self.metrics, error)
        self.metrics.count_label("ai_calls_total", "outcome", outcome_of(error))
        # Of the register it is said once, not with each call.
        if error.status >= 500 and error.code != "ai.register.silent":
            log_error(logger, "a call was not taken", error)
        respond_error(request, error)

    def _get(self, request: Request, path: bytes) -> None:
        if path == b"/health":
            reasons = self._ready()
            status = 503 if reasons else 200
            body = answers.encode({"ready": not reasons, "reasons": reasons, "warnings": self._warnings()})
            request.respond(status, b"Content-Type:application/json\r\n", body)
        elif path == b"/metrics" and request.is_local:
            gauges = {
                **process_gauges(), "ai_ready": int(not self._ready()), "ai_calls_under_way": len(self._kit.under_way),
                **self._in_flight(), **self._gauges(),
            }  # fmt: skip
            request.respond(200, b"Content-Type:text/plain; version=0.0.4\r\n", self.metrics.render(gauges))
        elif path == _MODELS or path.startswith(_MODELS + b"/"):
            self._with_key(request, lambda key: self._show_models(request, key, path[len(_MODELS) + 1 :].decode()))
        else:
            raise NotFound("ai.path.unknown", "this gateway answers /v1/models and POST /v1/…", at="caller")

    def _in_flight(self) -> dict[str, float]:
        return {
            f'ai_place_calls{{place="{model}/{place}"}}': count
            for model, routing in self._kit.routings.items()
            for place, count in routing.in_flight().items()
        }

    def _with_key(self, request: Request, then: Callable[[Key], None]) -> None:
        """Find the key a caller shows, beside the loop where it is not remembered. Raises `Unauthenticated`."""
        shown = _bearer(request)
        known = self._keys.remembered(shown)
        if known is not None:
            then(known)
            return

        def found(done: asyncio.Future[Key]) -> None:
            try:
                then(done.result())
            except Error as exc:
                self._refuse(request, exc)
            except Exception as exc:  # noqa: BLE001 - a fault of ours has an answer too
                self._refuse(request, Internal("ai.gateway.failed", "the gateway failed", context=type(exc).__name__))

        self._kit.loop.run_in_executor(None, self._keys.find, shown).add_done_callback(found)

    def _show_models(self, request: Request, key: Key, name: str) -> None:
        shown = [self._shown(model) for model in self._models.values() if model.name in key.models]
        if not name:
            body: Any = {"object": "list", "data": shown}
        else:
            body = next((each for each in shown if each["id"] == name), None)
            if body is None:
                raise _unknown_model()
        request.respond(200, b"Content-Type:application/json\r\n", answers.encode(body))

    def _shown(self, model: Model) -> dict[str, Any]:
        return {
            "id": model.name, "object": "model", "created": 0,
            "owned_by": next((place.service.rpartition("/")[0] for place in model.deployments if place.service), ""),
            "qaztech": {"kind": model.kind, "places": [
                {"name": place.name, "mode": place.mode, "country": place.country, "highest_class": place.highest,
                 "version": place.version, "tenge_per_million_prompt_tokens": place.prompt_price,
                 "tenge_per_million_completion_tokens": place.completion_price}
                for place in model.deployments
            ]},
        }  # fmt: skip

    # Calls ----------------------------------------------------------------------------------------------------------

    def _take(self, request: Request, endpoint: Endpoint) -> None:
        """Find the key, then read the body, within limits, then the call. Who has no key is not read."""
        if len(self._kit.under_way) >= self._limits.calls:
            raise Limited("ai.gateway.busy", "too many calls are under way", at="consumer-node", retry_after=1)
        if request.body is not None:
            self._with_key(request, lambda key: self._call(request, endpoint, key, request.body or b""))
            return
        if (request.content_length or 0) > self._limits.prompt:
            raise _too_large(self._limits.prompt)
        request.pause()
        self._with_key(request, lambda key: self._read(request, endpoint, key))

    def _read(self, request: Request, endpoint: Endpoint, key: Key) -> None:
        pieces: list[bytes] = []
        size = 0

        def piece(data: bytes) -> None:
            nonlocal size
            size += len(data)
            self._reading += len(data)
            pieces.append(data)
            if size > self._limits.prompt:
                over()
                self._refuse(request, _too_large(self._limits.prompt))
            elif self._reading > self._limits.reading:
                over()
                busy = Limited("ai.gateway.busy", "too much is being read", at="consumer-node", retry_after=1)
                self._refuse(request, busy)

        def over() -> None:
            nonlocal size
            self._reading -= size
            size = 0
            request.on_data = lambda _: None
            request.on_end = request.on_disconnect = None

        def ended() -> None:
            body = b"".join(pieces)
            over()
            try:
                self._call(request, endpoint, key, body)
            except Error as exc:
                self._refuse(request, exc)

        request.on_data, request.on_end, request.on_disconnect = piece, ended, over
        request.resume()

    def _call(self, request: Request, endpoint: Endpoint, key: Key, body: bytes) -> None:
        call = parse_call(endpoint, body)
        model = self._models.get(call.model)
        if model is None or call.model not in key.models:
            raise _unknown_model()
        if (model.kind == "embedding") != (endpoint == "embeddings"):
            raise Malformed("ai.call.kind", f"{model.name} is a model for {model.kind}", at="caller")
        card = policy.check_card(self._card(str(key.member), key.card), key.system)
        declared = policy.declared_class(key.data_class, header(request.headers, CLASS_HEADER))
        Serving(
            self._kit, request, identifier=new_call_id(self._clock.now()), key=key, card=card, model=model, call=call,
            declared=declared, size=len(body),
        ).begin()  # fmt: skip


def _bearer(request: Request) -> str:
    shown = header(request.headers, _AUTHORIZATION) or ""
    scheme, _, value = shown.partition(" ")
    if scheme.lower() != "bearer" or not value:
        raise Unauthenticated("ai.key.missing", "send the key as `Authorization: Bearer qk-…`", at="caller")
    return value.strip()


def _unknown_model() -> NotFound:
    return NotFound(
        "ai.model.unknown", "this key may call no model of that name; GET /v1/models lists them", at="caller"
    )


def _too_large(limit: int) -> Malformed:
    return Malformed("ai.call.large", f"a request has at most {limit} bytes", at="caller")
