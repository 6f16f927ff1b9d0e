"""Calls through a gateway: answered, bounded, routed by the class of their data, recorded whatever happens."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace

import msgspec
import pytest
from sqlalchemy import Engine

from ai_books import added_up, issue
from model_gateway import CARD, IIN, Said, Stand, gateway_stand, until
from qaztech.ai.gateway.gateway import GatewayLimits
from qaztech.core.time import ManualClock
from qaztech.node.http_client import HttpClient


@pytest.fixture
async def stand(engine: Engine, clock: ManualClock) -> AsyncIterator[Stand]:
    """A gateway whose key declares nothing above internal."""
    async with gateway_stand(engine, clock=clock) as stand:
        yield stand


def code(said: Said) -> str:
    """The code of a refusal."""
    return str(said.json["error"]["code"])


async def test_a_call_is_answered_marked_and_paid(stand: Stand) -> None:
    """The answer is the model's; it says in machine-readable form that a machine made it."""
    said = await stand.chat("one two three")
    assert said.status == 200
    answer = said.json
    assert answer["choices"][0]["message"]["content"] == "You said: one two three"
    assert answer["model"] == "small"
    assert answer["qaztech"] == {
        "synthetic": True, "model": "echo", "version": "v1", "call": said.headers["x-qaztech-call"]
    }  # fmt: skip
    assert said.headers["x-qaztech-synthetic"] == "true"
    row = stand.row()
    assert (row.outcome, row.prompt_tokens, row.completion_tokens) == ("complete", 3, 5)
    assert row.cost == 3 * 1000 + 5 * 2000
    assert added_up(stand.engine, stand.budget.id) == (row.cost, 0)
    assert "three" not in str(row)


