"""The catalogue as the pages use it: a verified survey of the country, and the index over it; followed in a thread.

Not here: verification (`registry.survey`), search itself (`registry.search`), pages.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass
from typing import Final, Protocol

from qaztech.core.errors import Error, Unavailable
from qaztech.registry.catalogue import Catalogue, CatalogueService
from qaztech.registry.forms import Names
from qaztech.registry.search import Document, SearchIndex, Three
from qaztech.registry.showcase import DescriptionReference
from qaztech.registry.survey import Survey

logger = logging.getLogger("qaztech.portal")
INDEX_SHARE = 20


@dataclass(frozen=True, slots=True)
class View:
    """One verified view of the country, and the indexes over its services and over its members."""

    survey: Survey
    index: SearchIndex
    members: SearchIndex

    @property
    def catalogue(self) -> Catalogue:
        """Everyone and everything in it."""
        return self.survey.catalogue


class Catalogues(Protocol):
    """Where pages get the newest view."""

    def view(self) -> View:
        """The newest view; raises `Unavailable` before there is one."""
        ...

    def description(self, reference: DescriptionReference) -> bytes:
        """An OpenAPI document that a showcase names. Blocks; raises `NotFound`, `Unavailable` or `Untrusted`."""
        ...


class NoCatalogue:
    """Stands in where nothing follows the registry."""

    def view(self) -> View:
        """There is none."""
        raise _not_ready()

    def description(self, _: DescriptionReference) -> bytes:
        """There is none."""
        raise _not_ready()


class Follows(Protocol):
    """What is followed: `registry.survey.Surveyor`, or what stands for it in a test."""

    @property
    def survey(self) -> Survey | None:
        """The last good view."""
        ...

    def refresh(self) -> Survey:
        """Look once."""
        ...

    def load(self) -> Survey:
        """Begin with what was kept."""
        ...

    def description(self, reference: DescriptionReference) -> bytes:
        """An OpenAPI document by reference."""
        ...


class Follower:
    """Looks at the registry every so many seconds, in a thread of its own, and keeps the newest view."""

    def __init__(self, surveyor: Follows, *, seconds: float = 20.0, retry_seconds: float = 1.0) -> None:
        self._surveyor = surveyor
        self._seconds = seconds
        self._retry = retry_seconds
        self._view: View | None = None
        self._indexed: Catalogue | None = None
        self._index_at = 0.0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="survey", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more; what is under way is not waited for."""
        self._stopping.set()

    def view(self) -> View:
        """The newest view; raises `Unavailable` before there is one."""
        if self._view is None:
            raise _not_ready()
        return self._view

    def description(self, reference: DescriptionReference) -> bytes:
        """An OpenAPI document that a showcase names."""
        return self._surveyor.description(reference)

    def look(self) -> None:
        """Look once; what fails is logged, and the view of before stays."""
        try:
            self._surveyor.refresh()
        except Error as exc:
            logger.warning("the registry could not be followed", extra={"fields": {"code": exc.code}})
        except Exception:  # whatever it is, the next look may succeed, and the portal must go on showing what it has
            logger.exception("following the registry failed")
        self._take(self._surveyor.survey)

    def _follow(self) -> None:
        try:
            self._take(self._surveyor.load())
        except Error:
            logger.info("nothing kept to begin with")
        except Exception:  # what was kept is damaged; the first look fetches it again
            logger.exception("what was kept could not be read")
        wait = self._retry
        while not self._stopping.is_set():
            self.look()
            good = self._surveyor.survey is not None and self._surveyor.survey.problem is None
            wait = self._retry if good else min(self._seconds, 2 * wait)
            self._stopping.wait(self._seconds if good else wait)

    def _take(self, survey: Survey | None) -> None:
        before = self._view
        if survey is None or (before is not None and before.survey is survey):
            return
        if before is not None and (self._indexed is survey.catalogue or time.monotonic() < self._index_at):
            self._view = View(survey, before.index, before.members)
            return
        start = time.monotonic()
        self._view = View(survey, index_of(survey.catalogue), members_of(survey.catalogue))
        self._indexed = survey.catalogue
        # A large index takes a while, and the pages need the processor too: a twentieth of the time at most.
        self._index_at = time.monotonic() + INDEX_SHARE * (time.monotonic() - start)


def index_of(catalogue: Catalogue) -> SearchIndex:
    """The index over a catalogue: services in use first, by their Russian names."""
    services = sorted(catalogue.services.values(), key=_place)
    return SearchIndex(document(catalogue, service) for service in services)


def members_of(catalogue: Catalogue) -> SearchIndex:
    """The index over the members of a catalogue, by their Russian names; found by names, systems, codes."""
    members = sorted(catalogue.members.values(), key=lambda member: (member.names.ru.lower(), str(member.id)))
    return SearchIndex(
        Document(
            id=str(member.id),
            names=_three(member.names),
            data=(*map(_three, member.subsystems.values()), (member.id.code, "", "")),
            facets={"class": member.id.member_class},
        )
        for member in members
    )


def _place(service: CatalogueService) -> tuple[bool, bool, str, str]:
    test = service.passport is not None and service.passport.environment == "test"
    return service.disabled is not None, test, service.shown_names.ru.lower(), str(service.id)


STATED: Final = {True: "yes", False: "no", None: "unknown"}


def document(catalogue: Catalogue, service: CatalogueService) -> Document:
    """What is searched of a service: names of file and passport, purpose, data elements, endpoints, its member."""
    passport = service.passport
    facets = {
        "class": service.member.member_class,
        "type": service.type,
        "personal": "unknown",
        "environment": "unknown",
    }
    names, purposes, data = [service.names], [], []
    if passport is not None:
        facets |= {"personal": STATED[passport.states_personal], "environment": passport.environment}
        names.append(passport.names)
        purposes = [
            passport.purpose,
            passport.serves and passport.serves.names,
            passport.source and passport.source.names,
        ]
        data = [_three(one.names) for one in passport.data] + [("", "", one.field) for one in passport.data]
    provider = catalogue.members[service.member]
    codes = Names(kk=service.member.code, ru=service.id.subsystem.code, en=service.id.subsystem.code)
    return Document(
        id=str(service.id),
        names=_joined(names),
        purpose=_joined([one for one in purposes if one]),
        data=tuple(data),
        endpoints=(f"- /{service.id.code}", *service.endpoints),
        member=_joined([provider.names, provider.subsystems.get(service.id.subsystem), codes]),
        facets=facets,
    )


def _three(names: Names) -> Three:
    return names.kk, names.ru, names.en


def _joined(names: list[Names | None] | list[Names]) -> Three:
    found = list(dict.fromkeys(one for one in names if one is not None))
    kk, ru, en = (
        (" ".join(dict.fromkeys(parts)) for parts in zip(*map(_three, found), strict=True)) if found else ("", "", "")
    )
    return kk, ru, en


def _not_ready() -> Unavailable:
    return Unavailable("catalogue.not-ready", "the registry has not been read yet", at="registry", retry_after=2)
