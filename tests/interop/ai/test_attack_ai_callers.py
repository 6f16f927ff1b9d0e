"""What a caller with a key tries: to hide from being looked at, to have more than is paid for, to stop the others."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import Engine

from model_gateway import IIN, Said, Stand, gateway_stand
from qaztech.ai.gateway.models import Deployment, Model
from qaztech.core.time import ManualClock
from qaztech.testing.models import ModelStandIn

PIXEL = "data:image/png;base64,AAAA"


@pytest.fixture
async def stand(engine: Engine, clock: ManualClock) -> AsyncIterator[Stand]:
    """A gateway whose key declares nothing above internal."""
    async with gateway_stand(engine, clock=clock) as stand:
        yield stand


def code(said: Said) -> str:
    """The code of a refusal."""
    return str(said.json["error"]["code"])


@pytest.mark.parametrize(
    "message",
    [
        {"role": f"role {IIN}", "content": "x"},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "1", "type": "function", "function": {
            "name": "f", "arguments": json.dumps({"iin": int(IIN)})}}]},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "1", "type": "function", "function": {
            "name": "f", "arguments": json.dumps({"object": IIN, "type": f"a {IIN}"})}}]},
        {"role": "user", "content": ' {"q": "\\u0039\\u00390101300006"}'},
        {"role": "user", "content": '\ufeff{"q": "\\u0039\\u00390101300006"}'},
        {"role": "user", "content": "x", "iin": int(IIN)},
        {"role": "user", "content": "x", "iin": float(IIN)},
    ],
)  # fmt: skip
async def test_nothing_is_hidden_in_a_place_that_is_not_looked_at(stand: Stand, message: dict[str, Any]) -> None:
    """Numbers, roles, words of the protocol, JSON behind a space."""
    said = await stand.post("/v1/chat/completions", {"model": "small", "messages": [message]})
    sent = json.dumps(stand.server.seen)
    if said.status == 200:
        assert "iin" in stand.row().decision
    assert IIN not in sent.replace("\\\\u0039", "9"), said.body


@pytest.mark.parametrize(
    "part",
    [
        {"image_url": {"url": PIXEL}},
        {"type": "audio_url", "audio_url": {"url": PIXEL}},
        {"type": "input_image", "image_url": PIXEL},
        {"type": "image", "source": {"type": "base64", "data": "AAAA"}},
        {"type": "image_embeds", "image_embeds": "AAAA"},
        {"type": "text", "text": "x", "image_url": {"url": PIXEL}},
    ],
)
async def test_what_no_finder_can_read_is_personal(stand: Stand, part: dict[str, Any]) -> None:
    """Also in the forms that servers know beside the usual ones."""
    assert (await stand.chat([part])).status == 200
    assert stand.row()._mapping["class"] == "personal"


@pytest.mark.parametrize(
    "part",
    [
        {"image_url": {"url": "http://127.0.0.1/secret"}},
        {"type": "audio_url", "audio_url": {"url": "http://127.0.0.1/secret"}},
        {"type": "input_image", "image_url": "http://127.0.0.1/secret"},
        {"type": "image_url", "image_url": {"url": "file:///etc/passwd"}},
        {"type": "input_file", "file_url": "http://127.0.0.1/secret"},
        {"type": "image", "source": {"type": "url", "url": "http://127.0.0.1/secret"}},
    ],
)
async def test_a_server_fetches_nothing_on_a_callers_word(stand: Stand, part: dict[str, Any]) -> None:
    """It would reach where the caller may not."""
    assert code(await stand.chat([part])) == "ai.call.remote"
    assert stand.server.seen == []


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/completions", {"model": "small", "prompt": [9, 9, 0]}),
        ("/v1/completions", {"model": "small", "prompt": [[9, 9, 0], [1]]}),
        ("/v1/embeddings", {"model": "vectors", "input": [9, 9, 0]}),
    ],
)
async def test_a_prompt_in_tokens_is_personal(stand: Stand, path: str, body: dict[str, Any]) -> None:
    """Nobody here can read it."""
    assert (await stand.post(path, body)).status == 200
    assert stand.row()._mapping["class"] == "personal"


async def test_what_is_split_over_parts_is_personal(stand: Stand) -> None:
    """Servers put the parts of a message together."""
    said = await stand.chat([{"type": "text", "text": IIN[:6]}, {"type": "text", "text": IIN[6:]}])
    assert said.status == 200
    assert stand.row()._mapping["class"] == "personal"


@pytest.mark.parametrize(
    "more",
    [
        {"n_predict": 100_000}, {"max_new_tokens": 100_000}, {"options": {"num_predict": 100_000}},
        {"chat_template": "{{ 'x' * 10**9 }}"}, {"prompt_embeds": "AAAA"}, {"logits_processors": ["os.system"]},
        {"best_of": 16}, {"prompt": "x"},
    ],
)  # fmt: skip
async def test_a_field_that_means_something_to_some_server_only_is_refused(stand: Stand, more: dict[str, Any]) -> None:
    """Servers have fields of their own by which more is produced than was reserved."""
    said = await stand.chat("hello", **more)
    assert (said.status, code(said)) == (400, "ai.call.field")
    assert stand.server.seen == []


async def test_fields_of_the_official_clients_pass(stand: Stand) -> None:
    """And those by which open servers are usually told how to draw."""
    said = await stand.chat(
        "hello", temperature=0.5, top_p=0.9, seed=7, logprobs=True, top_logprobs=2, parallel_tool_calls=True,
        reasoning_effort="low", store=False, service_tier="auto", top_k=3, min_p=0.1, repetition_penalty=1.1,
        metadata={"a": "b"}, logit_bias={"50256": -100}, response_format={"type": "json_object"},
    )  # fmt: skip
    assert said.status == 200


async def test_a_text_with_every_mark_there_is_stops_nobody(engine: Engine, clock: ManualClock) -> None:
    """A mark is drawn that stands nowhere in the request: there always is one."""
    async with gateway_stand(engine, clock=clock, tenge=1_000_000, tokens_per_minute=10**8) as stand:
        letters = "ABCDEFGHJKMNPQRSTVWXYZ23456789"
        every = " ".join(map("".join, itertools.product(letters, repeat=4)))
        asked = asyncio.create_task(stand.chat(f"{IIN} {every}"))
        assert (await stand.chat("hello")).status == 200
        assert (await asked).status == 200
        assert IIN not in json.dumps(stand.server.seen)


async def test_an_answer_kept_of_another_place_is_no_free_call(engine: Engine, clock: ManualClock) -> None:
    """Where the class was raised meanwhile, the call is made and paid."""
    server = ModelStandIn(remembers=9)
    url = f"http://127.0.0.1:{await server.listen()}"
    open_, closed = (
        Deployment(name=mode, model="echo", url=url, mode=mode, prompt_price=1000, completion_price=2000, rank=rank)
        for rank, mode in enumerate(("open", "closed"))
    )
    kept = Model(name="kept", deployments=(open_, closed), cache_seconds=60)
    try:
        async with gateway_stand(engine, clock=clock, more=(kept,), data_class="public") as stand:
            first = await stand.chat("same", model="kept")
            assert first.headers["x-qaztech-deployment"] == "open"
            raised = await stand.chat("same", model="kept", data_class="internal")
            assert raised.headers["x-qaztech-deployment"] == "closed"
            costs = [row.cost for row in stand.rows()]
            assert costs[0] == costs[1] > 0
    finally:
        await server.close()


@pytest.mark.parametrize("filler", ["[],", '{"a":1},', '"a",', "1,"])
async def test_a_body_of_a_million_pieces_is_refused_soon(stand: Stand, filler: str) -> None:
    """What is made of very many values costs much more to read than it has bytes."""
    body = {"model": "small", "messages": [{"role": "user", "content": "x"}], "metadata": [0]}
    data = json.dumps(body).replace("[0]", f"[{filler * 1_000_000}1]")
    slowest = 0.0

    async def watch() -> None:
        nonlocal slowest
        loop = asyncio.get_running_loop()
        while True:
            at = loop.time()
            await asyncio.sleep(0.005)
            slowest = max(slowest, loop.time() - at)

    watching = asyncio.create_task(watch())
    said = await stand.post("/v1/chat/completions", data.encode())
    watching.cancel()
    assert said.status == 400
    assert slowest < 0.5


@pytest.mark.parametrize("number", ["1" * 5000, "1e400", "-0.0", "1E+22"])
async def test_a_number_that_is_none_is_no_fault_of_ours(stand: Stand, number: str) -> None:
    """Whatever JSON allows."""
    body = {"model": "small", "messages": [{"role": "user", "content": "x", "y": 0}]}
    data = json.dumps(body).replace(": 0}", f": {number}}}")
    assert (await stand.post("/v1/chat/completions", data.encode())).status in {200, 400}


async def test_what_is_written_in_escapes_is_personal(stand: Stand) -> None:
    """A model reads them as people read letters."""
    for text in ("say \\u0039\\u00390101300006", "say &#57;90101300006", "say %390101300006"):
        assert (await stand.chat(text)).status == 200
    assert {row._mapping["class"] for row in stand.rows()} == {"personal"}
    assert (await stand.chat("50%25 of &amp; \\u0041")).status == 200
    assert sorted(row._mapping["class"] for row in stand.rows()) == ["internal", *["personal"] * 3]