async def test_a_stream_ends_only_when_it_is_on_record(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its last event and `[DONE]` wait for the settlement; what came before does not."""
    order: list[str] = []
    settle = stand.ledger.settle

    def slow(settlement: object, callback: object) -> None:
        def done(*given: object) -> None:
            order.append("durable")
            callback(*given)  # type: ignore[operator]

        settle(settlement, done)  # type: ignore[arg-type]

    monkeypatch.setattr(stand.ledger, "settle", slow)
    said = await stand.chat("a b c d e f", stream=True)
    order.append("ended")
    assert order == ["durable", "ended"]
    assert said.text == "You said: a b c d e f"
    assert said.events[-1] == "[DONE]"
    last = said.events[-2]
    assert last["choices"][0]["finish_reason"] == "stop"
    assert last["qaztech"]["synthetic"] is True
    assert not any("usage" in each for each in said.events[:-1])
    assert stand.row().completion_tokens == 8


async def test_usage_of_a_stream_is_told_to_who_asks(stand: Stand) -> None:
    """As the OpenAI API has it."""
    said = await stand.chat("a b", stream=True, stream_options={"include_usage": True})
    assert said.events[-2]["usage"]["completion_tokens"] == 4


async def test_personal_data_is_masked_on_the_way_and_back_in_the_answer(stand: Stand) -> None:
    """The model never sees it; the caller does."""
    said = await stand.chat(f"ЖСН {IIN}, Айгүл Серікова; again {IIN}")
    assert said.json["choices"][0]["message"]["content"] == f"You said: ЖСН {IIN}, Айгүл Серікова; again {IIN}"
    (seen,) = stand.server.seen
    assert IIN not in json.dumps(seen)
    assert "Айгүл" not in json.dumps(seen, ensure_ascii=False)
    row = stand.row()
    assert (row.decision, row.declared) == ("masked iin:2 name:1", "internal")
    assert row._mapping["class"] == "personal"


@pytest.mark.parametrize("tools", [False, True])
async def test_a_stream_is_restored_wherever_it_is_cut(stand: Stand, *, tools: bool) -> None:
    """The stand-in cuts every few characters, in the middle of tokens."""
    more = {"tools": [{"type": "function", "function": {"name": "find"}}]} if tools else {}
    said = await stand.chat(f'"{IIN}" — Айгүл Серікова!', stream=True, **more)
    if tools:
        parts = [
            call["function"]["arguments"]
            for event in said.events[:-1]
            for choice in event["choices"]
            for call in choice["delta"].get("tool_calls", [])
        ]
        assert json.loads("".join(parts)) == {"query": f'"{IIN}" — Айгүл Серікова!'}
    else:
        assert said.text == f'You said: "{IIN}" — Айгүл Серікова!'
    assert IIN not in json.dumps(stand.server.seen)


@pytest.mark.parametrize(
    "body",
    [
        {"messages": [{"role": "system", "content": IIN}, {"role": "user", "content": "x"}]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": f"part {IIN}"}]}]},
        {"messages": [{"role": "user", "name": IIN, "content": "x"}]},
        {"messages": [{"role": "user", "content": "x"}], "tools": [
            {"type": "function", "function": {"name": "f", "description": IIN}}]},
        {"messages": [{"role": "assistant", "content": None, "tool_calls": [
            {"id": "1", "type": "function",
             "function": {"name": "f", "arguments": '{"q": "\\u0039\\u00390101300006"}'}}]},
            {"role": "tool", "tool_call_id": "1", "content": IIN}]},
        {"messages": [{"role": "user", "content": "x"}], "metadata": {"who": IIN}, "user": IIN, "stop": [IIN]},
        {"messages": [{"role": "user", "content": "x", "data": IIN, "url": f"data:{IIN}", "file": {"data": IIN}}]},
        {"messages": [{"role": "user", "content": [
            {"type": "file", "file": {"file_data": "data:,x", "filename": f"{IIN}.pdf"}}]}]},
        {"messages": [{"role": "user", "content": "x"}], "response_format": {
            "type": "json_schema", "json_schema": {"name": "n", "schema": {"enum": [IIN]}}}},
    ],
)  # fmt: skip
async def test_every_part_of_a_chat_is_looked_at(stand: Stand, body: dict[str, object]) -> None:
    """Wherever text can stand, also as JSON within JSON."""
    said = await stand.post("/v1/chat/completions", {"model": "small", **body})
    assert said.status == 200
    assert IIN not in json.dumps(stand.server.seen)
    assert "masked iin" in stand.row().decision


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/completions", {"model": "small", "prompt": f"for {IIN}"}),
        ("/v1/completions", {"model": "small", "prompt": ["x", IIN]}),
        ("/v1/embeddings", {"model": "vectors", "input": ["x", IIN]}),
    ],
)
async def test_every_endpoint_is_looked_at(stand: Stand, path: str, body: dict[str, object]) -> None:
    """Not the chat alone."""
    assert (await stand.post(path, body)).status == 200
    assert IIN not in json.dumps(stand.server.seen)


async def test_what_cannot_be_looked_at_is_personal(stand: Stand) -> None:
    """An image may show anything; by address it is not fetched for anybody."""
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    assert (await stand.chat([{"type": "text", "text": "what is it"}, image])).status == 200
    assert stand.row()._mapping["class"] == "personal"
    far = {"type": "image_url", "image_url": {"url": "http://127.0.0.1/secret"}}
    assert code(await stand.chat([far])) == "ai.call.remote"


async def test_personal_data_reaches_only_places_that_may_have_it(stand: Stand) -> None:
    """Not the first choice, not on a retry, not as what is fallen back on."""
    plain = await stand.chat("hello", model="spread", data_class="internal")
    assert plain.status == 200
    assert plain.headers["x-qaztech-deployment"] == "closed"
    for _ in range(6):
        said = await stand.chat(IIN, model="spread")
        assert said.headers["x-qaztech-deployment"] == "closed"
    restricted = await stand.chat("hello", model="spread", data_class="restricted")
    assert code(restricted) == "ai.server.failed"
    assert {each["model"] for each in stand.server.seen} == {"echo", "broken"}


async def test_a_class_is_raised_and_never_lowered(stand: Stand) -> None:
    """By the caller as by the finder."""
    assert code(await stand.chat("x", data_class="public")) == "ai.class.lowered"
    assert code(await stand.chat("x", data_class="secret")) == "ai.class.unknown"
    stand.cards[CARD.id] = msgspec.structs.replace(CARD, highest_class="internal")
    assert code(await stand.chat(IIN)) == "ai.class.above-card"
    assert stand.server.seen == []
    assert stand.rows() == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (None, "ai.system.unregistered"),
        ({"callable": False, "why": "suspended", "state": "suspended"}, "ai.system.not-callable"),
        ({"callable": False, "why": "review-overdue"}, "ai.system.not-callable"),
        ({"system": "other"}, "ai.system.other"),
    ],
)
async def test_only_a_registered_system_in_service_is_let_through(
    stand: Stand, changes: dict[str, object] | None, expected: str
) -> None:
    """Whatever its key says."""
    if changes is None:
        stand.cards.clear()
    else:
        stand.cards[CARD.id] = msgspec.structs.replace(CARD, **changes)
    said = await stand.chat("hello")
    assert (said.status, code(said)) == (403, expected)
    assert stand.server.seen == []


@pytest.mark.parametrize("shown", ["", "qk-", "qk-0123456789ab-" + "0" * 48, "sk-anything"])
async def test_a_wrong_key_learns_nothing(stand: Stand, shown: str) -> None:
    """One answer for all that is wrong; a revoked key has the same."""
    said = await stand.chat("hello", key=shown)
    assert said.status == 401
    assert "www-authenticate" in said.headers
    stand.keys.revoke(stand.key.id, by="aigerim")
    revoked = await stand.chat("hello")
    assert (revoked.status, code(revoked)) == (401, "ai.key.unknown")


async def test_a_key_of_another_body_has_its_own_card(stand: Stand) -> None:
    """Its card is looked for among those of its own member; models are those of the key."""
    shown, _ = issue(stand.keys, stand.budget, card="letters-2", models=["small"])
    assert code(await stand.chat("x", key=shown)) == "ai.system.unregistered"
    narrow, _ = issue(stand.keys, stand.budget, models=["cached"])
    assert code(await stand.chat("x", key=narrow)) == "ai.model.unknown"
    listed = await stand.send("GET", "/v1/models", key=narrow)
    assert [each["id"] for each in listed.json["data"]] == ["cached"]
    assert (await stand.send("GET", "/v1/models/small", key=narrow)).status == 404


async def test_a_budget_is_never_overspent_and_says_when_to_come_again(engine: Engine, clock: ManualClock) -> None:
    """What is reserved and not used is free again; what does not fit waits a little, then is refused."""
    async with gateway_stand(engine, clock=clock, tenge=1) as stand:
        asked = [stand.chat("word " * 20, max_tokens=100) for _ in range(8)]
        said = await asyncio.gather(*asked)
        assert {each.status for each in said} <= {200, 429}
        refused = [each for each in said if each.status == 429]
        settled, reserved = added_up(engine, stand.budget.id)
        assert reserved == 0
        assert settled <= 1_000_000
        while (last := await stand.chat("word " * 20, max_tokens=100)).status == 200:
            pass
        assert code(last) == "ai.budget.exhausted"
        assert int(last.headers["retry-after"]) > 0
        assert all("retry-after" in each.headers for each in refused)
        assert added_up(engine, stand.budget.id)[0] <= 1_000_000


async def test_a_stream_without_usage_is_not_free(stand: Stand) -> None:
    """What passed is counted, and said to be an estimate."""
    said = await stand.chat("a b c d e f g h", model="no-usage", stream=True)
    assert said.events[-1] == "[DONE]"
    assert stand.row().completion_tokens >= 5
    assert stand.row().cost > 0
    whole = await stand.chat("a b c", model="no-usage")
    assert whole.json["qaztech"]["usage_estimated"] is True


@pytest.mark.parametrize("fault", ["cut", "malformed", "error-event"])
async def test_a_broken_stream_is_an_error_and_is_paid_as_far_as_it_came(stand: Stand, fault: str) -> None:
    """No `[DONE]`, an event that clients take for an error, a record of what was produced."""
    said = await stand.chat("a b c d e f g h", model=fault, stream=True)
    assert "[DONE]" not in said.events
    assert "error" in json.dumps(said.events[-1]) or said.broken
    await until(lambda: stand.row().outcome == "aborted")
    assert stand.row().completion_tokens > 0
    assert 0 < stand.row().cost <= stand.row().reserved


async def test_a_stream_without_an_end_is_ended(stand: Stand) -> None:
    """At what it was allowed to produce."""
    said = await stand.chat("a", model="endless", stream=True)
    assert said.events[-1]["error"]["code"] == "ai.server.endless"
    await until(lambda: stand.row().outcome == "aborted")
    assert stand.row().cost <= stand.row().reserved
    await until(lambda: stand.server.broken_off == 1)


async def test_a_stream_that_only_lacks_done_is_whole(stand: Stand) -> None:
    """Some servers close instead."""
    said = await stand.chat("a b", model="no-done", stream=True)
    assert said.events[-1] == "[DONE]"
    assert stand.row().outcome == "complete"


async def test_a_caller_that_goes_away_is_paid_for_and_the_model_stopped(engine: Engine, clock: ManualClock) -> None:
    """As far as it came."""
    async with gateway_stand(engine, clock=clock, pace=0.02) as stand:
        asked = asyncio.create_task(stand.chat("word " * 40, stream=True))
        await until(lambda: bool(stand.server.seen))
        await asyncio.sleep(0.1)
        await stand.client.close()
        asked.cancel()
        await until(lambda: stand.row().outcome == "aborted")
        await until(lambda: stand.server.broken_off == 1)
        assert 0 < stand.row().cost < stand.row().reserved


async def test_a_server_that_claims_too_much_gets_what_was_reserved(stand: Stand) -> None:
    """Never more than the budget was asked for."""
    assert (await stand.chat("a b c", model="over-claims")).status == 200
    row = stand.row()
    assert row.cost == row.reserved
    assert row.claimed > row.reserved


@pytest.mark.parametrize(
    ("model", "status", "expected"),
    [
        ("busy", 429, "ai.server.busy"),
        ("broken", 503, "ai.server.failed"),
        ("refuses", 400, "ai.server.refused"),
        ("not-json", 503, "ai.answer.malformed"),
        ("hasty", 503, "service.timeout"),
        ("gone", 503, "service.unreachable"),
        ("nobody", 404, "ai.model.unknown"),
    ],
)
async def test_what_a_server_cannot_do_is_said_and_costs_nothing(
    stand: Stand, model: str, status: int, expected: str
) -> None:
    """And the reservation is given back."""
    said = await stand.chat(f"please, {IIN}", model=model)
    assert (said.status, code(said)) == (status, expected)
    assert added_up(stand.engine, stand.budget.id) == (0, 0)
    if model == "refuses":
        assert IIN in said.json["error"]["message"]


async def test_another_place_answers_where_the_first_is_broken(stand: Stand) -> None:
    """And is asked first for a while."""
    for number in range(3):
        said = await stand.chat(f"hello {number}", model="two")
        assert (said.status, said.headers["x-qaztech-deployment"]) == (200, "second")
    assert [each["model"] for each in stand.server.seen].count("broken") == 1
    assert {row.deployment for row in stand.rows()} == {"second"}


async def test_equal_questions_have_one_answer_but_never_of_personal_data(stand: Stand) -> None:
    """Exact, for one organisation, and free."""
    for _ in range(3):
        assert (await stand.chat("same", model="cached")).status == 200
    assert len(stand.server.seen) == 1
    assert [row.outcome for row in stand.rows()].count("cached") == 2
    await stand.chat(IIN, model="cached")
    await stand.chat(IIN, model="cached")
    assert len(stand.server.seen) == 3
    await stand.chat("same", model="cached", temperature=1)
    assert len(stand.server.seen) == 4


class Failing:
    """A finder that fails, with the text in its words."""

    def find(self, text: str) -> tuple[()]:
        """Fail."""
        raise ValueError(text)


async def test_a_finder_that_fails_refuses_the_call(
    engine: Engine, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing is passed on unseen, nothing of the text is logged."""
    async with gateway_stand(engine, clock=clock, finder=Failing()) as stand:
        said = await stand.chat(f"hidden {IIN}")
        assert (said.status, code(said)) == (503, "ai.detector.failed")
        assert stand.server.seen == []
        assert IIN not in caplog.text + said.body.decode()


@pytest.mark.parametrize(("handling", "passes"), [("pass", True), ("refuse", False)])
async def test_a_key_says_what_is_done_with_personal_data(
    engine: Engine, clock: ManualClock, *, handling: str, passes: bool
) -> None:
    """Passing on changes nothing in text or answer; refusing sends nothing."""
    async with gateway_stand(engine, clock=clock, handling=handling) as stand:
        said = await stand.chat(f"note {IIN}")
        if passes:
            assert stand.server.seen[0]["messages"][0]["content"] == f"note {IIN}"
            assert said.json["choices"][0]["message"]["content"] == f"You said: note {IIN}"
            assert stand.row().decision == "passed iin:1"
        else:
            assert code(said) == "ai.personal.refused"
            assert stand.server.seen == []


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"{", "ai.call.json"),
        (b"[]", "ai.call.json"),
        (b"\xff", "ai.call.json"),
        (b'{"messages": []}', "ai.call.model"),
        (b'{"model": "small"}', "ai.call.empty"),
        (b'{"model": "small", "messages": "x"}', "ai.call.messages"),
        (b'{"model": "small", "messages": [{"role": "user"}], "n": 0}', "ai.call.field"),
        (b'{"model": "small", "messages": [{"role": "user"}], "max_tokens": true}', "ai.call.field"),
        (b'{"model": "small", "messages": [{"role": "user"}], "stream": "yes"}', "ai.call.field"),
        (b'{"model": "small", "messages": [{"role": "", "x": "' + b"[" * 900 + b"]" * 900 + b'"}]}', "ai.call.deep"),
        (b'{"model": "vectors", "messages": [{"role": "user"}]}', "ai.call.kind"),
        (b'{"model": "small", "messages": [{"role": "", "x": ' + b"[" * 200 + b"]" * 200 + b"}]}", "ai.call.deep"),
    ],
)  # fmt: skip
async def test_what_is_no_call_is_refused_with_what_to_change(stand: Stand, body: bytes, expected: str) -> None:
    """And changes nothing."""
    said = await stand.post("/v1/chat/completions", body)
    assert (said.status, code(said)) == (400, expected)
    assert stand.rows() == []


