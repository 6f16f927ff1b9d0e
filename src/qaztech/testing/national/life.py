"""The life of the embedded country: real calls of a dozen systems of the sample through their own nodes.

    python -I life.py DIRECTORY

`orders.json` in the directory says who calls what how often; `done.json` beside it how many calls have been made, so
that a country which stops and goes on makes its first calls once. Then one call a minute, for ever; it ends when told
to, and whatever fails it tries again later. `messages.json` has the ids of its latest messages, so that others can
tell them from their own. A program by itself, of the standard library alone, so that it stays small.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

ORDERS: Final = "orders.json"
DONE: Final = "done.json"
MESSAGES: Final = "messages.json"
# Ids that are kept.
MOST_MESSAGES: Final = 300
# Seconds between two calls: in the country's first minutes, later, and after one that failed.
FIRST_PAUSE: Final = 1.0
PAUSE: Final = 60.0
FAILED_PAUSE: Final = 2.0
_SECONDS: Final = 15.0


class Life:
    """The calls of one country, one after another."""

    def __init__(self, directory: Path, wait: Callable[[float], None] = time.sleep) -> None:
        self._directory = directory
        self._wait = wait
        self._orders: list[dict[str, Any]] = json.loads((directory / ORDERS).read_text())
        self._done: dict[str, int] = self._read(DONE, {})
        self._messages: list[str] = self._read(MESSAGES, [])

    def step(self) -> bool:
        """Make the next call; whether there was one to make. First calls go before all others, pair by pair in turn."""
        left = [order for order in self._orders if self._made(order) < order["first"]]
        going = [order for order in self._orders if order["goes_on"]]
        if not left and not going:
            self._wait(PAUSE)
            return False
        order = min(left or going, key=self._made)
        message = call(order["url"], order["client"])
        if not message:
            self._wait(FAILED_PAUSE)
            return True
        self._messages = [*self._messages, message][-MOST_MESSAGES:]
        self._write(MESSAGES, self._messages)
        self._done[_name(order)] = self._made(order) + 1
        self._write(DONE, self._done)
        self._wait(FIRST_PAUSE if left else PAUSE)
        return True

    def _made(self, order: dict[str, Any]) -> int:
        return self._done.get(_name(order), 0)

    def _read(self, name: str, nothing: Any) -> Any:
        try:
            return json.loads((self._directory / name).read_text())
        except (FileNotFoundError, ValueError):
            return nothing

    def _write(self, name: str, kept: object) -> None:
        made = self._directory / f"{name}.new"
        made.write_text(json.dumps(kept))
        made.replace(self._directory / name)


def call(url: str, client: str) -> str:
    """One call through the client's own node; gives the message's id, nothing where it was not answered well."""
    parts = urlsplit(url)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=_SECONDS)
    try:
        target = f"{parts.path}?{parts.query}" if parts.query else parts.path
        connection.request("GET", target, headers={"X-Road-Client": client})
        answer = connection.getresponse()
        answer.read()
    except (OSError, HTTPException):
        return ""
    finally:
        connection.close()
    return answer.headers.get("x-road-request-id", "") if answer.status == 200 else ""


def _name(order: dict[str, Any]) -> str:
    return f"{order['client']} {order['url']}"


def main(arguments: Sequence[str]) -> None:
    """Live until told to end."""
    life = Life(Path(arguments[0]))
    while True:
        life.step()


if __name__ == "__main__":
    main(sys.argv[1:])
