"""Pages of what calls of models used: sums with a chart, single calls, the statement of a month as page and files.

Calls are told by tokens, cost, class and decision, never by text: there is none. Only the total of a statement is
rounded. Not here: keys and budgets (`member_ai_keys`), what counts a call (`ai.gateway`).
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from qaztech.ai.gateway.budgeting import day_of, day_text, exact_tenge, month_of, month_span
from qaztech.ai.gateway.usage import By, CallRow, Statement, Sum
from qaztech.core.errors import Malformed
from qaztech.people.people import Person
from qaztech.web.hub_pages import hub_texts
from qaztech.web.member_ai_cards import AI
from qaztech.web.member_parts import PageRoute, Parts, off_loop
from qaztech.web.people_pages import page_language

USAGE, CALLS, STATEMENT = f"{AI}/usage", f"{AI}/calls", f"{AI}/statement"
WAYS: Final[tuple[By, ...]] = ("key", "system", "model", "day")
WIDTH, HEIGHT = 720, 140
_SHOWN: Final = 50
# Calls of a month that one file holds; `qaztech ai statement --calls` has all.
MOST_CALLS: Final = 200_000
_DAY: Final = 86_400_000
_CALL = re.compile(r"[0-9a-f-]{1,36}\Z")
_LINE: Final = ("service", "deployment", "model", "version", "system", "card", "purpose")
_CALL_FIELDS: Final = (
    "id", "started", "ended", "key", "system", "card", "purpose", "service", "model", "version", "data_class",
    "decision", "outcome", "prompt_tokens", "completion_tokens", "cost", "exchange", "usage_exchange",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One day: what it cost (micro-tenge) and where its bar stands."""

    day: str
    cost: int
    calls: int
    x: float
    y: float
    width: float
    height: float


