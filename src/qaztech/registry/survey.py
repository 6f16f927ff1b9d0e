"""The whole country, fetched and verified from the anchor on, for a process that shows it: the portal, the centre.

A node fetches what it decides by (`client`); a survey fetches every member file and every rights page, and believes
the registry no more than a node does: The Update Framework, each member's own signature, pins, the proof that the
snapshot is in the registry's witnessed log. It grants nothing and is asked by no node. The last good view is kept.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import msgspec

from qaztech.core.errors import Conflict, Error, Malformed, NotFound, Untrusted
from qaztech.core.ids import MemberId
from qaztech.core.time import Clock
from qaztech.evidence.proof import MAX_PROOF_BYTES
from qaztech.registry.anchor import Anchor
from qaztech.registry.archive import Archive
from qaztech.registry.catalogue import Catalogue, build_catalogue
from qaztech.registry.configuration import build_configuration
from qaztech.registry.directory import (
    DIRECTORY,
    INSTANCE,
    LOGS,
    Listing,
    description_path,
    parse_directory,
    parse_instance,
    parse_logs,
    showcase_path,
)
from qaztech.registry.gather import Gathering, Parsed, ParsedT
from qaztech.registry.member_file import MemberFile, PageReference, ServiceLine
from qaztech.registry.metadata import Blob, first_root
from qaztech.registry.mirror import Fetcher, Mirror, MirrorLimits
from qaztech.registry.pins import Pins
from qaztech.registry.rights_page import Right, RightsPage
from qaztech.registry.showcase import DescriptionReference, Showcase, check_description, check_follows, verify_showcase
from qaztech.registry.snapshot_proof import check_snapshot_proof
from qaztech.runtime.telemetry import log_error

logger = logging.getLogger("qaztech.survey")

# What could not be had or trusted is looked at again after so many milliseconds, even where nothing was published.
RETRY_REFUSED = 60_000


@dataclass(frozen=True, slots=True, kw_only=True)
class SurveyLimits:
    """How much of a country is taken in; what is beyond is left out and said so."""

    members: int = 20_000
    mirror: MirrorLimits = field(default_factory=MirrorLimits)


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """One verified view: the catalogue, when it was last confirmed (milliseconds), and whether witnesses saw it."""

    catalogue: Catalogue
    confirmed: int
    proven: bool
    problem: str | None = None
    """Code of the error by which the last attempt to follow the registry failed."""


Built = Callable[[Sequence[MemberFile], Mapping[str, RightsPage]], object]


class Surveyor:
    """Follows the whole country. `refresh` is for one thread; `survey` and `description` for any.

    `descriptions` is where OpenAPI documents are fetched, a connection of its own. `built` is told of the files and
    pages (by hash) of each new view, in the thread of `refresh`; where it fails it is told again.
    """

    def __init__(
        self,
        *,
        anchor: Anchor,
        directory: Path,
        fetcher: Fetcher,
        clock: Clock,
        limits: SurveyLimits | None = None,
        descriptions: Fetcher | None = None,
        built: Built | None = None,
    ) -> None:
        first_root(anchor.root)
        directory.mkdir(parents=True, exist_ok=True)
        self._anchor = anchor
        self._clock = clock
        self._fetcher = fetcher
        self._limits = limits or SurveyLimits()
        self._archive = Archive(directory)
        self._mirror = Mirror(root=anchor.root, archive=self._archive, fetcher=fetcher, limits=self._limits.mirror)
        self._pins = Pins(directory / "pins.json", {})
        self._parsed: Mapping[str, Parsed] = {}
        self._showcases: dict[MemberId, _Shown] = {}
        self._descriptions = descriptions or fetcher
        self._fetching = threading.Lock()
        self._again_at = 0
        self._built = built
        self._untold: tuple[Sequence[MemberFile], Mapping[str, RightsPage]] | None = None
        self._survey: Survey | None = None
        self._problem: str | None = None

    @property
    def survey(self) -> Survey | None:
        """The last good view; None before there was one."""
        return self._survey

    @property
    def problem(self) -> str | None:
        """Code of the error of the last attempt, if it failed."""
        return self._problem

    def load(self) -> Survey:
        """Start from what is on disk, without the network. Raises `Untrusted` or `Unavailable`."""
        now = self._clock.now()
        self._mirror.load(now)
        version, _ = self._mirror.snapshot
        proven = self._archive.proof(version) is not None
        self._survey = Survey(catalogue=self._build(now), confirmed=0, proven=proven, problem="registry.unavailable")
        return self._survey

    def refresh(self) -> Survey:
        """Follow the registry once; raises what went wrong, and the view of before stays."""
        now = self._clock.now()
        try:
            self._mirror.update(now)
            before = self._survey
            catalogue = before.catalogue if before is not None and not self._stale(before, now) else self._build(now)
        except Error as exc:
            self._problem = exc.code
            if self._survey is not None:
                self._survey = replace(self._survey, problem=exc.code)
            raise
        proven, self._problem = self._proven()
        self._survey = survey = Survey(catalogue=catalogue, confirmed=now, proven=proven, problem=self._problem)
        self._tell()
        return survey

    def description(self, reference: DescriptionReference) -> bytes:
        """The OpenAPI document a showcase names; kept once fetched. Raises `NotFound`, `Unavailable` or `Untrusted`."""
        data = self._archive.get(reference.sha256)
        if data is None:
            with self._fetching:
                data = self._descriptions.fetch(description_path(reference.sha256), reference.length)
            check_description(reference, data)
            self._archive.put(Blob(data, reference.sha256))
            self._archive.settle()
        return data

    def _tell(self) -> None:
        if self._built is None or self._untold is None:
            return
        try:
            self._built(*self._untold)
            self._untold = None
        except Error as exc:
            log_error(logger, "what was built could not be told", exc)

    def _stale(self, survey: Survey, now: int) -> bool:
        configuration = survey.catalogue.configuration
        same = (configuration.snapshot_version, configuration.snapshot_hash) == self._mirror.snapshot
        return not same or now >= self._again_at

    def _build(self, now: int) -> Catalogue:
        everyone = _Everyone()
        work = _Gathering(mirror=self._mirror, pins=self._pins, own=everyone, now=now, parsed=self._parsed)
        listing = work.target(DIRECTORY, parse_directory)
        instance = work.target(INSTANCE, parse_instance)
        logs = work.target(LOGS, parse_logs)
        work.members(_listed(listing, self._limits.members))
        work.rights()
        showcases = self._shown(work)
        self._archive.settle()
        self._pins.save()
        self._parsed = work.parsed
        self._again_at = min((file.statement.expires for file in work.files.values()), default=2**62)
        if work.refused:
            self._again_at = min(self._again_at, now + RETRY_REFUSED)
        files = sorted(work.files.values(), key=lambda file: self._pins.order(file.member))
        self._untold = (files, work.pages) if self._built is not None else None
        configuration = build_configuration(
            instance=self._anchor.instance,
            snapshot=self._mirror.snapshot,
            expires=self._mirror.expires,
            # Services and who may call them are read from files and pages themselves: no decision is made here.
            files=map(_without_services, files),
            pages={},
            listing=listing,
            instance_file=instance,
            logs_file=logs,
        )
        before = self._survey.catalogue if self._survey is not None else None
        return build_catalogue(
            configuration, files, work.pages, showcases=showcases, refused=work.refused, before=before
        )

    def _shown(self, work: Gathering) -> dict[MemberId, Showcase]:
        """The showcases of those who have one: signed by the member's present key, none older than the one before."""
        found: dict[MemberId, _Shown] = {}
        kept: dict[MemberId, _Shown] = {}
        for member, file in work.files.items():
            before = self._showcases.get(member)
            try:
                now = self._showcase(file, before)
            except (NotFound, Malformed, Untrusted, Conflict) as exc:
                work.refused[showcase_path(member)] = exc
                if before is not None:
                    # What was seen is remembered: a version that was refused once is refused again.
                    kept[member] = before
                continue
            if now is not None:
                found[member] = now
        self._showcases = found | kept
        return {member: shown.showcase for member, shown in found.items()}

    def _showcase(self, file: MemberFile, before: _Shown | None) -> _Shown | None:
        path = showcase_path(file.member)
        digest = self._mirror.digest(path)
        if digest is None or (before is not None and (before.sha256, before.file) == (digest, file.digest)):
            return before if digest is not None else None
        blob = self._mirror.target(path)
        if blob is None:
            return None
        showcase = verify_showcase(blob.data, file)
        if before is not None and before.showcase.lineage == showcase.lineage:
            check_follows(showcase, before.showcase.version, before.showcase.digest)
        return _Shown(digest, file.digest, showcase)

    def _proven(self) -> tuple[bool, str | None]:
        """Whether the snapshot is in the registry's witnessed log, asked until it is; and what is wrong with it."""
        version, digest = self._mirror.snapshot
        if self._archive.proof(version) is not None:
            return True, None
        try:
            proof = self._fetcher.fetch(f"snapshots/{version}/proof", MAX_PROOF_BYTES)
            check_snapshot_proof(proof, version, digest, self._anchor)
        except (Malformed, Untrusted) as exc:
            return False, exc.code
        except Error:
            return False, None
        self._archive.put_proof(version, proof)
        return True, None


