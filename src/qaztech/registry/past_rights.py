"""Rights of the past: what verified snapshots in the archive said, for a book of rights that begins late.

Everything in an archive was verified when it was put there. A member file counts here only under the lineage that the
member is known by now, so what was refused then leaves no trace. Not here: the book itself (`granted`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from qaztech.core.errors import Error
from qaztech.registry.archive import Archive
from qaztech.registry.granted import RightsBook
from qaztech.registry.member_file import MemberFile, verify_member_file
from qaztech.registry.metadata import Snapshot, Targets, read
from qaztech.registry.rights_page import RightsPage, parse_rights_page

# So many snapshots back; a registry publishes one for each change.
MOST_SNAPSHOTS = 1000
_MEMBERS = "members/"


class RightsKeeper:
    """Follows what a survey builds; a book that is empty is begun with what the archive holds."""

    def __init__(self, book: RightsBook, archive: Archive) -> None:
        self._book = book
        self._archive = archive

    def follow(self, files: Sequence[MemberFile], pages: Mapping[str, RightsPage]) -> None:
        """Write what there is now, after what was. Raises `Unavailable`."""
        if self._book.is_empty():
            lineages = {str(file.member): file.lineage for file in files}
            past = _Past(self._archive)
            for before in past.looks():
                known = [file for file in before if lineages.get(str(file.member)) == file.lineage]
                self._book.follow(known, past.pages)
        self._book.follow(files, pages)


class _Past:
    """What stands in an archive, each blob read once."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._seen: set[str] = set()
        self.pages: dict[str, RightsPage] = {}

    def looks(self) -> Iterator[list[MemberFile]]:
        """The member files that were new with each snapshot, oldest first; their pages are then in `pages`."""
        for version in self._archive.snapshots()[-MOST_SNAPSHOTS:]:
            found = self._archive.snapshot(version)
            if found is not None and (files := [file for data in self._bins(found[0]) for file in self._files(data)]):
                yield files
                self.pages.clear()

    def _bins(self, snapshot: str) -> Iterator[bytes]:
        data = self._new(snapshot)
        if data is None:
            return
        for meta in read(data, Snapshot).signed.meta.values():
            targets = self._new((meta.hashes or {}).get("sha256", ""))
            if targets is not None:
                yield targets

    def _files(self, targets: bytes) -> Iterator[MemberFile]:
        for path, target in read(targets, Targets).signed.targets.items():
            data = self._new((target.hashes or {}).get("sha256", "")) if path.startswith(_MEMBERS) else None
            if data is None:
                continue
            try:
                file = verify_member_file(data)
            except Error:
                continue  # it was refused then, too
            self._take_pages(file)
            yield file

    def _take_pages(self, file: MemberFile) -> None:
        for line in file.statement.services:
            for reference in line.rights:
                data = self._archive.get(reference.sha256)
                try:
                    page = parse_rights_page(data) if data is not None else None
                except Error:
                    continue
                if page is not None and page.service == line.id:
                    self.pages[reference.sha256] = page

    def _new(self, digest: str) -> bytes | None:
        """A blob that was not read before."""
        if not digest or digest in self._seen:
            return None
        self._seen.add(digest)
        return self._archive.get(digest)
