"""All nodes of a member as one: what the console asks, it asks each of them that it is told of.

The first is the one beside the console, whose settings it writes. A node that is silent leaves the others' answers as
they are; only where all are silent is nothing answered. Of a node that says it serves other members, and not this one,
nothing is taken: somebody else's node may stand at the address that was named. What comes back is shown, and nothing is
decided by it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from qaztech.core.errors import Error, Malformed, NotFound, Unavailable
from qaztech.member.node_client import SHOWN, NodeClient

MOST_NODES = 16
MOST_PLACE = 100
_END = "."
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """A page of what was found, the newest first, each with its `node`; `further` is where to go on, None at the end.

    `back_to` says how far back all have looked (milliseconds) where there may be more; `silent` which did not answer.
    """

    exchanges: tuple[dict[str, Any], ...]
    further: str | None
    back_to: int | None
    silent: tuple[str, ...]


class MemberNodes:
    """The nodes of one member, the own first. Methods block: call from a thread."""

    def __init__(self, clients: Sequence[NodeClient], member: Callable[[], str | None] = lambda: None) -> None:
        """`member` says whose nodes they are to be; None while nobody knows, and then none is refused."""
        if not 1 <= len(clients) <= MOST_NODES:
            raise Malformed("console.node-url", f"a console asks 1 to {MOST_NODES} nodes")
        self._clients = tuple(clients)
        self._member = member
        self._names: dict[NodeClient, str] = {}

    @property
    def first(self) -> str:
        """Where the own node's management API is."""
        return self._clients[0].url

    def of(self, member: Callable[[], str | None]) -> MemberNodes:
        """These nodes, for a member."""
        return MemberNodes(self._clients, member)

    def status(self) -> dict[str, Any]:
        """The own node's state. Raises `Unavailable`: `console.node-other` where it serves another member."""
        return self._own_status(self._clients[0])

    def exchanges(self, limit: int = SHOWN) -> list[dict[str, Any]]:
        """What has just ended at any of them, the newest first; on record or not."""
        listed = self._each(lambda client: client.exchanges(limit))
        found = [
            one | {"node": self._name(client)}
            for client, answer in zip(self._clients, listed, strict=True)
            for one in (answer if not isinstance(answer, Error) else ())
        ]
        return sorted(found, key=lambda one: one["time"], reverse=True)[:limit]

    def search(
        self, *, member: str, service: str = "", since: int | None = None, until: int | None = None, limit: int = 50,
        before: str = "",
    ) -> Looked:  # fmt: skip
        """Exchanges of a member in the logs of all its nodes. `before` is an earlier page's `further`."""
        places = before.split(";") if before else [""] * len(self._clients)
        if len(places) != len(self._clients) or any(len(place) > MOST_PLACE for place in places):
            raise Malformed("request.malformed", "there is no such place to go on from", at="caller")
        at = dict(zip(self._clients, places, strict=True))
        given = {"member": member, "service": service, "from": since, "to": until, "limit": limit}
        asked = {name: str(value) for name, value in given.items() if value not in {None, ""}}

        def page(client: NodeClient) -> dict[str, Any]:
            if at[client] == _END:
                return {"exchanges": [], "next": None, "back_to": None}
            return client.search(asked | ({"before": at[client]} if at[client] else {}))

        answers = dict(zip(self._clients, self._each(page), strict=True))
        return self._merged(answers, at, limit)

    def _merged(self, answers: dict[NodeClient, Any], at: dict[NodeClient, str], limit: int) -> Looked:
        pool = [
            (one["time"], number, one)
            for number, client in enumerate(self._clients)
            if not isinstance(answers[client], Error)
            for one in answers[client]["exchanges"]
        ]
        shown = sorted(pool, key=lambda each: (-each[0], each[1]))[:limit]
        places, backs, silent = [], [], []
        for number, client in enumerate(self._clients):
            answer, mine = answers[client], [one for _, by, one in shown if by == number]
            if isinstance(answer, Error):
                silent.append(self._name(client))
                places.append(at[client])
            elif len(mine) == len(answer["exchanges"]):
                places.append(answer["next"] or _END)
                backs += [answer["back_to"]] if answer["next"] else []
            else:
                places.append(mine[-1]["at"] if mine else at[client])
                backs.append(answer["exchanges"][len(mine)]["time"])
        return Looked(
            exchanges=tuple(one | {"node": self._name(self._clients[number])} for _, number, one in shown),
            further=";".join(places) if backs else None, back_to=max(backs, default=None), silent=tuple(silent),
        )  # fmt: skip

    def outcome(self, message: str) -> dict[str, Any]:
        """What became of one exchange, by a node that has it on record. Raises `NotFound`, `Unavailable`."""
        found: dict[str, Any] = self._holder(lambda client: client.outcome(message))
        return found

    def receipt(self, message: str) -> dict[str, Any]:
        """Its receipt. Raises `NotFound`, `Unavailable`."""
        found: dict[str, Any] = self._holder(lambda client: client.receipt(message))
        return found

    def incidents(self) -> list[dict[str, Any]]:
        """What they have seen of others that must not be."""
        listed = self._each(lambda client: client.incidents())
        return [one for answer in listed if not isinstance(answer, Error) for one in answer]

    def reload(self) -> None:
        """Let all of them read settings and registry at once. Raises what one of them says; the others are told."""
        for answer in self._tried(lambda client: client.reload(), check=False):
            if isinstance(answer, Error):
                raise answer

    # Pieces -----------------------------------------------------------------------------------------------------------

    def _own_status(self, client: NodeClient) -> dict[str, Any]:
        status, member = client.status(), self._member()
        served = status.get("members")
        if member is not None and isinstance(served, list) and member not in served:
            raise Unavailable("console.node-other", f"the node at {client.url} serves another member")
        return status

    def _tried(self, ask: Callable[[NodeClient], T], *, check: bool = True) -> list[T | Error]:
        """Each one's answer or its error, asked side by side."""

        def tried(client: NodeClient) -> T | Error:
            try:
                if check and self._member() is not None:
                    self._own_status(client)
                return ask(client)
            except Error as exc:
                return exc

        if len(self._clients) == 1:
            return [tried(self._clients[0])]
        with ThreadPoolExecutor(len(self._clients)) as threads:
            return list(threads.map(tried, self._clients))

    def _each(self, ask: Callable[[NodeClient], T]) -> list[T | Error]:
        """Those answers; what the caller asked wrongly is raised, and silence where all are silent."""
        answers = self._tried(ask)
        wrong = [answer for answer in answers if isinstance(answer, Error)]
        refused = next((error for error in wrong if not isinstance(error, Unavailable)), None)
        if refused is not None or len(wrong) == len(answers):
            raise refused or wrong[0]
        return answers

    def _holder(self, ask: Callable[[NodeClient], T]) -> T:
        answers = self._tried(ask)
        found = next((answer for answer in answers if not isinstance(answer, Error)), None)
        if found is not None:
            return found
        errors = [answer for answer in answers if isinstance(answer, Error)]
        raise next((error for error in errors if not isinstance(error, NotFound)), errors[0])

    def _name(self, client: NodeClient) -> str:
        """How a node is called: by itself, once it has said so; else by where it is."""
        if client not in self._names:
            try:
                self._names[client] = str(client.status()["node"])[:200]
            except (Error, LookupError, TypeError):
                return client.url
        return self._names[client]
