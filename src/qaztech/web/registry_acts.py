"""The admin log for people: who did what, when, what was and what is; newest first, by person and act."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from qaztech.people.acts import MOST_AT_ONCE, LoggedAct
from qaztech.people.people import Person
from qaztech.registry.management import whole
from qaztech.web.registry_pages import asked
from qaztech.web.registry_parts import Frame, Keeping

SHOWN = 50
# So many acts are looked through for one page: a filter that fits nothing must not read the whole log.
_LOOKED_THROUGH = 2000


class ActPages:
    """The handler."""

    def __init__(self, parts: Keeping, pages: Frame) -> None:
        self._parts = parts
        self._pages = pages

    async def list_all(self, request: Request, person: Person) -> Response:
        """`?who=` an account, `?act=` a kind of act or the beginning of one, `?before=` an index."""
        who, act, before = asked(request, "who"), asked(request, "act"), whole(request, "before")
        found, older = self._found(who, act, before)
        log = self._parts.admin_log
        return self._pages.render(
            request, person, "acts.html", acts=found, older=older, who=who, act=act, before=before,
            origin=log.origin, size=log.head.size, checkpoint=log.head.note.decode("utf-8", "replace"),
            halted=log.halted is not None,
        )  # fmt: skip

    def _found(self, who: str, act: str, before: int | None) -> tuple[list[LoggedAct], int | None]:
        """The acts of a page, and from where older ones go on."""
        log, looked = self._parts.admin_log, 0
        found: list[LoggedAct] = []
        while looked < _LOOKED_THROUGH:
            page = log.acts(limit=MOST_AT_ONCE, before=before)
            for logged in page:
                if _fits(logged, who, act):
                    if len(found) == SHOWN:
                        return found, found[-1].index
                    found.append(logged)
            looked += len(page)
            if not page or page[-1].index == 0:
                return found, None
            before = page[-1].index
        return found, before


def _fits(logged: LoggedAct, who: str, act: str) -> bool:
    if logged.act is None:
        return not who and not act
    return who in {"", logged.act.who} and logged.act.act.startswith(act)
