"""A stand-in for the server of a model: the OpenAI API, no model behind it, the same answer for the same question.

It repeats what it is asked, word by word, and counts words as tokens. The embedded country has it so that a newcomer
can call an AI service at once; tests call it by names that fail in a way each (`FAULTS`).
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from hashlib import sha256
from typing import Any, Final

from qaztech.node.http_request import Request
from qaztech.node.http_server import HttpServer, ServerLimits

MODEL: Final = "echo"
MOST_WORDS: Final = 64
DIMENSIONS: Final = 16
# Names of models that misbehave, for tests.
FAULTS: Final = frozenset({
    "broken", "busy", "cut", "endless", "error-event", "malformed", "no-done", "no-usage", "not-json", "over-claims",
    "refuses", "slow", "stuck",
})  # fmt: skip
_JSON = [(b"Content-Type", b"application/json")]
_EVENTS = [(b"Content-Type", b"text/event-stream")]
_BODY = 32 * 1024 * 1024


class ModelStandIn:
    """Listens on a port of this machine; `seen` holds the bodies of the last calls, for tests."""

    def __init__(self, *, pace: float = 0.0, remembers: int = 0) -> None:
        self._pace = pace
        self._remembers = remembers
        self.seen: list[dict[str, Any]] = []
        self.headers: list[list[tuple[bytes, bytes]]] = []
        self.broken_off = 0
        self._tasks: set[asyncio.Task[None]] = set()
        limits = ServerLimits(max_body=_BODY, buffered_body=_BODY)
        self._server = HttpServer(on_request=self._request, limits=limits)

    async def listen(self, host: str = "127.0.0.1", port: int = 0) -> int:
        """Begin; the port."""
        return await self._server.listen(host, port)

    async def close(self) -> None:
        """End, whatever is under way."""
        for task in list(self._tasks):
            task.cancel()
        await self._server.drain(0.2)

    def _request(self, request: Request) -> None:
        path = request.target.partition(b"?")[0]
        if request.method == "GET" and path == b"/v1/models":
            self._remember({}, request)
            self._respond(request, 200, {"object": "list", "data": [{"id": MODEL, "object": "model"}]})
            return
        try:
            body = json.loads(request.body or b"")
        except ValueError:
            self._respond(request, 400, {"error": {"message": "not JSON", "type": "invalid_request_error"}})
            return
        self._remember(body, request)
        task = asyncio.get_running_loop().create_task(self._answer(request, path.decode(), body))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

        def gone() -> None:
            self.broken_off += 1
            task.cancel()

        request.on_disconnect = gone

    def _remember(self, body: dict[str, Any], request: Request) -> None:
        if self._remembers:
            self.seen = [*self.seen, body][-self._remembers :]
            self.headers = [*self.headers, request.headers][-self._remembers :]

    async def _answer(self, request: Request, path: str, body: dict[str, Any]) -> None:
        fault = str(body.get("model"))
        if fault == "busy":
            self._respond(request, 429, {"error": {"message": "overloaded"}})
        elif fault == "broken":
            self._respond(request, 500, {"error": {"message": "out of memory"}})
        elif fault == "refuses":
            self._respond(request, 400, {"error": {"message": f"cannot answer: {asked(body)}"}})
        elif fault == "not-json":
            request.respond(200, _JSON, b"<html>")
        elif fault == "stuck":
            await asyncio.sleep(3600)
        elif path == "/v1/embeddings":
            self._respond(request, 200, _embeddings(body))
        elif path in {"/v1/chat/completions", "/v1/completions"}:
            await self._complete(request, body, fault, chat=path.endswith("chat/completions"))
        else:
            self._respond(request, 404, {"error": {"message": "no such path"}})

    async def _complete(self, request: Request, body: dict[str, Any], fault: str, *, chat: bool) -> None:
        words = _said(body)
        most = body.get("max_completion_tokens") or body.get("max_tokens") or MOST_WORDS
        reason = "stop" if len(words) <= most else "length"
        words = words[:most]
        usage = {"prompt_tokens": len(asked(body).split()), "completion_tokens": len(words)}
        if fault == "over-claims":
            usage["completion_tokens"] = 1_000_000
        usage["total_tokens"] = sum(usage.values())
        head = {"id": "standin-1", "created": 0, "model": MODEL}
        counted = {} if fault == "no-usage" else {"usage": usage}
        if body.get("stream"):
            await self._stream(
                request, body, head=head, words=words, reason=reason, usage=usage, fault=fault, chat=chat
            )
            return
        if fault == "slow":
            await asyncio.sleep(0.3)
        choices = [
            {"index": index, "finish_reason": reason, **_whole(body, words, chat=chat)}
            for index in range(body.get("n") or 1)
        ]
        kind = "chat.completion" if chat else "text_completion"
        self._respond(request, 200, {**head, "object": kind, "choices": choices, **counted})

    async def _stream(
        self, request: Request, body: dict[str, Any], *, head: dict[str, Any], words: list[str], reason: str,
        usage: dict[str, int], fault: str, chat: bool,
    ) -> None:  # fmt: skip
        request.start(200, _EVENTS)
        head = {**head, "object": "chat.completion.chunk" if chat else "text_completion"}

        def send(choices: list[dict[str, Any]], **more: Any) -> None:
            request.write(b"data: " + json.dumps({**head, "choices": choices, **more}).encode() + b"\n\n")

        count = body.get("n") or 1
        for number, piece in enumerate(_pieces(body, words, chat=chat)):
            for index in range(count):
                send([{"index": index, "finish_reason": None, **piece}])
            if number == 2 and fault in {"cut", "malformed", "error-event"}:
                if fault == "malformed":
                    request.write(b"data: {nonsense\n\n")
                elif fault == "error-event":
                    request.write(b'data: {"error": {"message": "lost the model"}}\n\n')
                else:
                    request.abort()
                return
            await asyncio.sleep(self._pace)
        while fault == "endless":
            send([{"index": 0, "finish_reason": None, **_piece("more ", chat=chat)}])
            await asyncio.sleep(0)
        for index in range(count):
            send([{"index": index, "finish_reason": reason, **({"delta": {}} if chat else {"text": ""})}])
        if (body.get("stream_options") or {}).get("include_usage") and fault != "no-usage":
            send([], usage=usage)
        if fault != "no-done":
            request.write(b"data: [DONE]\n\n")
        request.finish()

    @staticmethod
    def _respond(request: Request, status: int, body: dict[str, Any]) -> None:
        request.respond(status, _JSON, json.dumps(body, ensure_ascii=False).encode())


def asked(body: dict[str, Any]) -> str:
    """The text of the last message, or the prompt."""
    messages = body.get("messages")
    content = messages[-1].get("content") if isinstance(messages, list) and messages else body.get("prompt")
    if isinstance(content, list):
        return " ".join(part.get("text", "") if isinstance(part, dict) else str(part) for part in content)
    return str(content or "")


def _said(body: dict[str, Any]) -> list[str]:
    return f"You said: {asked(body)}".split(" ")


def _calls_tool(body: dict[str, Any]) -> str | None:
    tools = body.get("tools")
    if not isinstance(tools, list) or not tools or body["messages"][-1].get("role") == "tool":
        return None
    name = tools[0].get("function", {}).get("name")
    return name if isinstance(name, str) else None


def _whole(body: dict[str, Any], words: list[str], *, chat: bool) -> dict[str, Any]:
    if not chat:
        return {"text": " ".join(words)}
    tool = _calls_tool(body)
    if tool is None:
        return {"message": {"role": "assistant", "content": " ".join(words)}}
    arguments = json.dumps({"query": asked(body)}, ensure_ascii=False)
    function = {"name": tool, "arguments": arguments}
    return {"message": {"role": "assistant", "content": None, "tool_calls": [
        {"id": "call_1", "type": "function", "function": function}
    ]}}  # fmt: skip


def _piece(text: str, *, chat: bool) -> dict[str, Any]:
    return {"delta": {"content": text}} if chat else {"text": text}


def _pieces(body: dict[str, Any], words: list[str], *, chat: bool) -> list[dict[str, Any]]:
    """Pieces as servers cut them: not where words end."""
    tool = _calls_tool(body) if chat else None
    if tool is not None:
        text = json.dumps({"query": asked(body)}, ensure_ascii=False)
        function = {"index": 0, "id": "call_1", "type": "function", "function": {"name": tool, "arguments": ""}}
        cut = [
            {"tool_calls": [{"index": 0, "function": {"arguments": text[at : at + 3]}}]}
            for at in range(0, len(text), 3)
        ]
        return [{"delta": {"role": "assistant", "tool_calls": [function]}}, *({"delta": each} for each in cut)]
    text = " ".join(words)
    cuts = [text[at : at + 5] for at in range(0, len(text), 5)]
    first = [{"delta": {"role": "assistant", "content": ""}}] if chat else []
    return [*first, *(_piece(each, chat=chat) for each in cuts)]


def _embeddings(body: dict[str, Any]) -> dict[str, Any]:
    given = body.get("input")
    texts = given if isinstance(given, list) else [given]
    data = [
        {"object": "embedding", "index": index, "embedding": _vector(str(text))} for index, text in enumerate(texts)
    ]
    count = sum(len(str(text).split()) for text in texts)
    return {"object": "list", "model": MODEL, "data": data, "usage": {"prompt_tokens": count, "total_tokens": count}}


def _vector(text: str) -> list[float]:
    return [round(byte / 255 - 0.5, 4) for byte in sha256(text.encode()).digest()[:DIMENSIONS]]


async def serve_models(host: str, port: int, stop: asyncio.Event) -> None:
    """Run a stand-in until told to stop."""
    server = ModelStandIn(pace=0.02)
    await server.listen(host, port)
    await stop.wait()
    await server.close()


def _main() -> None:
    """`python -m qaztech.testing.models PORT`."""

    async def run() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        await serve_models("127.0.0.1", int(sys.argv[1]), stop)

    asyncio.run(run())


if __name__ == "__main__":
    _main()
