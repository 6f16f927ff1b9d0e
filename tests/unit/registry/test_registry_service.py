"""The registry's HTTP service: what anyone may fetch, what its operator may do, what nobody may."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from asgi_caller import Caller
from qaztech.core.errors import Limited, NotFound, Unavailable
from qaztech.core.ids import NodeId
from qaztech.evidence.cosignature import Cosigner
from qaztech.evidence.witness import SqliteWitnessStore, Witness, format_add_checkpoint
from qaztech.registry.client import ConfigurationClient
from qaztech.registry.fetch import HttpFetcher
from qaztech.registry.service import RegistryService
from qaztech.runtime.shell import serve
from qaztech.trust.certificates import Authority, certificate_request, generate_key, node_of
from registry_country import Country, MemberDesk
from registry_office import Offices

TOKEN = "operator's token"
OPERATOR = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def service(country: Country) -> Iterator[RegistryService]:
    """A registry as its process would build it."""
    country.publish()
    store = SqliteWitnessStore(":memory:")
    authority = Authority.create("KZ", country.clock.now())
    offices = Offices(country, authority=authority)
    witness = Witness(
        store=store,
        keys=Cosigner(name="kz.qaztech.example/witness/registry", ed25519=country.witnesses["registry"]),
        log_keys=lambda origin: country.anchor.log_keys if origin == country.log.origin else (),
        clock=country.clock,
    )
    yield RegistryService(
        publisher=country.publisher,
        store=country.store,
        published=country.published,
        anchor=country.anchor_bytes,
        log=country.log,
        witnessed=country.witnessed_note,
        witness=witness,
        authority=authority,
        clock=country.clock,
        more=offices.management(token=TOKEN).routes(),
    )
    offices.close()
    store.close()


@pytest.fixture
def http(service: RegistryService) -> Caller:
    """A caller on the same machine."""
    return Caller(service.app())


def admit(http: Caller, desk: MemberDesk) -> None:
    """Admit a member and send its file, as its people would."""
    names = {"kk": "a", "ru": "b", "en": "c"}
    asked = {"id": str(desk.id), "lineage": desk.lineage, "names": names}
    assert http.post("/manage/members", json=asked, headers=OPERATOR).status_code == 201
    sent = http.post("/manage/member-files", content=desk.file(), headers=OPERATOR)
    assert sent.json() == {"id": str(desk.id), "version": 1}


def test_a_member_is_admitted_and_found(http: Caller, country: Country) -> None:
    """The operator admits, the member's file follows, and both show in directory, status and log."""
    desk = country.new_member(1, "provider")
    admit(http, desk)
    assert [m["id"] for m in http.get("/directory").json()["members"]] == [str(desk.id)]
    status = http.get("/manage/status", headers=OPERATOR).json()
    assert status["members"] == [{"id": str(desk.id), "lineage": desk.lineage, "suspended": False, "version": 1}]
    assert status["log"]["size"] == status["snapshot"]["version"]
    asked = {"member": str(desk.id)}
    assert http.post("/manage/suspend", json=asked, headers=OPERATOR).json()["suspended"] is True
    assert http.get("/directory").json()["members"] == []
    assert http.post("/manage/suspend", json={**asked, "suspended": False}, headers=OPERATOR).status_code == 200
    assert len(http.get("/directory").json()["members"]) == 1


def test_a_page_counts_once_a_file_names_it(http: Caller, country: Country) -> None:
    """A rights page alone publishes nothing; an unknown service's page is refused."""
    desk = country.new_member(1, "provider")
    service = country.add_service(desk, "countries")
    page = desk.rights[service].pages(1)[0].data
    assert http.post("/manage/rights-pages", content=page, headers=OPERATOR).status_code == 404
    admit(http, desk)
    before = country.publication.published
    assert http.post("/manage/rights-pages", content=page, headers=OPERATOR).status_code == 201
    assert country.publication.published == before


def test_certificates_are_for_admitted_members(http: Caller, country: Country) -> None:
    """A node's certificate names the node; a stranger gets none, and nobody gets another's."""
    desk = country.new_member(1, "provider")
    request = certificate_request(generate_key(), desk.node).decode()
    asked = {"node": str(desk.node), "request": request}
    assert http.post("/manage/certificates", json=asked, headers=OPERATOR).status_code == 404
    admit(http, desk)
    answer = http.post("/manage/certificates", json=asked, headers=OPERATOR)
    assert answer.status_code == 201
    certificate = x509.load_pem_x509_certificate(answer.json()["certificate"].encode())
    assert node_of(certificate.public_bytes(Encoding.DER)) == desk.node
    other = str(NodeId(desk.id, "node2"))
    answer = http.post("/manage/certificates", json={**asked, "node": other}, headers=OPERATOR)
    assert answer.json()["code"] == "certificate.request"