class _Shown(NamedTuple):
    """A showcase, by the hash of its envelope and the digest of the member file it was held against."""

    sha256: str
    file: str
    showcase: Showcase


class _Gathering(Gathering):
    """A pass that leaves alone what the pass before has parsed: a survey keeps everything, and reads it once."""

    def target(self, path: str, parse: Callable[[bytes], ParsedT], *, sha256: str | None = None) -> ParsedT | None:
        """One target, parsed, now or before."""
        digest = self._mirror.digest(path)
        known = self._before.get(digest) if digest is not None else None
        if digest is None or known is None or sha256 not in {None, digest}:
            return super().target(path, parse, sha256=sha256)
        self.parsed[digest] = known
        # The hash is the content: what was parsed once from it is the same thing.
        return known  # type: ignore[return-value]

    def _page(self, line: ServiceLine, reference: PageReference) -> None:
        known = self._before.get(reference.sha256)
        if isinstance(known, RightsPage) and known.service == line.id:
            self.parsed[reference.sha256] = self.pages[reference.sha256] = known
            return
        super()._page(line, reference)
        if reference.sha256 in self.pages:
            compact = _shared(self.pages[reference.sha256])
            self.parsed[reference.sha256] = self.pages[reference.sha256] = compact


class _Everyone(frozenset[MemberId]):
    """A set that every member is in: all rights pages are taken up."""

    def __contains__(self, _: object) -> bool:
        return True


def _listed(listing: Listing | None, limit: int) -> list[MemberId]:
    return [member.id for member in listing.members[:limit]] if listing is not None else []


def _without_services(file: MemberFile) -> MemberFile:
    return replace(file, statement=msgspec.structs.replace(file.statement, services=()))


def _shared(page: RightsPage) -> RightsPage:
    """The same page with its texts shared among all pages: the same few stand in a million rights."""
    rights = tuple(
        Right(
            client=right.client and sys.intern(right.client),
            group=right.group,
            lineage=right.lineage and sys.intern(right.lineage),
            endpoints=tuple(map(sys.intern, right.endpoints)),
            until=right.until,
        )
        for right in page.rights
    )
    return msgspec.structs.replace(page, rights=rights)
