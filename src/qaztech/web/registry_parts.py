"""What the registry's console is built from: the registry's own parts, given to every page."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from starlette.requests import Request
from starlette.responses import Response

from qaztech.core.errors import Error
from qaztech.core.time import Clock
from qaztech.evidence.tiles import TiledLog
from qaztech.evidence.witnessing import WitnessState
from qaztech.people.acts import AdminLog
from qaztech.people.gate import Gate
from qaztech.people.people import People, Person
from qaztech.registry.anchor import Anchor
from qaztech.registry.applications import Applications
from qaztech.registry.enrolments import Enrolments
from qaztech.registry.office import Office
from qaztech.registry.outlook import Ending
from qaztech.registry.publisher import Publisher
from qaztech.registry.store import RegistryStore


class Keeping(Protocol):
    """What the pages of acts and of accounts need; the support center's console has the same."""

    @property
    def people(self) -> People:
        """Accounts and roles."""
        ...

    @property
    def admin_log(self) -> AdminLog:
        """Where acts stand."""
        ...


class Frame(Protocol):
    """What draws a page of a console and says in words what went wrong."""

    def render(self, request: Request, person: Person, template: str, *, status: int = 200, **values: Any) -> Response:
        """A page."""
        ...

    def words(self, request: Request, error: Error) -> str:
        """What went wrong, in the reader's language."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What the console shows and changes.

    `witnessed` is the newest checkpoint of the registry's log that a quorum cosigned, as a note; empty where there is
    none.
    """

    publisher: Publisher
    store: RegistryStore
    office: Office
    applications: Applications
    enrolments: Enrolments
    people: People
    gate: Gate
    admin_log: AdminLog
    log: TiledLog
    anchor: Anchor
    witnessed: Callable[[], bytes]
    witnesses: Mapping[str, WitnessState]
    endings: Callable[[], Sequence[Ending]]
    clock: Clock
