"""Asking for access, and deciding upon it: what console, management API and other members' desks call.

A decision is kept first and then carried out: the rights signed at the desk, brought to the registry, the node told to
look at once. What could not be carried out (the registry is away) is taken up again by `publish`; until then a right
that was taken away is closed at the member's own node by its file of limits.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from threading import Lock

import msgspec

from qaztech.core.errors import Conflict, Error, Malformed, NotFound
from qaztech.core.ids import ServiceId, SubsystemId
from qaztech.core.time import Clock
from qaztech.member.access import (
    AccessRequest,
    Granted,
    Standing,
    check_granted,
    check_reason,
    check_request,
    end_of_day,
    format_request,
    parse_request,
    parse_standing,
)
from qaztech.member.exchanges import CarriedCall, EdgeAnswer, EdgeCaller
from qaztech.member.granting import Granting
from qaztech.member.store import AccessStore, Made, Received
from qaztech.people.actors import Actor

# States of a request that was made in which its provider may still say something new.
OPEN = frozenset({"submitted", "approved"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """What became of carrying decisions out: None, or the code of what stands in the way. It is tried again later."""

    rights: str | None = None
    node: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """A decision as it stands, and how far it has been carried out."""

    request: Received
    carried: Carried


class AccessRequests:
    """The requests of one member. Every method may block: call it from a thread."""

    def __init__(self, *, store: AccessStore, granting: Granting, edge: EdgeCaller, clock: Clock) -> None:
        self.store = store
        self._granting = granting
        self._edge = edge
        self._clock = clock
        self._publishing = Lock()

    # By exchange, from other members ------------------------------------------------------------------------------

    def receive(self, body: bytes, call: CarriedCall) -> Standing:
        """Take a request. Raises `Malformed`, `NotFound` where there is no such service here, `Limited`."""
        request = parse_request(body)
        if request.client != str(call.client):
            raise Malformed("access.client", "a subsystem asks for itself: the client is not the caller", at="caller")
        service = ServiceId.parse(request.service)
        if service.subsystem != call.called:
            raise Malformed("access.called", "the service is not one of the subsystem that was called", at="caller")
        if request.until is not None and end_of_day(request.until) <= self._clock.now():
            raise Malformed("access.malformed", "the last day is over already", at="caller")
        if not self._granting.has(service):
            raise NotFound("access.service", f"{service.subsystem} has no such service", at="caller")
        return self.store.receive(request, message=call.message, lineage=call.lineage).standing()

    def standing(self, id_: str, call: CarriedCall) -> Standing:
        """How a request stands, for the subsystem that made it. Raises `NotFound`."""
        return self.store.get(id_, client=call.client).standing()

    def withdrawn(self, id_: str, call: CarriedCall) -> Standing:
        """Its maker takes it back. Raises `NotFound`, or `Conflict` once it is decided."""
        return self.store.withdraw(id_, call.client).standing()

    # Decisions of the owner ---------------------------------------------------------------------------------------

    def approve(self, id_: str, *, version: int, granted: Granted, by: Actor, reason: str | None = None) -> Decided:
        """Give access, or other terms of it. Raises `Malformed`, `NotFound`, `Conflict`."""
        check_granted(granted, self.store.get(id_).request, self._clock.now())
        if reason is not None:
            check_reason(reason)
        self.store.decide(id_, version=version, state="approved", by=by, reason=reason, granted=granted)
        return self._carry_out(id_)

    def refuse(self, id_: str, *, version: int, reason: str, by: Actor) -> Decided:
        """Say no, and why. Raises `Malformed`, `NotFound`, `Conflict`."""
        check_reason(reason)
        self.store.decide(id_, version=version, state="refused", by=by, reason=reason)
        return Decided(request=self.store.get(id_), carried=Carried())

    def revoke(self, id_: str, *, version: int, reason: str, by: Actor) -> Decided:
        """Take access away, and say why. Raises `Malformed`, `NotFound`, `Conflict`."""
        check_reason(reason)
        self.store.decide(id_, version=version, state="revoked", by=by, reason=reason)
        return self._carry_out(id_)

    def _carry_out(self, id_: str) -> Decided:
        carried = self.publish()
        return Decided(request=self.store.get(id_), carried=carried)

    def publish(self) -> Carried:
        """Carry out every decision that has not been; to be called now and then. What fails is told, not raised."""
        with self._publishing:
            return self._publish()

    def _publish(self) -> Carried:
        waiting = self.store.unpublished()
        if not waiting:
            return Carried()
        rights: str | None = None
        told = self._granting.limit(self.store, waiting)
        try:
            self._granting.sign(self.store, waiting)
        except Error as exc:
            rights = exc.code
        else:
            self.store.published(waiting)
            told = self._granting.limit(self.store, ())
        return Carried(rights=rights, node=told)

    def tell_limits(self) -> str | None:
        """Tell the node once more how often and when it may be called; the code of what stands in the way."""
        with self._publishing:
            return self._granting.limit(self.store, self.store.unpublished())

    # Our own requests ---------------------------------------------------------------------------------------------

    def ask(self, request: AccessRequest, by: Actor) -> Made:
        """Ask another member for access, by an exchange through the own node. Raises `Malformed`.

        What came of sending it stands in the answer: `unsent`, with the trouble, may be sent again.
        """
        check_request(request)
        if SubsystemId.parse(request.client).member != self.store.member:
            raise Malformed("access.client", "a member asks for its own subsystems", at="caller")
        return self._send(self.store.make(request, by))

    def send_again(self, id_: str, *, version: int, by: Actor) -> Made:
        """Send what did not arrive, or perhaps did not: an undecided request gives way to its own repetition."""
        made = self._at(id_, version)
        if made.state not in {"sending", "unsent"}:
            raise Conflict("access.state", f"the request is {made.state}: it was sent", at="caller")
        self.store.note(made, "access.ask-again", by)
        return self._send(made)

    def poll(self, id_: str) -> Made:
        """Ask the provider how a request stands. What does not answer leaves it as it was, with the trouble."""
        made = self.store.get_made(id_)
        if made.theirs is None:
            return made
        return self._heard(made, self._call(made, "GET", f"/{made.theirs}"))

    def poll_all(self) -> int:
        """Ask for all whose providers may have something new to say; gives how many were asked."""
        open_ = [made for made in self.store.made() if made.state in OPEN]
        for made in open_:
            with suppress(Conflict):  # somebody does something with it at this moment
                self.poll(made.id)
        return len(open_)

    def withdraw(self, id_: str, *, version: int, by: Actor) -> Made:
        """Take a request back that is not decided yet. Raises `Conflict` where it is, or where it was never sent."""
        made = self._at(id_, version)
        if made.state != "submitted" or made.theirs is None:
            raise Conflict("access.state", f"the request is {made.state}: it cannot be withdrawn", at="caller")
        self.store.note(made, "access.withdraw", by)
        heard = self._heard(made, self._call(made, "POST", f"/{made.theirs}/withdrawal"))
        if heard.trouble == "access.state":  # decided meanwhile
            heard = self.poll(id_)
        if heard.state != "withdrawn":
            raise Conflict("access.state", f"the request is {heard.state}: it was not withdrawn", at="caller")
        return heard

    def _at(self, id_: str, version: int) -> Made:
        made = self.store.get_made(id_)
        if made.version != version:
            raise Conflict("access.changed", "the request has changed meanwhile; look at it again", at="caller")
        return made

    def _send(self, made: Made) -> Made:
        answer = self._call(made, "POST", "", format_request(made.request))
        trouble, standing = _read(answer, made)
        if standing is None:
            return self.store.heard(made, state="unsent", trouble=trouble, message=_message(answer))
        return self.store.heard(
            made, state=standing.state, trouble=None, message=_message(answer), theirs=standing.id,
            standing=msgspec.json.encode(standing).decode(),
        )  # fmt: skip

    def _heard(self, made: Made, answer: EdgeAnswer | Error) -> Made:
        trouble, standing = _read(answer, made)
        if standing is None:
            return self.store.heard(made, trouble=trouble)
        told = msgspec.json.encode(standing).decode()
        return self.store.heard(made, state=standing.state, trouble=None, standing=told)

    def _call(self, made: Made, method: str, path: str, body: bytes = b"") -> EdgeAnswer | Error:
        service, client = ServiceId.parse(made.request.service), SubsystemId.parse(made.request.client)
        try:
            return self._edge.call(method, service.subsystem, path, client, body)
        except Error as exc:
            return exc


def _message(answer: EdgeAnswer | Error) -> str | None:
    return None if isinstance(answer, Error) else answer.message


def _read(answer: EdgeAnswer | Error, made: Made) -> tuple[str | None, Standing | None]:
    """The trouble or the standing that an answer means."""
    if isinstance(answer, Error):
        return answer.code, None
    if answer.fault is not None:
        return answer.fault[:64], None
    if answer.status not in {200, 201}:
        return _code_of(answer.body), None
    try:
        standing = parse_standing(answer.body)
    except Error as exc:
        return exc.code, None
    same = (made.theirs in {None, standing.id}, standing.service == made.request.service)
    if not all(same) or standing.client != made.request.client:
        return "access.malformed", None
    return None, standing


class _Problem(msgspec.Struct):
    code: str


def _code_of(body: bytes) -> str:
    try:
        return msgspec.json.decode(body, type=_Problem).code[:64] or "access.malformed"
    except (msgspec.DecodeError, UnicodeDecodeError):
        return "access.malformed"