class AiUsagePages:
    """The handlers."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._ai = parts.ai

    def routes(self) -> list[PageRoute]:
        """Every route with its scope."""
        return [
            PageRoute("GET", USAGE, "ai:read", self._usage),
            PageRoute("GET", CALLS, "ai:read", self._calls),
            PageRoute("GET", STATEMENT, "ai:read", self._statement),
            PageRoute("GET", f"{STATEMENT}.csv", "ai:read", self._statement_csv),
            PageRoute("GET", f"{STATEMENT}.json", "ai:read", self._statement_json),
            PageRoute("GET", f"{CALLS}.csv", "ai:read", self._calls_csv),
        ]

    async def _usage(self, request: Request, person: Person) -> Response:
        """`?month=` and `?by=` key, system, model or day."""
        month, by = self._month(request), request.query_params.get("by", WAYS[0])
        way = next((each for each in WAYS if each == by), None)
        if way is None:
            raise Malformed("ai.usage.by", f"usage is summed by one of {', '.join(WAYS)}", at="caller")
        begin, end = month_span(month)
        sums, days, names = [], [], {}
        if self._ai.gateway is not None:
            sums = await off_loop(lambda: self._ai.usage(begin, end, (way,)))
            days = await off_loop(lambda: self._ai.usage(begin, end, ("day",)))
            names = {key.id: key.name for key in await off_loop(self._ai.keys)}
        return self._render(
            request, "ai-usage.html", person, month=month, near=_near(month), by=way, ways=WAYS, sums=sums,
            names=names, bars=bars_of(days, begin, end), width=WIDTH, height=HEIGHT,
            total=sum(each.cost for each in days), count=sum(each.calls for each in days),
            highest=max((each.cost for each in days), default=0),
        )  # fmt: skip

    async def _calls(self, request: Request, person: Person) -> Response:
        """`?key=` narrows, `?before=` goes on."""
        key, before = request.query_params.get("key", "")[:32] or None, request.query_params.get("before", "")
        if before and not _CALL.match(before):
            raise Malformed("form.malformed", "there is no such call to go on from", at="caller")
        found: list[CallRow] = []
        names = {}
        if self._ai.gateway is not None:
            found = await off_loop(lambda: self._ai.calls(key=key, before=before, most=_SHOWN + 1))
            names = {each.id: each.name for each in await off_loop(self._ai.keys)}
        return self._render(
            request, "ai-calls.html", person, calls=found[:_SHOWN], more=len(found) > _SHOWN, names=names, key=key
        )

    async def _statement(self, request: Request, person: Person) -> Response:
        month = self._month(request)
        found = None
        if self._ai.gateway is not None:
            found = await off_loop(lambda: self._ai.statement(month))
        return self._render(
            request, "ai-statement.html", person, month=month, near=_near(month), statement=found,
            management=self._parts.console.node.first,
        )  # fmt: skip

    async def _statement_csv(self, request: Request, _: Person) -> Response:
        """A line for each service, place, model and so on; the total stands at the end."""
        month = self._month(request)
        found = await off_loop(lambda: self._ai.statement(month))
        head = [*_LINE, "calls", "open", "failed", "prompt_tokens", "completion_tokens", "tenge"]
        rows: list[list[Any]] = [_line_of(line) for line in found.lines]
        total = ["total", *[""] * (len(_LINE) - 1), found.calls, found.open, "", "", "", found.tenge]
        return _file(_table(head, [*rows, total]), "text/csv; charset=utf-8", f"statement-{month}.csv")

    async def _statement_json(self, request: Request, _: Person) -> Response:
        """As `qaztech ai statement --json` prints it, with its calls, so that the other side can compare."""
        month = self._month(request)
        found = await off_loop(lambda: self._ai.statement(month))
        calls = await off_loop(lambda: self._ai.month_calls(month, MOST_CALLS))
        data = msgspec.json.format(msgspec.json.encode(statement_facts(found, calls)), indent=1)
        return _file(data, "application/json", f"statement-{month}.json")

    async def _calls_csv(self, request: Request, _: Person) -> Response:
        month = self._month(request)
        calls = await off_loop(lambda: self._ai.month_calls(month, MOST_CALLS))
        rows = [[getattr(call, name) for name in _CALL_FIELDS] for call in calls]
        return _file(_table(_CALL_FIELDS, rows), "text/csv; charset=utf-8", f"calls-{month}.csv")

    def _month(self, request: Request) -> str:
        month = request.query_params.get("month", "") or month_of(self._parts.console.clock.now())
        try:
            if len(month) != 7:
                raise ValueError(month)
            month_span(month)
        except (ValueError, OverflowError) as exc:
            raise Malformed("ai.usage.month", "a month is written YYYY-MM", at="caller") from exc
        return month

    def _render(self, request: Request, template: str, person: Person, **values: Any) -> Response:
        words = hub_texts(page_language(request))["ai"]
        return self._parts.pages.render(
            request, template, person, words=words, gateway=self._ai.gateway, tenge=exact_tenge, **values
        )


def statement_facts(found: Statement, calls: Iterable[CallRow] = ()) -> dict[str, Any]:
    """A statement as programs read it: costs are micro-tenge, and only `tenge` is rounded, up."""
    return {
        "member": str(found.member), "month": found.month, "lines": [asdict(line) for line in found.lines],
        "calls": found.calls, "open": found.open, "micro_tenge": found.total, "tenge": found.tenge,
        "each": [asdict(call) for call in calls],
    }  # fmt: skip


def bars_of(days: Sequence[Sum], begin: int, end: int) -> list[Bar]:
    """A bar for each day of a month."""
    known = {each.by["day"]: each for each in days}
    highest = max((each.cost for each in days), default=0) or 1
    texts = [day_text(day_of(moment)) for moment in range(begin, end, _DAY)]
    room = WIDTH / len(texts)
    found = []
    for number, text in enumerate(texts):
        each = known.get(text)
        cost = each.cost if each else 0
        height = round(cost / highest * HEIGHT, 1)
        found.append(
            Bar(
                day=text, cost=cost, calls=each.calls if each else 0, x=round(number * room + 2, 1),
                y=round(HEIGHT - height, 1), width=round(room - 4, 1), height=height,
            )
        )  # fmt: skip
    return found


def _near(month: str) -> tuple[str, str]:
    """The months before and after."""
    begin, end = month_span(month)
    return month_of(begin - 1), month_of(end)


def _line_of(line: Sum) -> list[Any]:
    named = [line.by[name] for name in _LINE]
    return [
        *named, line.calls, line.open, line.failed, line.prompt_tokens, line.completion_tokens, exact_tenge(line.cost),
    ]  # fmt: skip


def _table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(head)
    writer.writerows([["" if value is None else _plain(value) for value in row] for row in rows])
    return text.getvalue().encode()


def _plain(value: Any) -> Any:
    """What a spreadsheet would take for a formula, as text."""
    return f"'{value}" if isinstance(value, str) and value[:1] in {"=", "+", "-", "@"} else value


def _file(data: bytes, media_type: str, name: str) -> Response:
    headers = {"Cache-Control": "no-store", "Content-Disposition": f'attachment; filename="{name}"'}
    return Response(data, media_type=media_type, headers=headers)