@pytest.mark.parametrize("path", ["members", "member-files", "rights-pages", "suspend", "certificates", "revoke-tls"])
@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": TOKEN}])
def test_management_needs_the_token(http: Caller, path: str, headers: dict[str, str]) -> None:
    """Without the operator's token nothing is decided."""
    answer = http.post(f"/manage/{path}", json={}, headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.json()["code"] == "operator.token"


def test_management_is_local(service: RegistryService) -> None:
    """The right token from another machine is refused."""
    http = Caller(service.app(), "192.0.2.7")
    assert http.get("/manage/status", headers=OPERATOR).status_code == 403
    assert http.get("/anchor").status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/registry/metadata/0.root.json",
        "/registry/metadata/..%2f..%2fregistry.db",
        "/registry/metadata/99.snapshot.json",
        "/registry/targets/..%2f..%2fregistry%2fregistry.db",
        "/registry/targets/%2e%2e/" + "0" * 64 + ".json",
        "/registry/targets/" + "0" * 64 + ".directory.json",
        "/registry/snapshots/99/proof",
        "/registry/snapshots/99999999999999999999999999/proof",
        "/registry/log/tile/0/999",
        "/registry/log/../../x",
        "/nothing",
    ],
)
def test_what_is_not_there_is_said_plainly(http: Caller, path: str) -> None:
    """One form of error for all, and no file outside the published ones."""
    answer = http.get(path)
    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_bad_input_is_refused(http: Caller) -> None:
    """Malformed JSON, envelopes, pages and sizes are the caller's fault, and say so."""
    assert http.post("/manage/members", content=b"{", headers=OPERATOR).json()["code"] == "request.malformed"
    assert http.post("/manage/member-files", content=b"{}", headers=OPERATOR).status_code == 400
    assert http.post("/manage/rights-pages", content=b"\xff", headers=OPERATOR).status_code == 400
    assert http.post("/manage/revoke-tls", json={"tls": "x"}, headers=OPERATOR).status_code == 400
    assert http.post("/manage/members", content=b"x" * 3_000_000, headers=OPERATOR).status_code == 429
    assert http.get("/manage/members", headers=OPERATOR).status_code == 405


def test_the_witness_cosigns_the_registry_and_no_stranger(http: Caller, country: Country) -> None:
    """The endpoint speaks C2SP tlog-witness."""
    body = format_add_checkpoint(0, [], country.log.head.note)
    answer = http.post("/witness/add-checkpoint", content=body)
    assert answer.status_code == 200
    assert answer.text.startswith("— kz.qaztech.example/witness/registry ")
    assert http.post("/witness/add-checkpoint", content=b"old 0\n\nx").status_code == 400


def test_log_and_proofs_are_served(http: Caller, country: Country) -> None:
    """Checkpoint, tiles and the witnessed proof of a snapshot; nothing before it was witnessed."""
    assert http.get("/registry/log/checkpoint").content == country.log.head.note
    assert http.get("/registry/log/tile/0/000.p/1").status_code == 200
    assert b"qaztech-snapshot 1" in http.get("/registry/log/tile/entries/000.p/1").content
    proof = http.get("/registry/snapshots/1/proof")
    assert proof.content == country.proof(1)
    country.witnessed = b""
    assert http.get("/registry/snapshots/1/proof").json()["code"] == "registry.unwitnessed"
    assert http.get("/health").json() == {"ready": True}


def test_metadata_travels_compressed(http: Caller, country: Country) -> None:
    """A snapshot is mostly repetition."""
    plain = http.get("/registry/metadata/1.snapshot.json", headers={"Accept-Encoding": "identity"})
    packed = http.get("/registry/metadata/1.snapshot.json", headers={"Accept-Encoding": "gzip"})
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.content == plain.content
    assert int(packed.headers["content-length"]) < len(plain.content) / 2


@contextmanager
def listening(service: RegistryService) -> Iterator[str]:
    """The service on a real port."""
    ready, address, loops = threading.Event(), [], []

    async def run() -> None:
        stop = asyncio.Event()
        loops.append((asyncio.get_running_loop(), stop))
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            address.append(probe.getsockname()[1])
        task = asyncio.create_task(serve(service.app(), host="127.0.0.1", port=address[0], stop=stop))
        for _ in range(500):
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", address[0])
            except OSError:
                await asyncio.sleep(0.01)
            else:
                writer.close()
                await writer.wait_closed()
                break
        ready.set()
        await task

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    assert ready.wait(10)
    try:
        yield f"http://127.0.0.1:{address[0]}"
    finally:
        loop, stop = loops[0]
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        assert not thread.is_alive()


def test_a_node_follows_the_registry_over_http(service: RegistryService, country: Country) -> None:
    """The same refresh over a real connection: compressed, kept open, limited, and gone when the registry is."""
    desk = country.admit(country.new_member(1, "provider"))
    with listening(service) as url:
        fetcher = HttpFetcher(url)
        client = ConfigurationClient(
            anchor=country.anchor,
            directory=country.directory / "node",
            fetcher=fetcher,
            own_members={desk.id: desk.lineage},
            clock=country.clock,
        )
        configuration = client.refresh()
        assert configuration.member(desk.id) is not None
        assert client.archive.proof(configuration.snapshot_version) is not None
        with pytest.raises(NotFound):
            fetcher.fetch("metadata/99.root.json", 1000)
        with pytest.raises(Limited):
            fetcher.fetch("metadata/1.snapshot.json", 1000)
        assert client.refresh() is configuration
    with pytest.raises(Unavailable):
        client.refresh()
    fetcher.close()
