"""What the management API of a member's console answers: one structure each, from which its description is made too.

Not here: the calls (`member_api`), and what they take.
"""

from __future__ import annotations

from typing import Any

import msgspec

from qaztech.member.access import AccessRequest, Change
from qaztech.member.desk_work import Outcome
from qaztech.member.membership import Grant, Step
from qaztech.member.nodes import Looked
from qaztech.member.publishing import OwnService
from qaztech.member.requests import Decided
from qaztech.member.store import Made, Received
from qaztech.people.accounts import Account
from qaztech.people.actors import Act
from qaztech.people.acts import LoggedAct
from qaztech.registry.forms import Names
from qaztech.registry.maintenance import Maintenance
from qaztech.registry.member_file import MemberStatement, NodeLine, SubsystemLine
from qaztech.registry.passport import Passport
from qaztech.registry.showcase import DescriptionReference


class _Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What all answers share."""


class FileAnswer(_Answer, frozen=True, kw_only=True):
    """The newest signed member file, in short. Times in milliseconds."""

    member: str
    lineage: str
    version: int
    expires: int
    names: Names
    nodes: tuple[NodeLine, ...]
    systems: tuple[SubsystemLine, ...]

    @classmethod
    def of(cls, statement: MemberStatement) -> FileAnswer:
        """From the file's text."""
        return cls(
            member=statement.member, lineage=statement.lineage, version=statement.version, expires=statement.expires,
            names=statement.names, nodes=statement.nodes, systems=statement.subsystems,
        )  # fmt: skip


class MemberAnswer(_Answer, frozen=True, kw_only=True):
    """The member: what it has to do next, the newest version that has reached the registry, its file."""

    step: Step
    brought: int
    file: FileAnswer | None


class SignedAnswer(_Answer, frozen=True, kw_only=True):
    """A change that is signed. `registry`, `node` and `showcase` are codes of what stands in the way there.

    `lines` is what the settings of a node on another machine need.
    """

    version: int
    registry: str | None
    node: str | None
    showcase: str | None = None
    lines: str | None = None

    @classmethod
    def of(cls, outcome: Outcome, *, showcase: str | None = None, lines: str | None = None) -> SignedAnswer:
        """From what became of a change."""
        return cls(
            version=outcome.version, registry=outcome.registry, node=outcome.node, showcase=showcase, lines=lines
        )  # fmt: skip


class ServiceAnswer(_Answer, frozen=True, kw_only=True):
    """A service: as the file has it, as the showcase shows it, where the node finds it."""

    id: str
    type: str
    names: Names
    disabled: str | None
    clients: int
    url: str | None
    score: int | None
    passport: Passport | None
    description: DescriptionReference | None
    maintenance: Maintenance | None

    @classmethod
    def of(cls, service: OwnService) -> ServiceAnswer:
        """From a service of the member."""
        shown, node = service.shown, service.node
        return cls(
            id=str(service.id), type=service.line.type, names=service.line.names, disabled=service.line.disabled,
            clients=service.clients, url=None if node is None else node.get("url"), score=service.score,
            passport=None if shown is None else shown.passport,
            description=None if shown is None else shown.description,
            maintenance=None if shown is None else shown.maintenance,
        )  # fmt: skip


class ReceivedAnswer(_Answer, frozen=True, kw_only=True):
    """A request another member made; `published` says whether the signed rights say what was decided."""

    id: str
    message: str
    lineage: str
    time: int
    state: str
    version: int
    published: bool
    request: AccessRequest
    changes: tuple[Change, ...]

    @classmethod
    def of(cls, received: Received) -> ReceivedAnswer:
        """From the store."""
        return cls(
            id=received.id, message=received.message, lineage=received.lineage, time=received.time,
            state=received.state, version=received.version, published=received.published, request=received.request,
            changes=tuple(step.change for step in received.steps),
        )  # fmt: skip


class DecidedAnswer(_Answer, frozen=True, kw_only=True):
    """A decision, and what stands in the way of carrying it out."""

    request: ReceivedAnswer
    registry: str | None
    node: str | None

    @classmethod
    def of(cls, decided: Decided) -> DecidedAnswer:
        """From what became of a decision."""
        carried = decided.carried
        return cls(request=ReceivedAnswer.of(decided.request), registry=carried.rights, node=carried.node)


class MadeAnswer(_Answer, frozen=True, kw_only=True):
    """A request this member made, as its provider told last; `trouble` is a code."""

    id: str
    time: int
    state: str
    version: int
    trouble: str | None
    message: str | None
    asked: int | None
    request: AccessRequest
    changes: tuple[Change, ...]

    @classmethod
    def of(cls, made: Made) -> MadeAnswer:
        """From the store."""
        return cls(
            id=made.id, time=made.time, state=made.state, version=made.version, trouble=made.trouble,
            message=made.message, asked=made.asked, request=made.request,
            changes=() if made.standing is None else made.standing.changes,
        )  # fmt: skip


class NodesAnswer(_Answer, frozen=True, kw_only=True):
    """The nodes the member file names, the own node's state (null where it is silent), enrolments granted here."""

    nodes: tuple[NodeLine, ...]
    own: dict[str, Any] | None
    grants: tuple[Grant, ...]


class LookedAnswer(_Answer, frozen=True, kw_only=True):
    """A page of exchanges, newest first. `before` goes on with the next, null at the end; times in milliseconds.

    `back_to` says how far back was looked where there may be more; `silent` names nodes that did not answer.
    """

    exchanges: tuple[dict[str, Any], ...]
    before: str | None
    back_to: int | None
    silent: tuple[str, ...]

    @classmethod
    def of(cls, looked: Looked) -> LookedAnswer:
        """From what the nodes said."""
        return cls(exchanges=looked.exchanges, before=looked.further, back_to=looked.back_to, silent=looked.silent)


class TokenAnswer(_Answer, frozen=True, kw_only=True):
    """A token for a new node, shown this once."""

    token: str


class PersonAnswer(_Answer, frozen=True, kw_only=True):
    """An account."""

    name: str
    display: str
    roles: tuple[str, ...]
    disabled: bool
    created: int

    @classmethod
    def of(cls, account: Account) -> PersonAnswer:
        """From an account."""
        return cls(
            name=account.name, display=account.display, roles=account.roles, disabled=account.disabled,
            created=account.created,
        )  # fmt: skip


class ActAnswer(_Answer, frozen=True, kw_only=True):
    """An act and its place in the admin log."""

    index: int
    time: int
    act: Act | None

    @classmethod
    def of(cls, logged: LoggedAct) -> ActAnswer:
        """From the log."""
        return cls(index=logged.index, time=logged.time, act=logged.act)
