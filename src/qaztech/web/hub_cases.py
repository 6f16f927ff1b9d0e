"""Findings as a person's work: the queue, one finding with its evidence and the way down, and decisions on it.

Not here: how findings come about and what may follow on what (`hub`), findings in the logs of traffic (`hub_findings`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from qaztech.core.errors import Conflict, Error, Malformed
from qaztech.hub import scopes
from qaztech.hub.detectors.all import DETECTORS
from qaztech.hub.detectors.finding import Fact
from qaztech.hub.findings import FOLLOWS, CaseState, FindingCase, Measure
from qaztech.hub.register.law import Reference, current_law
from qaztech.hub.register.store import Batch
from qaztech.hub.stakes import Placed, Scope
from qaztech.people.gate import read_form
from qaztech.people.people import Person
from qaztech.web.hub_book import PRINTABLE, Book, as_json, book_of, printed, words_for
from qaztech.web.hub_pages import HubPages
from qaztech.web.hub_parts import HubParts, HubRoute, PageGroup
from qaztech.web.hub_sources import SourceWords, act_title
from qaztech.web.hub_words import down, source_of
from qaztech.web.people_pages import page_language
from qaztech.web.registry_pages import asked, redirect

CASES, CASE = "/console/cases", "/console/cases/case"
# Without a choice: what a person has not decided for good.
_STANDING = (CaseState.OPEN, CaseState.CONFIRMED, CaseState.MEASURE)
# What a body is asked for, and the detector whose findings ask for it.
ASKED_BY = {
    "documents": "legal_vacuum",
    "roles": "expiry_without_team",
    "sign_ins": "not_observable",
    "traffic": "not_observable",
}
_LINES = 50
_LONGEST_KEY = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """A fact, the page that shows where it was read, and the change of the registry that brought it, if one did."""

    fact: Fact
    down: tuple[str, Mapping[str, str]] | None
    brought: Batch | None


class CasePages:
    """The handlers."""

    def __init__(self, parts: HubParts, pages: HubPages) -> None:
        self._parts = parts
        self._pages = pages

    def routes(self) -> list[HubRoute]:
        """Every route with its scope."""
        return [
            HubRoute("GET", CASES, scopes.FINDINGS, self._list),
            HubRoute("GET", f"{CASES}.json", scopes.FINDINGS, self._list_json),
            HubRoute("GET", f"{CASES}/missing", scopes.FINDINGS, self._missing),
            HubRoute("POST", f"{CASES}/run", scopes.DECIDE_FINDINGS, self._run),
            HubRoute("GET", CASE, scopes.FINDINGS, self._show),
            HubRoute("POST", CASE, scopes.DECIDE_FINDINGS, self._decide),
            HubRoute("GET", f"{CASE}.json", scopes.FINDINGS, self._show_json),
            HubRoute("GET", f"{CASE}.pdf", scopes.FINDINGS, self._print),
        ]

    async def _list(self, request: Request, person: Person) -> Response:
        """`?detector=&state=&body=&area=&region=&least=` narrow it, `?page=` turns it; most money first.

        What only asks a body for data is on a page of its own, except where its detector is chosen.
        """
        book = await asyncio.to_thread(book_of, self._parts, gone=asked(request, "state") == "gone")
        found, page = _chosen(request, book), _page(request)
        return self._pages.render(
            request, person, "cases.html", words=words_for(request, book), lines=found[page * _LINES :][:_LINES],
            count=len(found), page=page, more=len(found) > (page + 1) * _LINES, chosen=_choice(request),
            detectors=_detectors(book), states=list(CaseState), scopes_=list(Scope),
            codes={scope: [stake.code for stake in book.stakes.all(scope) if stake.code] for scope in Scope},
            sums=book.stakes.sums(each.case for each in found), missing=_missing_count(book),
            latest=self._parts.detecting.latest, running=self._parts.detecting.running,
            seen=max((each.case.last_seen for each in book.stakes.placed), default=None),
            objects=len(book.register.objects),
        )  # fmt: skip

    async def _list_json(self, request: Request, _: Person) -> Response:
        book = await asyncio.to_thread(book_of, self._parts, gone=asked(request, "state") == "gone")
        return as_json({
            "registry_version": book.register.version,
            "today": book.today.isoformat(),
            "findings": [case_json(placed.case) for placed in _chosen(request, book)],
        })  # fmt: skip

    async def _missing(self, request: Request, person: Person) -> Response:
        """What bodies have not declared and findings ask for: one line for each body."""
        book = await asyncio.to_thread(book_of, self._parts)
        lines = [stake for stake in book.stakes.all(Scope.BODY) if stake.asked]
        lines.sort(key=lambda stake: (-sum(stake.asked.values()), stake.code))
        return self._pages.render(
            request, person, "missing.html", words=words_for(request, book), lines=lines, asks=ASKED_BY, book=book
        )

    async def _run(self, request: Request, person: Person) -> Response:
        """Let the detectors run soon."""
        self._parts.detecting.ask(person.name)
        return redirect(request, CASES, said="run-asked")

    async def _show(self, request: Request, person: Person) -> Response:
        values = await asyncio.to_thread(self._values, request)
        return self._pages.render(request, person, "case.html", problem="", form={}, **values)

    async def _show_json(self, request: Request, _: Person) -> Response:
        case = await asyncio.to_thread(self._parts.findings.case, _key(request))
        events = await asyncio.to_thread(self._parts.findings.events, case.key)
        return as_json({**case_json(case), "events": [_event_json(event) for event in events]})

    async def _print(self, request: Request, person: Person) -> Response:
        values = await asyncio.to_thread(self._values, request)
        name = f"finding-{values['case'].finding.detector}"

        def made() -> Response:
            return printed(
                self._pages, request, person, "case.html", name=name, at=self._parts.clock.now(), problem="", form={},
                **{**values, "follows": ()},
            )  # fmt: skip

        return await asyncio.to_thread(made)

    async def _decide(self, request: Request, person: Person) -> Response:
        """Confirm, reject with a reason, turn into a measure, or undo; as the finding was when the page was made."""
        form = await read_form(request)
        try:
            await self._carry_out(_key(request), form, person)
        except (Malformed, Conflict) as exc:
            return await self._refused(request, person, exc, form)
        return redirect(request, CASE, key=_key(request), said="decided")

    async def _carry_out(self, key: str, form: Mapping[str, str], person: Person) -> None:
        state, version = form.get("decision", ""), form.get("version", "")
        if state not in set(CaseState) or not (version.isascii() and version.isdigit() and len(version) < 10):
            raise Malformed("form.malformed", "no such decision", at="caller")
        wanted = CaseState(state)
        measure = _measure(form) if wanted is CaseState.MEASURE else None
        await asyncio.to_thread(
            self._parts.findings.decide, key, wanted, version=int(version), by=person.actor,
            reason=form.get("reason", "").strip(), measure=measure,
        )  # fmt: skip
        await self._parts.admin_log.drain(self._parts.people.engine)

    async def _refused(self, request: Request, person: Person, exc: Error, form: Mapping[str, str]) -> Response:
        values = await asyncio.to_thread(self._values, request)
        problem = self._pages.words(request, exc)
        return self._pages.render(request, person, "case.html", status=exc.status, problem=problem, form=form, **values)

    def _values(self, request: Request) -> dict[str, Any]:
        case = self._parts.findings.case(_key(request))
        book = book_of(self._parts)
        language, words = page_language(request), words_for(request, book)
        owners = [object_.owner_bin for id_ in case.finding.objects if (object_ := book.register.objects.get(id_))]
        return {
            "case": case,
            "evidence": self._evidence(case),
            "provisions": _provisions(case.finding.detector),
            "events": self._parts.findings.events(case.key),
            "follows": [state for state in CaseState if state in FOLLOWS[case.state]],
            "owners": [owner for owner in dict.fromkeys(owners) if owner],
            "register": book.register,
            "today": book.today,
            "words": words,
            "act_title": act_title,
            "sources": lambda called: SourceWords(language, words.known, called, book.today),
            "printable": PRINTABLE(),
            "now": self._parts.clock.now(),
        }

    def _evidence(self, case: FindingCase) -> list[Evidence]:
        """Each fact with the newest change of the registry that set its field."""
        known: dict[tuple[str, str], Sequence[Any]] = {}
        found = []
        for fact in case.finding.evidence:
            source, brought = source_of(fact), None
            if source.kind == "row":
                place = (source.table, source.key)
                if place not in known:
                    known[place] = self._parts.objects.history(*place, limit=200)
                brought = next((batch for batch, change in known[place] if change.field == source.field), None)
            found.append(Evidence(fact=fact, down=down(fact), brought=brought))
        return found


def case_json(case: FindingCase) -> dict[str, Any]:
    """A case as programs read it."""
    finding: dict[str, Any] = msgspec.to_builtins(case.finding)
    return {
        "key": case.key,
        "detector": case.finding.detector,
        "objects": list(case.finding.objects),
        "evidence": finding.get("evidence", []),
        "confidence": case.finding.confidence,
        "money": case.finding.money,
        "money_of": case.finding.money_of,
        "observability": case.finding.observability,
        "asks": case.finding.asks,
        "state": case.state.value,
        "version": case.version,
        "first_seen": case.first_seen,
        "last_seen": case.last_seen,
        "gone": case.gone,
        "text": case.text,
        "measure": None if case.measure is None else {**asdict(case.measure), "due": case.measure.due.isoformat()},
    }


def _event_json(event: Any) -> dict[str, Any]:
    return {"at": event.at, "by": event.by, "what": event.what, "text": event.text}


def _key(request: Request) -> str:
    return request.query_params.get("key", "")[:_LONGEST_KEY]


def _page(request: Request) -> int:
    text = asked(request, "page")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 6 else 0


def _choice(request: Request) -> dict[str, str]:
    return {name: asked(request, name) for name in ("detector", "state", "least", *Scope)}


def _chosen(request: Request, book: Book) -> list[Placed]:
    wanted = _choice(request)
    state, least = wanted["state"], wanted["least"].replace(" ", "")
    if state not in {"", "all", "gone", *CaseState} or (least and not (least.isascii() and least.isdigit())):
        raise Malformed("form.malformed", "no such choice", at="caller")
    states: Sequence[CaseState] = _STANDING if state == "" else () if state in {"all", "gone"} else (CaseState(state),)
    found = book.stakes.chosen(
        detector=wanted["detector"], states=states, places={scope: wanted[scope] for scope in Scope},
        least=int(least[:18] or 0), asking=bool(wanted["detector"]),
    )  # fmt: skip
    return [placed for placed in found if state != "gone" or placed.case.gone is not None]


def _missing_count(book: Book) -> int:
    """For how many findings a body is asked for data."""
    return sum(bool(each.case.finding.asks) and each.case.state in _STANDING for each in book.stakes.placed)


def _detectors(book: Book) -> dict[str, int]:
    """How many findings each detector has, in the order of detectors."""
    counts = dict.fromkeys((each.slug for each in DETECTORS), 0)
    for placed in book.stakes.placed:
        slug = placed.case.finding.detector
        counts[slug] = counts.get(slug, 0) + (placed.case.state in _STANDING)
    return counts


def _provisions(detector: str) -> list[Reference]:
    """The provisions that a detector rests on."""
    known = current_law().references
    names = next((each.references for each in DETECTORS if each.slug == detector), ())
    return [known[name] for name in names if name in known]


def _measure(form: Mapping[str, str]) -> Measure:
    try:
        due = date.fromisoformat(form.get("due", ""))
    except ValueError as exc:
        raise Malformed("finding.measure", "a measure needs a day", at="caller") from exc
    return Measure(
        owner_bin=form.get("owner_bin", "").strip(), responsible=form.get("responsible", "").strip(), due=due,
        text=form.get("text", "").strip(),
    )  # fmt: skip


GROUP = PageGroup("cases", ((CASES, scopes.FINDINGS),), lambda parts, pages: CasePages(parts, pages).routes())
