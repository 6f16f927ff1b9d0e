"""What of the admin log anyone may see: when, which act, in which role; who acted is for auditors, never here.

The names of accounts and free texts are personal. What an act was done to, and what was so before and after, is shown
where it is a public fact of the registry anyway: who is a member, which key is revoked, which certificate was issued.
Pure. Not here: the routes (`act_service`), and the full acts, which the console shows to those who may read them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from qaztech.people.actors import State
from qaztech.people.acts import MOST_AT_ONCE, LoggedAct
from qaztech.registry import office
from qaztech.registry.forms import Form

# Which values of an act are public, by kind. An application that is refused is between the applicant and the registry.
_PUBLIC: Mapping[str, frozenset[str]] = {
    office.ADMIT: frozenset({"lineage", "names"}),
    office.ADMIT_APPLICATION: frozenset({"state", "lineage"}),
    office.SUSPEND: frozenset({"suspended"}),
    office.RESUME: frozenset({"suspended"}),
    office.REVOKE: frozenset({"revoked"}),
    office.CERTIFICATE: frozenset({"certificate"}),
}
_FAILED = frozenset({"index", "act", "code"})
# So many acts are looked through for one page: a filter that fits nothing must not read the whole log.
LOOKED_THROUGH = 2000

Page = Callable[[int | None], Sequence[LoggedAct]]
"""Acts before an index, the newest first."""


class PublicAct(Form, frozen=True, forbid_unknown_fields=True):
    """An act as anyone may see it; `leaf` is its leaf hash in hex. `subject`, `before`, `after`: None if not public.

    `act` is empty for an entry of another form.
    """

    index: int
    time: int
    act: str
    role: str
    subject: str | None
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    leaf: str


class ActsPage(Form, frozen=True, forbid_unknown_fields=True):
    """A page of acts, newest first; `older`: the index to go on before; `checkpoint`: the witnessed one, or empty."""

    origin: str
    vkey: str
    size: int
    witnessed: int
    checkpoint: str
    acts: tuple[PublicAct, ...]
    older: int | None


def public_act(logged: LoggedAct, leaf: bytes) -> PublicAct:
    """The public part of an act."""
    act = logged.act
    if act is None:
        return PublicAct(
            index=logged.index,
            time=logged.time,
            act="",
            role="",
            subject=None,
            before=None,
            after=None,
            leaf=leaf.hex(),
        )
    shown = _PUBLIC.get(act.act)
    of = act.act
    if act.act == office.FAILED:
        of = str((act.before or {}).get("act"))
        shown = _FAILED
    return PublicAct(
        index=logged.index,
        time=act.when,
        act=act.act,
        role=act.role,
        subject=act.subject if of in _PUBLIC else None,
        before=_picked(act.before, shown),
        after=_picked(act.after, shown),
        leaf=leaf.hex(),
    )


def find_acts(page: Page, *, kind: str, before: int | None, limit: int) -> tuple[list[LoggedAct], int | None]:
    """Acts whose kind begins so, the newest first; and before which index older ones are, None where there are none."""
    found: list[LoggedAct] = []
    looked = 0
    while looked < LOOKED_THROUGH:
        acts = page(before)
        for logged in acts:
            if (logged.act.act if logged.act is not None else "").startswith(kind):
                if len(found) == limit:
                    return found, found[-1].index
                found.append(logged)
        looked += len(acts)
        if not acts or acts[-1].index == 0:
            return found, None
        before = acts[-1].index
    return found, before


def _picked(state: State, names: frozenset[str] | None) -> dict[str, Any] | None:
    if state is None or names is None:
        return None
    return {name: value for name, value in state.items() if name in names} or None


__all__ = ["LOOKED_THROUGH", "MOST_AT_ONCE", "ActsPage", "PublicAct", "find_acts", "public_act"]
