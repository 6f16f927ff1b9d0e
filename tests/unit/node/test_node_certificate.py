"""How a node looks after its certificate: when it asks, what it believes, how it fails, how it changes its key."""

from __future__ import annotations

import json
import ssl
from base64 import b64decode
from dataclasses import replace
from pathlib import Path

import pytest

from qaztech.core.errors import Conflict, Malformed, Unavailable
from qaztech.core.ids import NodeId
from qaztech.core.time import ManualClock
from qaztech.node.certificate import LONGEST_PAUSE, TELL_AFTER, Certificate, Place, pause, renews_at
from qaztech.node.tls import EdgeFiles, EdgeTls, LinkTls
from qaztech.node.tls_files import TlsFiles
from qaztech.registry.node_identity import NODE_FILE, NodeIdentity
from qaztech.registry.renewal import renewal_statement
from qaztech.trust.certificates import (
    Authority,
    Period,
    certificate_request,
    certificate_spki,
    generate_key,
    key_pem,
    verify_request,
)

NODE = NodeId.parse("KZ/GOV/991340000017/node1")
DAY = 86_400_000


class Wire:
    """Links that count what is asked of them."""

    def __init__(self) -> None:
        self.reloads, self.changed, self.left = 0, 0, 0

    def reload(self) -> None:
        self.reloads += 1

    def changed_key(self) -> None:
        self.changed += 1

    def remake(self) -> int:
        return self.left


class LateAuthority:
    """An authority that issues as if it were so many milliseconds ago."""

    def __init__(self, authority: Authority, late: int) -> None:
        self.authority, self.late = authority, late

    def issue(self, request: bytes, node: NodeId, now: int, *, days: float) -> bytes:
        return self.authority.issue(request, node, now - self.late, days=days)


class Scene:
    """A node with a certificate of a year, and a registry that answers as it is told."""

    def __init__(self, folder: Path) -> None:
        self.clock, self.wire, self.folder = ManualClock(), Wire(), folder
        identity = NodeIdentity.create(folder, NODE, "127.0.0.1:5500", hybrid=False)
        (folder / NODE_FILE).write_bytes(identity.format())
        self.authority = Authority.create("KZ", self.clock.now())
        self.files = TlsFiles(folder, NODE)
        self.give = self.authority
        self.days = 365.0
        self.names: set[bytes] = set()
        self.asked = 0
        self.broken: Exception | None = None
        pem = self.authority.issue((folder / "tls.csr").read_bytes(), NODE, self.clock.now())
        (folder / "tls.pem").write_bytes(pem)
        self.certificate = self.open()

    def open(self) -> Certificate:
        """The node starts."""
        self.files.settle()
        place = Place(
            node=NODE, registry="http://registry.example/", clock=self.clock, post=self.post, overlap=60_000,
            authorities=lambda: [self.authority.certificate_pem.decode()], names=self.names.__contains__,
        )  # fmt: skip
        return Certificate(place, self.files, self.wire)

    async def post(self, url: str, body: bytes, content_type: str) -> tuple[int, str, bytes]:
        """The registry's answer, to a request that must be right."""
        self.asked += 1
        assert (url, content_type) == ("http://registry.example/certificates/renew", "application/json")
        said = json.loads(body)
        request = said["request"].encode()
        statement = renewal_statement("KZ", NODE, self.clock.now(), request)
        assert verify_request(request, NODE).signed(b64decode(said["signature"]), statement)
        if self.broken is not None:
            raise self.broken
        pem = self.give.issue(request, NODE, self.clock.now(), days=self.days)
        return 201, "application/json", json.dumps({"certificate": pem.decode()}).encode()

    def to_renewal(self) -> None:
        """Two thirds are over."""
        self.clock.advance(renews_at(self.certificate.period) - self.clock.now())


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    """A node in its folder."""
    return Scene(tmp_path)


def test_it_is_renewed_at_two_thirds() -> None:
    """Lifetime and moment are the certificate's own."""
    assert renews_at(Period(1000, 4000)) == 3000


