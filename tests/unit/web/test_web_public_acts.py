"""The admin log on the portal: acts without names, proofs that hold, and what a registry that lies is told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import jsonschema
import pytest
from catalogue_country import HOST, Shown

from asgi_caller import Answer, Caller
from qaztech.core.ids import MemberId
from qaztech.evidence.checkpoint import SignedCheckpoint
from qaztech.evidence.cosignature import cosign_ed25519
from qaztech.evidence.note import VerifierKey, format_note
from qaztech.evidence.proof import TlogProof
from qaztech.people.actors import Act, new_salt
from qaztech.people.acts import AdminLog
from qaztech.registry.act_service import ActService
from qaztech.registry.admin_logs import with_open
from qaztech.runtime.shell import ShellLimits, application
from registry_country import HOST as INSTANCE_HOST
from registry_country import Country, quick_folder

WHO = "aigerim.secret"


class Registry:
    """A registry's admin log with its public part, on a port; `lies` are answers in place of its own, by path."""

    def __init__(self, country: Country) -> None:
        self.country = country
        self.log = AdminLog.create(country.directory / "admin", instance="KZ", clock=country.clock)
        self.key = VerifierKey.parse(self.log.vkey)
        self.witnesses = ("registry", "third")
        self.app = application(ActService(self.log, witnessed=self.witnessed).routes(), ShellLimits())
        self.lies: dict[str, bytes] = {}
        self._server: asyncio.Server | None = None

    def witnessed(self) -> bytes:
        """The newest checkpoint, cosigned."""
        signed = SignedCheckpoint.parse(self.log.head.note)
        lines = [
            cosign_ed25519(signed, f"{INSTANCE_HOST}/witness/{name}", self.country.witnesses[name], 1_800_000_000)
            for name in self.witnesses
        ]
        return format_note(signed.note.with_signatures(lines)) if lines else b""

    async def record(self, kind: str, subject: str, **states: Any) -> int:
        """An act by somebody whose name is nobody's business."""
        made = Act(who=WHO, role="registry-operator", when=5, act=kind, subject=subject, salt=new_salt(), **states)
        return await self.log.record(made)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        """Its address."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        try:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        finally:
            server.close()
            await self.log.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path = (await reader.readline()).decode().split(" ")[1]
        while (await reader.readline()).strip():
            pass
        answer = await Caller(self.app).call("GET", path, b"", {})
        body = self.lies.get(path.partition("?")[0], answer.content)
        status = 200 if path.partition("?")[0] in self.lies else answer.status_code
        writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        await writer.drain()
        writer.close()


@pytest.fixture
def country() -> Iterator[Country]:
    """A fresh country."""
    with quick_folder() as folder:
        made = Country(folder)
        yield made
        made.close()


@asynccontextmanager
async def scene(country: Country, *, named: bool = True) -> AsyncIterator[tuple[Registry, Shown]]:
    """A registry with three acts, and a portal that follows it."""
    registry = Registry(country)
    async with registry.serving() as url:
        shown = await asyncio.to_thread(Shown, country, registry=url)
        if named:
            country.registry.name_admin_logs(with_open((), registry.key, 1))
            await asyncio.to_thread(country.publish)
        await registry.record("account.add", WHO, after={"roles": [WHO]})
        await registry.record(
            "member.suspend", str(shown.university.id), before={"suspended": False},
            after={"suspended": True, "reason": f"because of {WHO}"},
        )  # fmt: skip
        await registry.record("tls.revoke", "<b>key</b>", after={"revoked": True})
        await asyncio.to_thread(shown.follower.look)
        yield registry, shown
        shown.book.close()


async def get(shown: Shown, path: str, *, accept: str = "text/html") -> Answer:
    """One visit."""
    return await Caller(shown.portal.app).call("GET", path, b"", {"host": HOST, "accept": accept})


async def test_acts_are_shown_without_names(country: Country) -> None:
    """In three languages; members by their names, whatever the registry says as text."""
    async with scene(country) as (_, shown):
        for language, word in (("kk", "Қатысушы тоқтатыла тұрды"), ("ru", "Участник"), ("en", "Member suspended")):
            text = (await get(shown, f"/admin-log?lang={language}")).text
            assert word in text
            assert WHO not in text
            assert "<b>key" not in text
        assert "A quorum of witnesses has seen 3 of 3 entries" in text
        assert 'href="/members/' in text
        only = (await get(shown, "/admin-log?kind=tls.revoke&lang=en")).text
        assert 'id="act-2"' in only
        assert 'id="act-1"' not in only
        assert 'id="act-0"' in (await get(shown, "/admin-log?before=1")).text


async def test_a_proof_is_checked_before_it_is_given(country: Country) -> None:
    """With the hash that the page shows; one that leads elsewhere is refused."""
    async with scene(country) as (registry, shown):
        page = (await get(shown, "/api/v1/admin-log?limit=2", accept="application/json")).json()
        assert page["older"] == 1
        act = page["acts"][1]
        answer = await get(shown, f"/admin-log/{act['index']}/proof?leaf={act['leaf']}")
        TlogProof.parse(answer.content).verify_signed(bytes.fromhex(act["leaf"]), [registry.key])
        assert "attachment" in answer.headers["content-disposition"]
        for path, status in (
            (f"/admin-log/0/proof?leaf={act['leaf']}", 409),
            ("/admin-log/0/proof?leaf=", 400),
            ("/admin-log/0/proof?leaf=zz", 400),
            ("/admin-log/3/proof", 404),
            (f"/admin-log/{10**30}/proof", 404),
        ):
            assert (await get(shown, path)).status_code == status, path
        registry.lies["/registry/admin-log/proofs/0"] = answer.content
        assert (await get(shown, "/admin-log/0/proof")).status_code == 502


async def test_the_api_answers_as_it_is_described(country: Country) -> None:
    """Page and proof, against their schemas; what is not described is refused."""
    async with scene(country) as (_, shown):
        described = (await get(shown, "/api/v1/openapi.json")).json()
        answer = await get(shown, "/api/v1/admin-log", accept="application/json")
        schema = described["paths"]["/api/v1/admin-log"]["get"]["responses"]["200"]["content"]["application/json"]
        jsonschema.Draft202012Validator({**schema["schema"], "components": described["components"]}).validate(
            answer.json()
        )
        assert (await get(shown, "/api/v1/admin-log/0/proof")).headers["content-type"].startswith("text/plain")
        for query in ("limit=0", "limit=101", "before=x", "other=1"):
            assert (await get(shown, f"/api/v1/admin-log?{query}", accept="application/json")).status_code == 400


async def test_what_is_not_proven_is_said(country: Country) -> None:
    """No quorum; a checkpoint of another log; a form that is none."""
    async with scene(country) as (registry, shown):
        registry.witnesses = ("registry",)
        assert "does not verify" in (await get(shown, "/admin-log?lang=en")).text
        registry.witnesses = ()
        assert "No quorum of witnesses" in (await get(shown, "/admin-log?lang=en")).text
        path = "/registry/admin-log/acts"
        page = (await Caller(registry.app).call("GET", path, b"", {})).json()
        page["checkpoint"] = country.witnessed_note().decode()
        registry.lies[path] = json.dumps(page).encode()
        text = (await get(shown, "/admin-log?lang=en")).text
        assert "does not verify" in text
        assert "proof?leaf=" not in text
        for form in (b"[]", b"\xff", b'{"acts":' * 5000):
            registry.lies[path] = form
            assert (await get(shown, "/admin-log")).status_code == 502


async def test_a_log_that_nothing_names_proves_nothing(country: Country) -> None:
    """Nor does a registry that does not answer."""
    async with scene(country, named=False) as (registry, shown):
        assert "does not name this log" in (await get(shown, "/admin-log?lang=en")).text
        assert (await get(shown, "/admin-log/0/proof")).status_code == 502
        del registry
    assert (await get(shown, "/admin-log")).status_code == 503


def test_rights_are_shown_as_they_were_given(country: Country) -> None:
    """To whom, by whom, since when; taken away; and how to ask, with the service's identifier at hand."""
    shown = Shown(country)
    shown.follower.look()
    text = shown.get(f"/access?service={shown.service}&lang=en").text
    assert "/console/requests/new?service=KZ/GOV/" in text
    assert "GET /certificates/*" in text
    assert "in force" in text
    assert f'href="/access?service={shown.service}' in shown.get(
        "/services/" + str(shown.service).partition("/")[2]
    ).text.replace("%2F", "/")
    country.clock.advance(60_000)
    service, client = shown.service, shown.university.subsystem("main")
    shown.ministry.rights[service] = shown.ministry.rights[service].revoke(client)
    country.send(shown.ministry)
    shown.follower.look()
    for query, there in (
        ("", True), ("?state=open", False), ("?state=ended", True), ("?member=university", True),
        (f"?member={MemberId('KZ', 'GOV', '000000000000')}", False), ("?service=plain", False), ("?page=x", True),
    ):  # fmt: skip
        assert ("GET /certificates/*" in shown.get(f"/access{query}").text) is there, query
    assert "taken away" in shown.get("/access?lang=en").text
    given = shown.get("/api/v1/access?state=ended", accept="application/json").json()
    assert [(one["state"], one["client"]) for one in given["rights"]] == [("revoked", str(client))]
    for query in ("state=x", "limit=101", "offset=-1", "other=1", "member=" + "x" * 201):
        assert shown.get(f"/api/v1/access?{query}", accept="application/json").status_code == 400
    shown.book.close()
