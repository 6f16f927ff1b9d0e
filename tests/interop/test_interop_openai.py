"""The official clients of the OpenAI API, unmodified, with another base URL: Python's here, JavaScript's in Node."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import openai
import pytest
from openai import AsyncOpenAI
from sqlalchemy import Engine

from model_gateway import CARD, IIN, Stand, gateway_stand, until
from qaztech.ai.gateway.tables import AI_GATEWAY
from qaztech.core.time import ManualClock
from qaztech.runtime.database import open_database, sqlite_url

NOW = 1_795_435_210_000
# The JavaScript client: its version, and the digest of what npm brings (it refuses anything else).
JAVASCRIPT = Path(__file__).parent / "openai_js"


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """Empty books."""
    engine = open_database(sqlite_url(tmp_path / "gateway.db"), AI_GATEWAY)
    yield engine
    engine.dispose()


@pytest.fixture
async def stand(engine: Engine) -> AsyncIterator[Stand]:
    """A gateway with a stand-in behind it."""
    async with gateway_stand(engine, clock=ManualClock(NOW)) as stand:
        yield stand


@pytest.fixture
async def client(stand: Stand) -> AsyncIterator[AsyncOpenAI]:
    """The official client."""
    async with AsyncOpenAI(base_url=f"{stand.url}/v1", api_key=stand.shown, max_retries=0, timeout=20) as client:
        yield client


async def test_chat(client: AsyncOpenAI) -> None:
    """Whole answers, with personal data restored and the usage told."""
    answer = await client.chat.completions.create(
        model="small", messages=[{"role": "user", "content": f"ЖСН {IIN} туралы"}], max_tokens=50
    )
    assert answer.choices[0].message.content == f"You said: ЖСН {IIN} туралы"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert answer.usage.total_tokens == 8
    assert answer.model_extra is not None
    assert answer.model_extra["qaztech"]["synthetic"] is True


async def test_streams(client: AsyncOpenAI, stand: Stand) -> None:
    """Piece by piece, with a usage at the end for who asks."""
    stream = await client.chat.completions.create(
        model="small", messages=[{"role": "user", "content": f"тексер {IIN} осыны"}], stream=True,
        stream_options={"include_usage": True},
    )  # fmt: skip
    said, usage, pieces = "", None, 0
    async for chunk in stream:
        pieces += 1
        said += chunk.choices[0].delta.content or "" if chunk.choices else ""
        usage = chunk.usage or usage
    assert said == f"You said: тексер {IIN} осыны"
    assert usage is not None
    assert usage.completion_tokens == stand.row().completion_tokens
    assert pieces > 4


async def test_a_stream_that_breaks_raises(client: AsyncOpenAI) -> None:
    """The client must not take half an answer for a whole one."""
    stream = await client.chat.completions.create(
        model="cut", messages=[{"role": "user", "content": "a b c d e f g"}], stream=True
    )
    with pytest.raises(openai.APIError):
        async for _ in stream:
            pass


async def test_a_stream_that_is_left(client: AsyncOpenAI, engine: Engine) -> None:
    """Closed by the caller: the model stops, what came is paid."""
    async with gateway_stand(engine, clock=ManualClock(NOW), pace=0.02, tenge=20) as stand:
        async with AsyncOpenAI(base_url=f"{stand.url}/v1", api_key=stand.shown, max_retries=0) as other:
            stream = await other.chat.completions.create(
                model="small", messages=[{"role": "user", "content": "word " * 50}], stream=True
            )
            async for _ in stream:
                break
            await stream.close()
        await until(lambda: stand.rows()[-1].outcome == "aborted")
        assert stand.rows()[-1].cost > 0


async def test_tools(client: AsyncOpenAI) -> None:
    """Arguments are JSON, restored, whole and in a stream."""
    tools = [{"type": "function", "function": {"name": "find_person", "parameters": {"type": "object"}}}]
    asked = [{"role": "user", "content": f'кім "{IIN}"?'}]
    answer = await client.chat.completions.create(model="small", messages=asked, tools=tools)  # type: ignore[call-overload]
    call = answer.choices[0].message.tool_calls[0]
    assert call.function.name == "find_person"
    assert json.loads(call.function.arguments) == {"query": f'кім "{IIN}"?'}
    async with client.chat.completions.stream(model="small", messages=asked, tools=tools) as stream:  # type: ignore[arg-type]
        final = await stream.get_final_completion()
    calls = final.choices[0].message.tool_calls
    assert calls is not None
    assert json.loads(calls[0].function.arguments) == {"query": f'кім "{IIN}"?'}


async def test_images_as_parts(client: AsyncOpenAI, stand: Stand) -> None:
    """Sent on as they are; the call is personal, for nobody can look at them."""
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
    content = [{"type": "text", "text": "what is it"}, image]
    await client.chat.completions.create(model="small", messages=[{"role": "user", "content": content}])  # type: ignore[misc,list-item]
    assert stand.server.seen[-1]["messages"][0]["content"][1] == image
    assert stand.row().decision == "masked unreadable"


async def test_completions_embeddings_and_models(client: AsyncOpenAI) -> None:
    """The other endpoints."""
    text = await client.completions.create(model="small", prompt="continue")
    assert text.choices[0].text == "You said: continue"
    vectors = await client.embeddings.create(model="vectors", input=["one", "two"])
    assert [len(each.embedding) for each in vectors.data] == [16, 16]
    names = [model.id async for model in client.models.list()]
    assert "small" in names
    assert (await client.models.retrieve("small")).id == "small"


async def test_errors_have_their_classes(client: AsyncOpenAI, stand: Stand) -> None:
    """As callers catch them."""

    async def call(model: str = "small", content: str = "hello", **more: object) -> None:
        await client.chat.completions.create(model=model, messages=[{"role": "user", "content": content}], **more)  # type: ignore[call-overload]

    with pytest.raises(openai.NotFoundError) as unknown:
        await call("nobody")
    assert unknown.value.code == "ai.model.unknown"
    with pytest.raises(openai.BadRequestError):
        await call(max_tokens=-1)
    with pytest.raises(openai.BadRequestError, match="cannot answer"):
        await call("refuses")
    with pytest.raises(openai.InternalServerError):
        await call("broken")
    stand.cards.clear()
    with pytest.raises(openai.PermissionDeniedError) as suspended:
        await call()
    assert suspended.value.code == "ai.system.unregistered"
    stand.cards[CARD.id] = CARD
    stand.keys.revoke(stand.key.id, by="aigerim")
    with pytest.raises(openai.AuthenticationError):
        await call()


async def test_a_spent_budget_is_a_rate_limit(engine: Engine) -> None:
    """The client may come again, when it is told."""
    async with (
        gateway_stand(engine, clock=ManualClock(NOW), tenge=1) as stand,
        AsyncOpenAI(base_url=f"{stand.url}/v1", api_key=stand.shown, max_retries=0) as client,
    ):
        refused = None
        while refused is None:
            try:
                await client.chat.completions.create(
                    model="small", messages=[{"role": "user", "content": "word " * 30}]
                )
            except openai.RateLimitError as error:
                refused = error
        assert refused.code == "ai.budget.exhausted"
        assert int(refused.response.headers["retry-after"]) > 0


async def test_javascript(stand: Stand, tmp_path: Path) -> None:
    """The same calls from Node."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("Node and npm are not installed: packages.txt names them")
    for file in ("package.json", "package-lock.json", "calls.mjs"):
        shutil.copy(JAVASCRIPT / file, tmp_path)
    await _run(tmp_path, npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--cache", str(tmp_path / "cache"))
    said = json.loads(await _run(tmp_path, node, "calls.mjs", f"{stand.url}/v1", stand.shown, IIN))
    assert said == {
        "chat": f"You said: ЖСН {IIN}",
        "stream": f"You said: ЖСН {IIN}",
        "arguments": {"query": f"ЖСН {IIN}"},
        "vectors": [16, 16],
        "hasSmall": True,
        "unknown": [404, "ai.model.unknown"],
        "broken": True,
    }


async def _run(folder: Path, *command: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *command, cwd=folder, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await asyncio.wait_for(process.communicate(), 120)
    assert process.returncode == 0, err.decode()
    return out.decode()
