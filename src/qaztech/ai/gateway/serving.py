"""One call from its first byte to its record: looked through, allowed, reserved, made, restored, settled, answered.

Callbacks on the loop, no task for a call. The order is what the records rest on: nothing leaves before its reservation
is durable, and no caller has the end of an answer before the settlement is. A place that may not have the data is never
asked. Not here: who the caller is (`keys`), what each step decides (`policy`, `looking`, `routing`, `ledger`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from qaztech.ai.gateway import answers, calls, events, policy
from qaztech.ai.gateway.answers import Usage
from qaztech.ai.gateway.books import Ask, Outcome, Settlement
from qaztech.ai.gateway.cache import Answer, AnswerCache
from qaztech.ai.gateway.calls import ModelCall
from qaztech.ai.gateway.counting import count_refusal, count_usage, outcome_of
from qaztech.ai.gateway.keys import Key
from qaztech.ai.gateway.ledger import Ledger
from qaztech.ai.gateway.looking import LARGE, Seen, look_through
from qaztech.ai.gateway.models import Deployment, Model
from qaztech.ai.gateway.places import (
    CALL_HEADER,
    MOST_ANSWER,
    Places,
    Whole,
    exchange_of,
    is_stream,
    may_try_another,
    refusal_of,
)
from qaztech.ai.gateway.policy import Allowed
from qaztech.ai.gateway.refusing import JSON, error_body, respond_error
from qaztech.ai.gateway.routing import Routing
from qaztech.ai.gateway.shares import Readers, Shares
from qaztech.ai.gateway.streaming import Stream
from qaztech.ai.personal.masking import Vault
from qaztech.ai.personal.spans import Finder
from qaztech.ai.register.standing import CardStanding
from qaztech.core.errors import Error, Internal, Unavailable
from qaztech.node.http_call import Call, Response
from qaztech.node.http_request import Request
from qaztech.runtime.telemetry import Metrics, log_error

logger = logging.getLogger("qaztech.ai")
# Bytes of a token with its probability and its rivals' (logprobs), and of what an answer has beside them.
_BYTES_OF_TOKEN = 4096
_AROUND = 1024 * 1024
_NOTHING = Usage(prompt=0, completion=0)


@dataclass(slots=True, kw_only=True)
class Kit:
    """What every call needs."""

    ledger: Ledger
    places: Places
    finder: Finder
    routings: dict[str, Routing]
    cache: AnswerCache
    metrics: Metrics
    loop: asyncio.AbstractEventLoop
    # Threads for looking through what is large, so that nothing else waits behind that.
    readers: Readers
    shares: Shares
    # Called with each settled call that its provider has to be told of.
    settled: Callable[[Settled], None]
    under_way: set[Serving] = field(default_factory=set)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """A call that is over and durable, as its provider is told of it."""

    call: str
    place: Deployment
    member: str
    system: str
    exchange: str | None
    usage: Usage
    cost: int
    outcome: str
    answer: str


class Serving:
    """One call of one caller."""

    def __init__(
        self,
        kit: Kit,
        request: Request,
        *,
        identifier: str,
        key: Key,
        card: CardStanding,
        model: Model,
        call: ModelCall,
        declared: Any,
        size: int,
    ) -> None:
        self._kit = kit
        self.request = request
        self.identifier = identifier
        self._key = key
        self._card = card
        self.model = model
        self.call = call
        self._declared = declared
        self._size = size
        self._routing = kit.routings[model.name]
        self._body: dict[str, Any] = call.body
        self.vault: Vault | None = None
        self._seen: Seen
        self._allowed: Allowed
        self._decision = ""
        self._made: dict[tuple[str, int], tuple[bytes, int, int]] = {}
        self._prompt_digest = ""
        self.prompt_bytes = 0
        self.most_completion = 0
        self._tried: frozenset[str] = frozenset()
        self.place: Deployment | None = None
        self.out: Call | None = None
        self._response: Response | None = None
        self._exchange: str | None = None
        self._reserved = self._over = False
        self._caller_gone = False
        self._timer: asyncio.TimerHandle | None = None
        self._stream: Stream | None = None

    # Before anything leaves -----------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Look through it, beside the loop where it is large, and go on."""
        self._kit.shares.take(str(self._key.member), self._size)
        self._kit.under_way.add(self)
        self.request.on_disconnect = self._gone
        if sum(map(len, self.call.texts)) <= LARGE:
            self._guarded(self._looked, look_through, self._kit.finder, self.call, self._key.handling)
            return
        self._kit.readers.read(
            str(self._key.member),
            lambda: look_through(self._kit.finder, self.call, self._key.handling),
            lambda done: self._guarded(self._looked, done.result),
        )

    def _guarded(self, then: Callable[[Any], None], work: Callable[..., Any], *given: Any) -> None:
        try:
            then(work(*given))
        except Error as exc:
            self.refuse(exc)
        except Exception as exc:  # noqa: BLE001 - a fault of ours is the caller's 500, not a call without an end
            self.refuse(Internal("ai.gateway.failed", "the gateway failed", context=type(exc).__name__))

    def _looked(self, looked: tuple[Seen, dict[str, Any], Vault | None]) -> None:
        self._seen, self._body, self.vault = looked
        seen = self._seen
        handling = self._key.handling
        self._allowed = policy.allow(
            self.model.deployments, card=self._card, declared=self._declared, has_personal=seen.has_personal,
            handling=handling,
        )  # fmt: skip
        self._decision = seen.said(handling)
        amount = tokens = 0
        data = b""
        for place in self._allowed.places:
            data, prompt, completion = self._prepared(place)
            amount = max(amount, place.cost(prompt, completion))
            tokens = max(tokens, prompt + completion)
        self._prompt_digest = calls.digest_of(data)
        first = self._routing.next(self._allowed.places, frozenset(), self._kit.loop.time())
        assert first is not None  # noqa: S101 - `allow` gives one place at least
        cached = self._cached()
        if cached is not None:
            amount = 0
        self._kit.ledger.reserve(
            Ask(
                call=self.identifier, key=self._key.id, model=self.model.name, deployment=first.name,
                service=first.service, version=first.version, declared=self._declared,
                data_class=self._allowed.data_class, decision=self._decision, prompt_digest=self._prompt_digest,
                amount=amount, tokens=0 if cached is not None else tokens,
            ),
            lambda error: self._taken_in(error, cached),
        )  # fmt: skip

    def _prepared(self, place: Deployment) -> tuple[bytes, int, int]:
        wanted = (place.model, place.max_completion)
        made = self._made.get(wanted)
        if made is None:
            made = self._made[wanted] = calls.prepared(
                self.call, self._body, model=place.model, most=place.max_completion
            )
        return made

    def _cached(self) -> Answer | None:
        """The answer that an equal question had, of a place that may have this one: only that is free."""
        if self._cache_seconds() <= 0:
            return None
        found = self._kit.cache.get(str(self._key.member), *self._cache_key(), self._kit.loop.time())
        return found if found is not None and any(each.name == found.place for each in self._allowed.places) else None

    def _cache_seconds(self) -> float:
        held = AnswerCache.may_hold(
            self._allowed.data_class, has_personal=self._seen.has_personal, stream=self.call.stream
        )
        return self.model.cache_seconds if held else 0.0

    def _cache_key(self) -> tuple[str, str]:
        return f"{self.call.endpoint} {self.model.name}", self._prompt_digest

    def _taken_in(self, error: Error | None, cached: Answer | None) -> None:
        if error is not None:
            self.refuse(error)
            return
        try:
            if self._caller_gone:
                self.settle("aborted", _NOTHING, lambda: self.end("aborted"))
            elif cached is not None:
                self._kit.metrics.count("ai_cached_total")
                self._answer_cached(cached)
            else:
                self._try_next()
        except Exception as exc:  # noqa: BLE001 - what is reserved is given back, whatever happened
            self._fail(Internal("ai.gateway.failed", "the gateway failed", context=type(exc).__name__))

    def _answer_cached(self, cached: Answer) -> None:
        self.place = next(each for each in self._allowed.places if each.name == cached.place)
        answer = answers.parse_answer(cached.body)
        self.settle("cached", _NOTHING, lambda: self._respond(answer, _NOTHING, "cached"))

    # The call itself ------------------------------------------------------------------------------------------------

    def _try_next(self, failure: Error | None = None) -> None:
        now = self._kit.loop.time()
        place = self._routing.next(self._allowed.places, self._tried, now)
        if place is None:
            self._fail(failure or Unavailable("ai.server.away", "no place that hosts this model answers", at="service"))
            return
        self._tried |= {place.name}
        self.place, self._exchange, self._response = place, None, None
        data, _, self.most_completion = self._prepared(place)
        self.prompt_bytes = len(data)
        said = self._said(place, data)
        self._routing.began(place)
        self._timer = self._kit.loop.call_later(place.total_seconds, self._too_long)
        try:
            self.out = self._kit.places.client(place).send(
                "POST",
                self._kit.places.target(place, self.call.endpoint),
                self._kit.places.head(
                    place,
                    member=str(self._key.member),
                    system=self._key.system,
                    said=said,
                    name=CALL_HEADER,
                    has_body=True,
                ),
                data,
                on_response=self._answered,
                on_error=self._broken,
                timeout=place.first_byte_seconds,
            )
        except Error as exc:
            self._broken(exc)

    def _said(self, place: Deployment, data: bytes) -> bytes:
        """What the record of the exchange is to say; no value holds what would end one."""
        return (
            f"call={self.identifier}; card={self._key.card}; purpose={self._key.purpose};"
            f" class={self._allowed.data_class}; model={self.model.name}; version={place.version};"
            f" prompt={calls.digest_of(data)}; decision={self._decision}"
        ).encode("ascii", "replace")

    def leave(self, *, failed: bool) -> None:
        """The place has done what it will do."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self.out is not None or failed:
            self.out = None
            if self.place is not None:
                self._routing.ended(self.place, failed=failed, now=self._kit.loop.time())

    def soon(self, seconds: float, then: Callable[[], None]) -> None:
        """Give the place so many seconds more, no longer."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._kit.loop.call_later(seconds, then)

    def _too_long(self) -> None:
        if self.out is not None:
            self.out.abort()
        self._broken(Unavailable("ai.server.endless", "the model's server did not come to an end", at="service"))

    def _answered(self, response: Response) -> None:
        self._response = response
        if self.place is not None and self.place.service:
            self._kit.places.reached()
            self._exchange = exchange_of(response)  # elsewhere it is the server's own word
        if response.status == 200 and self.call.stream and is_stream(response):
            self._stream = Stream(self, response)
            self._stream.begin()
            if self._caller_gone:
                self._stream.caller_gone()
            return
        most = MOST_ANSWER if self.call.endpoint == "embeddings" else self.most_bytes
        Whole(response, self._whole, self._unbearable, most)

    @property
    def most_bytes(self) -> int:
        """What an answer may have: its tokens with whatever servers say of each, and something around them."""
        return min(_AROUND + _BYTES_OF_TOKEN * self.most_completion, MOST_ANSWER)

    def _unbearable(self) -> None:
        if self.out is not None:
            self.out.abort()
        self._broken(Unavailable("ai.answer.large", "the model's server answered more than is taken", at="service"))

    def _broken(self, error: Error) -> None:
        """No answer, or half of one."""
        if self._over:
            return
        if self._stream is not None:
            self._stream.broke(error)
            return
        error = self._kit.places.failure(error, by_node=self.place is not None and bool(self.place.service))
        self.leave(failed=True)
        self._try_next(error)

    def _whole(self, data: bytes) -> None:
        response = self._response
        assert response is not None  # noqa: S101 - it is what brought the data
        if response.status != 200:
            self._not_answered(response, data)
            return
        try:
            answer = answers.parse_answer(data)
        except Error as exc:
            self.leave(failed=True)
            self._try_next(exc)
            return
        self.leave(failed=False)
        usage = answers.usage_of(answer, self.prompt_bytes)
        if self.call.stream:
            error = Unavailable("ai.answer.no-stream", "the model's server did not answer a stream", at="service")
            self.settle("failed", usage, lambda: self.refuse(error))
            return
        if (seconds := self._cache_seconds()) > 0 and self.place is not None:
            now = self._kit.loop.time()
            kept = Answer(body=data, place=self.place.name, until=now + seconds)
            self._kit.cache.put(str(self._key.member), *self._cache_key(), kept)
        self.settle("complete", usage, lambda: self._respond(answer, usage), calls.digest_of(data))

    def _not_answered(self, response: Response, data: bytes) -> None:
        error = refusal_of(response, self._reason(data))
        again = may_try_another(response.status)
        self.leave(failed=again)
        if again:
            self._try_next(error)
        else:
            self._fail(error)

    def _reason(self, data: bytes) -> str:
        """What the server gives as its reason, put back into the caller's words."""
        try:
            said = answers.parse_answer(data).get("error")
        except Error:
            return ""
        text = said.get("message") if isinstance(said, dict) else said
        if not isinstance(text, str):
            return ""
        return (self.vault.restore(text) if self.vault is not None else text)[:500]

    # Its end --------------------------------------------------------------------------------------------------------

    def _respond(self, answer: dict[str, Any], usage: Usage, ended: str = "complete") -> None:
        place = self.place
        assert place is not None  # noqa: S101 - somebody answered
        shown = answers.restored(answer, self.vault) if self.vault is not None else answer
        marked = {
            **shown,  # type: ignore[dict-item]
            "model": self.model.name,
            "qaztech": answers.mark(place.model, place.version, self.identifier, estimated=usage.estimated),
        }
        self.request.respond(200, self.head(JSON), answers.encode(marked))
        self.end(ended)

    def head(self, lines: bytes) -> bytes:
        """The head lines of an answer: which call and exchange it is, and that a machine made it."""
        place = self.place
        parts = [lines, b"X-QazTech-Call:%b\r\nX-QazTech-Synthetic:true\r\n" % self.identifier.encode()]
        if self._exchange:
            parts.append(b"X-QazTech-Exchange:%b\r\n" % self._exchange.encode("ascii", "replace"))
        if place is not None:
            parts.append(b"X-QazTech-Deployment:%b\r\n" % place.name.encode())
        return b"".join(parts)

    def settle(self, outcome: Outcome, usage: Usage, then: Callable[[], None], digest: str = "") -> None:
        """Make the end durable; only then the caller has it."""
        place, self._over = self.place, True
        cost = place.cost(usage.prompt, usage.completion) if place is not None and outcome != "cached" else 0

        def done(charged: int | None, error: Error | None) -> None:
            if error is not None:
                log_error(logger, "a call was not settled", error)
                self.refuse(error)
                return
            if place is not None and outcome != "cached":
                self._kit.settled(
                    Settled(
                        call=self.identifier, place=place, member=str(self._key.member), system=self._key.system,
                        exchange=self._exchange, usage=usage, cost=charged or 0, outcome=outcome, answer=digest,
                    )
                )  # fmt: skip
            count_usage(self._kit.metrics, usage.prompt, usage.completion, charged or 0)
            try:
                then()
            except Exception as exc:  # noqa: BLE001 - a call has an end, whatever its server made of the answer
                self.refuse(Internal("ai.gateway.failed", "the gateway failed", context=type(exc).__name__))

        # Without a backbone, and for what cost nothing, there is nobody to tell.
        untold = place is not None and bool(place.service) and outcome != "cached" and self._exchange is not None
        settlement = Settlement(
            call=self.identifier, outcome=outcome, cost=cost, prompt_tokens=usage.prompt,
            completion_tokens=usage.completion, answer_digest=digest or None, exchange=self._exchange,
            deployment=place.name if place else None, service=place.service if place else None,
            version=place.version if place else None, told=not untold,
        )  # fmt: skip
        try:
            self._kit.ledger.settle(settlement, done)
        except Error as exc:
            self.refuse(exc)

    def _fail(self, error: Error) -> None:
        """Nothing came of it: the reservation goes back, then the caller is told."""
        self.settle("failed", _NOTHING, lambda: self.refuse(error))

    def refuse(self, error: Error) -> None:
        """Tell the caller why it has no answer, or no more of one."""
        self._over = True
        if error.status >= 500:
            log_error(logger, "a call was not answered", error)
        if self.request.is_started:
            self.request.write(events.event(answers.encode({"error": error_body(error)})))
            self.request.abort()
        else:
            respond_error(self.request, error, self.head(b""))
        count_refusal(self._kit.metrics, error)
        self.end(outcome_of(error))

    def end(self, label: str) -> None:
        """It is over; `label` says how, from a closed set."""
        self._over = True
        if self in self._kit.under_way:
            self._kit.under_way.remove(self)
            self._kit.shares.give(str(self._key.member), self._size)
        self._kit.metrics.count_label("ai_calls_total", "outcome", label)

    def _gone(self) -> None:
        """The caller went away. A whole answer is let come, for its usage; a stream is cut and paid so far."""
        self._caller_gone = True
        if self._stream is not None:
            self._stream.caller_gone()