async def test_a_renewal_keeps_the_key_and_the_certificate_before(scene: Scene) -> None:
    """One request when it is due, the new certificate shown at once, the old one beside it."""
    before = (scene.folder / "tls.pem").read_bytes()
    scene.clock.advance(renews_at(scene.certificate.period) - scene.clock.now() - 1)
    await scene.certificate.look()
    assert scene.asked == 0
    scene.clock.advance(1)
    await scene.certificate.look()
    await scene.certificate.look()
    assert (scene.asked, scene.wire.reloads, scene.wire.changed) == (1, 1, 0)
    after = (scene.folder / "tls.pem").read_bytes()
    assert certificate_spki(after) == certificate_spki(before) == scene.files.spki()
    assert (scene.folder / "tls.pem.before").read_bytes() == before
    assert scene.certificate.period == scene.files.period()
    assert scene.certificate.period.ends > scene.clock.now() + 364 * DAY
    assert scene.certificate.alarms() == []


@pytest.mark.parametrize("wrong", ["another authority", "a shorter life", "nonsense", "refused", "not there"])
async def test_a_wrong_answer_changes_nothing_and_is_told(scene: Scene, wrong: str) -> None:
    """It asks again after a pause that grows, tells people at the third failure, and is well once it succeeds."""
    before = (scene.folder / "tls.pem").read_bytes()
    scene.to_renewal()
    if wrong == "another authority":
        scene.give = Authority.create("KZ", scene.clock.now())
    elif wrong == "a shorter life":
        scene.days = 1.0
    elif wrong == "not there":
        scene.broken = Unavailable("outbound.unreachable", "the registry does not answer")
    answers = {"nonsense": (201, b"[]"), "refused": (403, b'{"code": "certificate.revoked"}')}
    good = scene.post
    if wrong in answers:
        status, body = answers[wrong]

        async def answer(*_: object) -> tuple[int, str, bytes]:
            scene.asked += 1
            return status, "", body

        scene.certificate._place = replace(scene.certificate._place, post=answer)
    waits = []
    for failure in range(1, TELL_AFTER + 1):
        assert scene.certificate.alarms() == []
        await scene.certificate.look()
        await scene.certificate.look()
        assert scene.asked == failure
        waits.append(scene.certificate._again - scene.clock.now())
        scene.clock.advance(waits[-1])
    assert waits == sorted(set(waits))
    (alarm,) = scene.certificate.alarms()
    assert alarm.code == "certificate.not-renewed"
    assert scene.certificate.facts()["failure"] is not None
    assert (scene.folder / "tls.pem").read_bytes() == before
    assert scene.wire.reloads == 0
    scene.certificate._place = replace(scene.certificate._place, post=good)
    scene.give, scene.days, scene.broken = scene.authority, 365.0, None
    await scene.certificate.look()
    assert scene.certificate.alarms() == []
    assert scene.certificate.period.ends > scene.clock.now() + 364 * DAY


def test_a_certificate_that_is_none_is_named(scene: Scene) -> None:
    """Before the node starts, with what to do about it."""
    scene.files.certificate.write_text("no certificate")
    with pytest.raises(Malformed, match="is not a certificate"):
        scene.open()
    scene.files.certificate.unlink()
    with pytest.raises(Malformed, match="have the registry certify"):
        scene.open()


async def test_one_that_is_due_as_soon_as_it_comes_is_not_asked_for_without_end(scene: Scene) -> None:
    """The registry's clock is far behind, say: it is taken, for it is better than the last, and a minute goes by."""
    scene.to_renewal()
    scene.clock.advance(60 * DAY)
    scene.give = LateAuthority(scene.authority, 300 * DAY)
    await scene.certificate.look()
    await scene.certificate.look()
    assert scene.asked == 1
    assert renews_at(scene.certificate.period) <= scene.clock.now()
    scene.clock.advance(60_000)
    await scene.certificate.look()
    assert scene.asked == 2


def test_pauses_grow_and_leave_attempts_before_the_end() -> None:
    """An hour at most; of a short rest an eighth."""
    assert [pause(n, 365 * DAY) for n in (1, 2, 3)] == [10.0, 20.0, 40.0]
    assert pause(40, 365 * DAY) == LONGEST_PAUSE
    assert pause(40, 80_000) == 10.0
    assert pause(40, 1000) == 1.0
    assert pause(1, -DAY) == 10.0
    assert pause(40, -DAY) == 15.0


