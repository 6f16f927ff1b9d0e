"""A registry with members, services and showcases, and the portal that follows it; no network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec

from asgi_caller import Answer, Caller
from qaztech.core.ids import ServiceId
from qaztech.registry.forms import Names
from qaztech.registry.granted import RightsBook
from qaztech.registry.member_file import verify_member_file
from qaztech.registry.passport import DataElement, Passport, new_passport
from qaztech.registry.showcase import ShownService, describe, new_showcase, sign_showcase
from qaztech.registry.survey import Surveyor
from qaztech.runtime.database import sqlite_url
from qaztech.web.catalogue_view import Follower
from qaztech.web.country import parse_country
from qaztech.web.portal import portal_app
from registry_country import Country, LocalFetcher, MemberDesk

HOST = "127.0.0.1:8400"
NOWHERE = "http://127.0.0.1:9"
DOCUMENT = {
    "openapi": "3.1.0",
    "info": {"title": "Certificates", "version": "1"},
    "paths": {
        "/certificates/{number}": {
            "get": {
                "tags": ["certificates"],
                "summary": "One <b>certificate</b>",
                "parameters": [{"name": "number", "in": "path", "required": True, "schema": {"type": "string"}}],
                "responses": {"200": {"description": "It"}},
            }
        }
    },
}


class Shown:
    """The ministry shows one service with a passport; the university may call it; the portal follows."""

    def __init__(self, country: Country, *, evil: str = "", registry: str = NOWHERE) -> None:
        self.country = country
        self.ministry = country.new_member(1, "ministry")
        self.university = country.new_member(2, "university", member_class="EDU")
        self.service = country.add_service(self.ministry, "certificates", type_="OPENAPI")
        self.plain = country.add_service(self.ministry, "plain")
        country.admit(self.university)
        country.admit(self.ministry)
        client = self.university.subsystem("main")
        country.grant(self.ministry, self.service, client, self.university.lineage, "GET /certificates/*")
        self.document = json.dumps(DOCUMENT).encode()
        self.show(self.ministry, passport(evil))
        fetcher = _WithDescriptions(country)
        self.fetcher: LocalFetcher = fetcher
        self.book = RightsBook.open(sqlite_url(country.directory / "granted.db"))
        self.surveyor = Surveyor(
            anchor=country.anchor,
            directory=country.directory / "portal",
            fetcher=fetcher,
            clock=country.clock,
            built=self.book.follow,
        )
        self.follower = Follower(self.surveyor)
        (country.directory / "anchor.json").write_bytes(country.anchor_bytes)
        self.portal = portal_app(
            parse_country(country_file(country.directory / "anchor.json", self, registry)),
            clock=country.clock,
            catalogues=self.follower,
            rights=self.book,
        )

    def show(self, desk: MemberDesk, shown: Passport, version: int = 1) -> None:
        """A member's showcase of its first service, published."""
        file = verify_member_file(desk.file())
        line = ShownService(id=str(self.service), passport=shown, description=describe(self.document))
        envelope = sign_showcase(new_showcase(file, version, self.country.clock.now(), (line,)), desk.key)
        self.country.registry.accept_showcase(desk.id, envelope, [self.document])
        self.country.publish()

    def get(self, path: str, *, accept: str = "text/html", language: str = "") -> Answer:
        """One visit."""
        headers = {"host": HOST, "accept": accept, "accept-language": language}
        return Caller(self.portal.app).get(path, headers={k: v for k, v in headers.items() if v})


class _WithDescriptions(LocalFetcher):
    def fetch(self, path: str, limit: int) -> bytes:
        if path.startswith("descriptions/") and not self.down:
            return self._country.registry.description(path.removeprefix("descriptions/").removesuffix(".json"))
        return super().fetch(path, limit)


def passport(evil: str = "") -> Passport:
    """A filled-in passport; `evil` stands in its texts."""
    names = Names(kk=f"Анықтама беру{evil}", ru=f"Выдача справок{evil}", en=f"Certificates{evil}")
    return msgspec.structs.replace(
        new_passport(names, environment="production"),
        purpose=Names(kk="Азаматтарға анықтама", ru="Справки гражданам", en="For citizens"),
        personal=True,
        categories=("identity",),
        data=(DataElement(field="iin", names=Names(kk="ЖСН", ru="ИИН", en="Number"), personal=True),),
    )


def country_file(anchor: Path, shown: Shown, registry: str) -> bytes:
    """The instance's file; nobody answers at its nodes' addresses."""
    node: dict[str, Any] = {
        "name": "ministry",
        "member": str(shown.ministry.id),
        "names": {"kk": "m", "ru": "m", "en": "m"},
        "management": NOWHERE,
    }
    place = {"instance": "KZ", "registry": registry, "portal": f"http://{HOST}", "anchor": str(anchor), "nodes": [node]}
    return json.dumps(place).encode()


def page_of(service: ServiceId) -> str:
    """Where a service's page is."""
    return "/services/" + str(service).partition("/")[2]


__all__ = ["HOST", "Shown", "page_of", "passport"]
