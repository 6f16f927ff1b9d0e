"""From one verified snapshot, everything one node needs: member files held to their pins, and the rights pages.

Whatever cannot be trusted is left out and reported, never replaced by an older version: a record names the snapshot
it was decided by, and that snapshot must say the same to whoever checks it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TypeVar

from qaztech.core.errors import Error, Malformed, NotFound, Untrusted
from qaztech.core.ids import MemberId, NodeId, SubsystemId
from qaztech.registry.directory import InstanceFile, Listing, LogsFile, member_path, page_path
from qaztech.registry.member_file import MemberFile, PageReference, ServiceLine, verify_member_file
from qaztech.registry.metadata import Blob
from qaztech.registry.mirror import Mirror
from qaztech.registry.pins import Pins
from qaztech.registry.rights_page import RightsPage, RightsTable, page_for, parse_rights_page

Parsed = MemberFile | RightsPage | Listing | InstanceFile | LogsFile
ParsedT = TypeVar("ParsedT", MemberFile, RightsPage, Listing, InstanceFile, LogsFile)


class Gathering:
    """One pass over a snapshot. `parsed` is what the pass before parsed, by hash; `refused` what could not be used."""

    def __init__(
        self, *, mirror: Mirror, pins: Pins, own: Collection[MemberId], now: int, parsed: Mapping[str, Parsed]
    ) -> None:
        self._mirror = mirror
        self._pins = pins
        self._own = own
        self._now = now
        self._before = parsed
        self.parsed: dict[str, Parsed] = {}
        self.refused: dict[str, Error] = {}
        self.files: dict[MemberId, MemberFile] = {}
        self.pages: dict[str, RightsPage] = {}
        self._asked: set[MemberId] = set()
        self._read: set[tuple[str, str]] = set()

    def members(self, wanted: Iterable[MemberId]) -> None:
        """Take up the files of these members, and of the members whose nodes serve them."""
        queue = sorted(set(wanted) - self._asked)
        while queue:
            member = queue.pop()
            self._asked.add(member)
            path = member_path(member)
            file = self.target(path, verify_member_file)
            if file is None:
                continue
            try:
                self._check(member, file)
            except Error as exc:
                self.refused[path] = exc
                continue
            self.files[member] = file
            owners = {NodeId.parse(node.id).member for node in file.statement.nodes}
            queue.extend(sorted(owners - self._asked - set(queue)))

    def rights(self) -> None:
        """Take up the rights pages that this node decides by.

        All of its own members' services; of the others' services those that cover its members as clients. Done again
        after more members were taken up, it adds what is theirs.
        """
        clients = [
            f"{id_}/{line.code}"
            for id_, file in self.files.items()
            if id_ in self._own
            for line in file.statement.subsystems
        ]
        for id_, file in self.files.items():
            for line in file.statement.services:
                for reference in _needed(line, None if id_ in self._own else clients):
                    self._page(line, reference)

    def named_clients(self) -> set[MemberId]:
        """The members that may call the own members' services: they will."""
        own = [line for id_, f in self.files.items() if id_ in self._own for line in f.statement.services]
        pages = [self.pages[r.sha256] for line in own for r in line.rights if r.sha256 in self.pages]
        return {SubsystemId.parse(client).member for page in pages for client, _ in RightsTable(page).clients()}

    def target(self, path: str, parse: Callable[[bytes], ParsedT], *, sha256: str | None = None) -> ParsedT | None:
        """One target, parsed; None where there is none. What its maker got wrong is reported, and None.

        What the registry got wrong (a signature, a hash) is raised: it concerns the whole. `sha256` is the hash that
        somebody else than the registry names the file by.
        """
        try:
            blob = self._mirror.target(path)
        except NotFound as exc:
            # The registry signed for a file and does not give it out.
            self.refused[path] = exc
            return None
        try:
            if blob is not None and sha256 not in {None, blob.sha256}:
                raise Untrusted("rights-page.hash", f"{path} is not the page its name says", at="registry")
            return None if blob is None else self._parse(blob, parse)
        except (Malformed, Untrusted) as exc:
            self.refused[path] = exc
            return None

    def _parse(self, blob: Blob, parse: Callable[[bytes], ParsedT]) -> ParsedT:
        known = self._before.get(blob.sha256)
        # The hash is the content: what was parsed once from it is the same thing.
        found: ParsedT = known if known is not None else parse(blob.data)  # type: ignore[assignment]
        self.parsed[blob.sha256] = found
        return found

    def _check(self, member: MemberId, file: MemberFile) -> None:
        if file.member != member:
            raise Untrusted("member-file.member", f"the file of {member} is another's", at="registry")
        if file.statement.expires <= self._now:
            raise Untrusted("member-file.expired", f"the file of {member} has expired", at="registry")
        self._pins.check(file)

    def _page(self, line: ServiceLine, reference: PageReference) -> None:
        path = page_path(reference.sha256)
        if (line.id, reference.sha256) in self._read:
            return
        self._read.add((line.id, reference.sha256))
        page = self.target(path, parse_rights_page, sha256=reference.sha256)
        if page is None:
            self.refused.setdefault(path, Untrusted("rights-page.missing", f"a page of {line.id} is not there"))
        elif page.service != line.id:
            self.refused[path] = Untrusted("rights-page.service", f"a page of {line.id} is for another service")
        else:
            self.pages[reference.sha256] = page


def _needed(line: ServiceLine, clients: list[str] | None) -> Iterable[PageReference]:
    if clients is None:
        return line.rights
    found = (page_for(line.rights, client) for client in clients)
    return {reference.sha256: reference for reference in found if reference is not None}.values()