async def test_a_large_prompt_is_taken_and_one_too_large_is_not(engine: Engine, clock: ManualClock) -> None:
    """Ten megabytes are a limit, not a memory."""
    async with gateway_stand(
        engine, clock=clock, limits=GatewayLimits(prompt=300_000, reading=1_000_000), tenge=1000
    ) as stand:
        taken = await stand.chat("word " * 40_000)
        assert taken.status == 200
        refused = await stand.chat("word " * 80_000)
        assert refused.status in {0, 400, 413}
        assert (await stand.chat("hello")).status == 200


async def test_a_forged_token_stands_for_nothing(stand: Stand) -> None:
    """Neither a guess nor one of an earlier call."""
    await stand.chat(f"note {IIN}")
    token = stand.server.seen[0]["messages"][0]["content"].split()[-1]
    said = await stand.chat(f"tell me {token} and [IIN_1_AAAA] of {IIN}")
    assert said.json["choices"][0]["message"]["content"] == f"You said: tell me {token} and [IIN_1_AAAA] of {IIN}"


async def test_health_and_counters(stand: Stand) -> None:
    """For operators; counters hold no text and no key."""
    await stand.chat("hello")
    assert (await stand.send("GET", "/health", key="")).json == {"ready": True, "reasons": [], "warnings": []}
    counters = (await stand.send("GET", "/metrics", key="")).body.decode()
    assert 'qaztech_ai_calls_total{outcome="complete"} 1' in counters
    assert (await stand.send("GET", "/else", key="")).status == 404
    assert replace(stand.key).id not in counters


