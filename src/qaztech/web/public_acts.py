"""The admin log on the portal: what anyone may see of it, asked of the registry and held against its witnesses.

The registry says what the acts were; the leaf hash of each, its place and the witnesses' checkpoint are checked here,
with the key that the verified configuration names for the log. Who acted is not told to this process at all.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal
from urllib.parse import urlencode

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from qaztech.core.errors import Conflict, Error, Malformed, NotFound, Unavailable, Untrusted
from qaztech.core.ids import MemberId
from qaztech.evidence.policy import Policy, Witnessed
from qaztech.evidence.proof import TlogProof
from qaztech.registry.configuration import Configuration
from qaztech.registry.public_acts import ActsPage
from qaztech.web.asking import Answer, ask
from qaztech.web.catalogue_view import Catalogues
from qaztech.web.country import Country
from qaztech.web.portal_pages import PortalPages
from qaztech.web.texts import LANGUAGES, STATIC

SHOWN = 25
MAX_LIMIT = 100
MAX_INDEX = 10**15 - 1
SECONDS = 5.0

Finding = Literal["witnessed", "unwitnessed", "unnamed", "wrong"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownActs:
    """A page of acts, and what is proven of the log: how many entries a quorum has seen, and when (milliseconds)."""

    page: ActsPage
    finding: Finding
    witnessed: int = 0
    time: int = 0


class AdminLogReader:
    """Asks the registry for acts and proofs, and checks what can be checked."""

    def __init__(self, *, country: Country, catalogues: Catalogues, rule: Callable[[], Policy]) -> None:
        self._registry = country.registry
        self._catalogues = catalogues
        self._rule = rule

    async def acts(self, *, kind: str, before: int | None, limit: int) -> ShownActs:
        """Acts, the newest first. Raises `Unavailable` and `Untrusted`."""
        asked = {"limit": str(limit)} | ({"kind": kind} if kind else {})
        asked |= {"before": str(before)} if before is not None else {}
        answer = await self._ask(f"acts?{urlencode(asked)}")
        try:
            page = msgspec.json.decode(answer.body, type=ActsPage)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
            raise Untrusted(
                "acts.malformed", "the registry shows its admin log in another form", at="registry"
            ) from exc
        configuration = self._catalogues.view().catalogue.configuration
        if not configuration.admin_log_keys(page.origin):
            return ShownActs(page=page, finding="unnamed")
        if not page.checkpoint:
            return ShownActs(page=page, finding="unwitnessed")
        try:
            witnessed = _verified(page.checkpoint.encode(), page.origin, configuration, self._rule())
        except Error:
            return ShownActs(page=page, finding="wrong")
        return ShownActs(
            page=page, finding="witnessed", witnessed=witnessed.checkpoint.size, time=witnessed.time * 1000
        )

    async def proof(self, index: int, leaf: bytes | None) -> bytes:
        """The proof of one entry, its checkpoint verified. Raises `NotFound`, `Unavailable` and `Untrusted`.

        Where its leaf hash is given the path is verified too: `Conflict` where the entry has another.
        """
        data = (await self._ask(f"proofs/{index}")).body
        proof = TlogProof.parse(data)
        configuration = self._catalogues.view().catalogue.configuration
        origin = proof.checkpoint.partition(b"\n")[0].decode("utf-8", "replace")
        witnessed = _verified(proof.checkpoint, origin, configuration, self._rule())
        if proof.index != index:
            raise Untrusted("acts.proof", "the registry's proof is of another entry", at="registry")
        if leaf is not None:
            try:
                proof.verify_under(leaf, witnessed.checkpoint)
            except Untrusted as exc:
                raise Conflict("act.other-leaf", "the entry there has another leaf hash", at="caller") from exc
        return data

    async def _ask(self, path: str) -> Answer:
        answer = await ask(f"{self._registry}/registry/admin-log/{path}", seconds=SECONDS)
        if answer.status == 404:
            raise NotFound("act.unwitnessed", "no witnessed proof of such an act yet", at="registry")
        if answer.status != 200:
            raise Unavailable("registry.unavailable", f"the registry answers {answer.status}", at="registry")
        return answer


def _verified(note: bytes, origin: str, configuration: Configuration, policy: Policy) -> Witnessed:
    keys = configuration.admin_log_keys(origin)
    witnessed = policy.verify(note, keys)
    if witnessed.checkpoint.origin != origin or not keys:
        raise Untrusted("acts.proof", "the checkpoint is of another log", at="registry")
    return witnessed


class ActPages:
    """The page and its twin for programs."""

    def __init__(
        self, *, country: Country, pages: PortalPages, catalogues: Catalogues, rule: Callable[[], Policy]
    ) -> None:
        self._pages = pages
        self._catalogues = catalogues
        self._reader = AdminLogReader(country=country, catalogues=catalogues, rule=rule)

    def routes(self) -> list[BaseRoute]:
        """Every route."""
        return [
            Route("/admin-log", self._pages.guarded(self._show)),
            Route("/admin-log/{index:int}/proof", self._pages.guarded(self._proof)),
            Route("/api/v1/admin-log", self._give),
            Route("/api/v1/admin-log/{index:int}/proof", self._proof),
        ]

    async def _show(self, request: Request) -> Response:
        asked = request.query_params
        view, kinds = self._catalogues.view(), act_words("en")["act"]
        kind = asked.get("kind", "") if asked.get("kind", "") in kinds else ""
        before = number(asked.get("before", ""))
        shown = await self._reader.acts(kind=kind, before=before, limit=SHOWN)
        kept = {"kind": kind} if kind else {}
        named = {id_ for act in shown.page.acts if (id_ := _member(act.subject)) is not None}
        return self._pages.render(
            "portal/acts.html",
            request,
            rest=f"&{urlencode(kept)}" if kept else "",
            view=view,
            shown=shown,
            kind=kind,
            before=before,
            kept=urlencode(kept),
            members={str(id_): view.catalogue.members[id_] for id_ in named if id_ in view.catalogue.members},
            told=act_words,
        )

    async def _give(self, request: Request) -> Response:
        asked = request.query_params
        limit, before = number(asked.get("limit", "20")), number(asked.get("before", ""))
        wrong = set(asked) - {"kind", "before", "limit"} or len(asked.get("kind", "")) > 100
        if wrong or limit is None or not 1 <= limit <= MAX_LIMIT or (asked.get("before") and before is None):
            raise Malformed("request.query", f"kind, before, and limit up to {MAX_LIMIT}", at="caller")
        shown = await self._reader.acts(kind=asked.get("kind", ""), before=before, limit=limit)
        return _json(
            {
                "origin": shown.page.origin,
                "size": shown.page.size,
                "finding": shown.finding,
                "witnessed": shown.witnessed,
                "time": shown.time,
                "checkpoint": shown.page.checkpoint,
                "acts": [msgspec.to_builtins(act) for act in shown.page.acts],
                "older": shown.page.older,
            }
        )

    async def _proof(self, request: Request) -> Response:
        index, leaf = request.path_params["index"], request.query_params.get("leaf")
        if index > MAX_INDEX:
            raise NotFound("act.unwitnessed", "no witnessed proof of such an act yet", at="registry")
        data = await self._reader.proof(index, None if leaf is None else _leaf(leaf))
        headers = {"Content-Disposition": f'attachment; filename="act-{index}.tlog-proof"', "Cache-Control": "no-store"}
        return Response(data, media_type="text/plain; charset=utf-8", headers=headers)


@lru_cache(maxsize=len(LANGUAGES))
def act_words(language: str) -> Mapping[str, Mapping[str, str]]:
    """The names of acts, roles and values, as the registry's console has them."""
    found = json.loads((STATIC / "texts" / "registry" / f"{language}.json").read_text(encoding="utf-8"))
    return {name: found[name] for name in ("act", "role", "field", "state")}


def number(text: str) -> int | None:
    """A whole number of a query; None for anything else."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= len(str(MAX_INDEX)) else None


def _member(subject: str | None) -> MemberId | None:
    try:
        return MemberId.parse("/".join((subject or "").split("/")[:3]))
    except Error:
        return None


def _leaf(text: str) -> bytes:
    try:
        data = bytes.fromhex(text)
    except ValueError:
        data = b""
    if len(data) != 32:
        raise Malformed("request.query", "a leaf hash has 64 hex digits", at="caller")
    return data


def _json(value: Any) -> Response:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return Response(text, media_type="application/json", headers={"Cache-Control": "no-store"})
