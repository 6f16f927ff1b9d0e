"""What the embedded country's real provider shows of its service: its passport and its OpenAPI description, signed."""

from __future__ import annotations

from pathlib import Path

from qaztech.core.ids import ServiceId
from qaztech.core.time import Clock
from qaztech.member.openapi import read_description
from qaztech.registry.admission import Registry
from qaztech.registry.desk import Desk
from qaztech.registry.files import write_file
from qaztech.registry.forms import Names
from qaztech.registry.member_file import verify_member_file
from qaztech.registry.passport import Availability, DataElement, LegalBasis, Owner, Passport, Register, Served
from qaztech.registry.showcase import ShownService, describe, new_showcase, sign_showcase

SHOWCASE, DESCRIPTIONS = "showcase.json", "descriptions"


def passport(names: Names, member: str) -> Passport:
    """The passport of the code lists. Acts and units are fictitious, as the country is."""
    return Passport(
        type="qaztech-passport 1",
        names=names,
        purpose=Names(
            kk="Елдердің, валюталардың, тілдер мен аумақтардың халықаралық кодтарын атауларымен береді.",
            ru="Даёт международные коды стран, валют, языков и территорий с названиями на казахском и русском.",
            en="Gives the international codes of countries, currencies, languages and subdivisions with their names.",
        ),
        owner=Owner(
            unit=Names(kk="Анықтамалықтар бөлімі", ru="Отдел справочников", en="Code lists unit"),
            role=Names(kk="Сервис иесі", ru="Владелец сервиса", en="Service owner"),
        ),
        legal_basis=(
            LegalBasis(
                act="",
                title=Names(
                    kk="Анықтамалықтарды жүргізу қағидалары (үлгі)",
                    ru="Правила ведения справочников (пример)",
                    en="Rules for keeping code lists (example)",
                ),
                provision="3",
            ),
        ),
        serves=Served(
            kind="state-function",
            code="",
            names=Names(
                kk="Ортақ анықтамалықтарды жүргізу", ru="Ведение общих справочников", en="Keeping common code lists"
            ),
        ),
        data=(
            DataElement(
                field="alpha_2", names=Names(kk="Ел коды", ru="Код страны", en="Country code"), personal=False
            ),
            DataElement(
                field="name_kk", names=Names(kk="Қазақша атауы", ru="Название на казахском", en="Name in Kazakh"),
                personal=False,
            ),
            DataElement(
                field="name_ru", names=Names(kk="Орысша атауы", ru="Название на русском", en="Name in Russian"),
                personal=False,
            ),
        ),
        personal=False,
        categories=(),
        source=Register(
            names=Names(kk="ISO кодтары", ru="Коды ISO", en="ISO codes"), holder=member, original=False
        ),
        environment="test",
        contact="codes@registers.example",
        availability=Availability(percent="99.50", hours="24x7"),
        version="1",
        deprecated=None,
        successor=None,
    )  # fmt: skip


def show(directory: Path, desk: Desk, service: ServiceId, *, openapi: Path, registry: Registry, clock: Clock) -> None:
    """Sign the showcase of the desk's one service and bring it, as the member's console would."""
    line = next(line for line in desk.statement.services if line.id == str(service))
    document = read_description(openapi.read_bytes()).document
    shown = ShownService(
        id=str(service), passport=passport(line.names, str(desk.member)), description=describe(document)
    )
    file = verify_member_file(desk.submission().envelope)
    envelope = sign_showcase(new_showcase(file, 1, clock.now(), (shown,)), desk.key)
    (directory / DESCRIPTIONS).mkdir(exist_ok=True)
    write_file(directory / DESCRIPTIONS / f"{describe(document).sha256}.json", document)
    write_file(directory / SHOWCASE, envelope)
    registry.accept_showcase(desk.member, envelope, [document])