async def test_calls_that_hang_leave_no_connection_behind(engine: Engine, clock: ManualClock) -> None:
    """However many were given up, by us or by their callers, the next one goes through."""
    async with gateway_stand(engine, clock=clock, tenge=1000) as stand:
        hung = await asyncio.gather(*(stand.chat("hello", model="hasty") for _ in range(60)))
        assert {code(each) for each in hung} == {"service.timeout"}
        given_up = [asyncio.create_task(stand.chat("hello", model="stuck", stream=True)) for _ in range(20)]
        await until(lambda: len(stand.server.seen) >= 80)
        await stand.client.close()
        for each in given_up:
            each.cancel()
        stand.client = HttpClient(url=stand.url)
        assert (await stand.chat("hello")).status == 200
        assert added_up(engine, stand.budget.id)[1] <= 20 * 1_000_000
        gauges = (await stand.send("GET", "/metrics", key="")).body.decode()
        assert 'qaztech_ai_place_calls{place="hasty/here"} 0' in gauges


async def test_ten_megabytes_are_looked_through_beside_other_calls(engine: Engine, clock: ManualClock) -> None:
    """Nobody waits behind a large prompt; what is in it is found to its last character."""
    async with gateway_stand(engine, clock=clock, tenge=1_000_000, tokens_per_minute=10**8) as stand:
        text = "сөз " * 1_200_000 + IIN
        large = asyncio.create_task(stand.chat(text))
        await asyncio.sleep(0)
        assert (await stand.chat("hello")).status == 200
        assert (await large).status == 200
        assert IIN not in json.dumps(stand.server.seen[-1])