async def test_a_key_is_changed_once_it_is_named_for_long_enough(scene: Scene) -> None:
    """Made, named, certified, shown; links of before are followed until there are none."""
    old, new = scene.files.spki(), scene.files.make_next()
    assert new == scene.files.make_next() != old
    assert NodeIdentity.read(scene.folder).next_tls == new
    await scene.certificate.look()
    assert (scene.asked, scene.certificate.known) == (0, {old, new})
    scene.names.add(new)
    await scene.certificate.look()
    assert (scene.asked, scene.files.has_next_certificate()) == (1, True)
    scene.clock.advance(59_999)
    await scene.certificate.look()
    assert scene.files.spki() == old
    scene.wire.left = 2
    scene.clock.advance(1)
    await scene.certificate.look()
    assert (scene.files.spki(), certificate_spki((scene.folder / "tls.pem").read_bytes())) == (new, new)
    assert (scene.asked, scene.wire.changed, scene.wire.reloads) == (1, 1, 1)
    named = NodeIdentity.read(scene.folder)
    assert (named.tls, named.next_tls) == (new, None)
    assert scene.certificate.known == {old, new}
    assert scene.certificate.facts()["links_of_old_key"] == 2
    scene.wire.left = 0
    await scene.certificate.look()
    assert scene.certificate.facts()["links_of_old_key"] == 0


async def test_a_key_that_is_not_named_any_more_waits_anew(scene: Scene) -> None:
    """Who takes it back has all the time again."""
    new = scene.files.make_next()
    scene.names.add(new)
    await scene.certificate.look()
    scene.clock.advance(30_000)
    scene.names.clear()
    await scene.certificate.look()
    scene.names.add(new)
    await scene.certificate.look()
    scene.clock.advance(59_999)
    await scene.certificate.look()
    assert scene.files.spki() != new


def test_a_change_of_key_cut_short_is_finished_at_the_next_start(scene: Scene) -> None:
    """The certificate has its place, the key not yet: no node starts with a pair that does not match."""
    new = scene.files.make_next()
    with pytest.raises(Conflict):
        scene.files.take_next()
    request = certificate_request(scene.files.next_key(), NODE)
    scene.files.put_next(scene.authority.issue(request, NODE, scene.clock.now()))
    (scene.folder / "tls.next.pem").replace(scene.folder / "tls.pem")
    scene.open()
    assert scene.files.spki() == certificate_spki((scene.folder / "tls.pem").read_bytes()) == new
    assert NodeIdentity.read(scene.folder).tls == new
    assert not list(scene.folder.glob("tls.next.*"))
    scene.open()
    LinkTls(scene.files.certificate, scene.files.key_file, lambda: [scene.authority.certificate_pem.decode()]).server()


def shown(context: ssl.SSLContext) -> bytes:
    """The certificate that a context shows, by a handshake in memory."""
    client_context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client_context.check_hostname, client_context.verify_mode = False, ssl.CERT_NONE
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = context.wrap_bio(to_server, to_client, server_side=True)
    client = client_context.wrap_bio(to_client, to_server)
    for _ in range(4):
        for side in (client, server):
            try:
                side.do_handshake()
            except ssl.SSLError:
                continue
    found = client.getpeercert(binary_form=True)
    assert found is not None
    return ssl.DER_cert_to_PEM_cert(found).encode()


def test_the_edge_takes_up_other_files_and_keeps_what_works(tmp_path: Path, scene: Scene) -> None:
    """The next connection sees them; a pair that does not match is refused whole, and the old one still shown."""
    files = EdgeFiles(certificate=tmp_path / "edge.pem", key=tmp_path / "edge.key", ca=None)

    def put() -> bytes:
        key = generate_key()
        pem = scene.authority.issue(certificate_request(key, NODE), NODE, scene.clock.now())
        files.key.write_bytes(key_pem(key))
        files.certificate.write_bytes(pem)
        return pem

    first = put()
    edge = EdgeTls(files)
    context = edge.context()
    assert context is not None
    assert shown(context) == edge.certificate() == first
    assert not edge.reload()
    second = put()
    assert edge.reload()
    assert edge.context() is context
    assert shown(context) == edge.certificate() == second
    files.key.write_bytes(key_pem(generate_key()))
    with pytest.raises(Exception, match="cannot be loaded"):
        edge.reload()
    assert shown(context) == second
    third = put()
    assert edge.reload()
    assert shown(context) == third
    assert EdgeTls(None).context() is None
