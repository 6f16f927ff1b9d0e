"""What the registry accepts from members, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from qaztech.core.errors import Conflict, Error, Malformed, NotFound, Untrusted
from qaztech.core.ids import MemberId
from qaztech.evidence.note import ED25519, VerifierKey
from qaztech.registry.admission import Registry
from qaztech.registry.authoring import close_log, revise, rotate_key, with_log, with_node, with_service
from qaztech.registry.forms import Names
from qaztech.registry.member_file import Closed, MemberStatement, PageReference, log_origin, sign_statement
from qaztech.trust.keys import Ed25519Key
from registry_country import Country, MemberDesk, names, seed

replace = msgspec.structs.replace
PAGE = PageReference(first="", sha256="ab" * 32, length=1)


@pytest.fixture
def provider(country: Country) -> MemberDesk:
    """A member with an accepted file and a service."""
    desk = country.new_member(1, "provider")
    country.add_service(desk, "countries")
    return country.admit(desk)


def refused(country: Country, desk: MemberDesk, statement: MemberStatement, key: Ed25519Key | None = None) -> Error:
    """The error this statement meets."""
    with pytest.raises(Error) as caught:
        country.registry.accept_member_file(sign_statement(statement, key or desk.key))
    return caught.value


def test_admission_is_by_lineage(country: Country, provider: MemberDesk) -> None:
    """A member is admitted once; under a new lineage it begins anew, and its old file is void."""
    with pytest.raises(Conflict):
        country.registry.admit(provider.id, provider.lineage, names("x"))
    with pytest.raises(Conflict, match="instance"):
        country.registry.admit(MemberId("EE", "GOV", "1"), provider.lineage, names("x"))
    with pytest.raises(Malformed):
        country.registry.admit(provider.id, "ab", names("x"))
    again = country.new_member(1, "provider", seed_="lost the key")
    country.registry.admit(again.id, again.lineage, names("x"))
    assert country.registry.members()[str(provider.id)] == (again.lineage, False, 0)
    error = refused(country, provider, revise(provider.statement, country.clock.now()))
    assert error.code == "member-file.lineage"
    country.registry.accept_member_file(again.file())


def test_a_member_takes_no_name_that_looks_like_anothers(country: Country, provider: MemberDesk) -> None:
    """The operator saw the names that were admitted; later ones may be new, but nobody else's."""
    other = country.admit(country.new_member(2, "kota"))
    revised = revise(provider.statement, country.clock.now())
    for name in ("Кота", "K.OTA", "кotа"):
        alike = replace(revised, names=Names(kk=name, ru="другое", en="other"))
        assert refused(country, provider, alike).code == "registry.name"
    provider.statement = replace(revised, names=names("Каратал"))
    country.registry.accept_member_file(provider.file())
    other.statement = replace(revise(other.statement, country.clock.now()), names=names("Каратал"))
    assert refused(country, other, other.statement).code == "registry.name"


def test_a_stranger_is_refused(country: Country) -> None:
    """Only who was admitted can send a file, a page or a request."""
    desk = country.new_member(3, "stranger")
    with pytest.raises(NotFound):
        country.registry.accept_member_file(desk.file())
    for act in (country.registry.suspend, country.registry.resume):
        with pytest.raises(NotFound):
            act(desk.id)
    with pytest.raises(NotFound):
        country.registry.may_have_certificate(desk.node)


def test_versions_only_rise(country: Country, provider: MemberDesk) -> None:
    """A lower version is refused, and another file of the same one; the very same file again changes nothing."""
    assert country.registry.accept_member_file(provider.file()).version == provider.statement.version
    now = country.clock.now()
    other = revise(provider.statement, now, version=provider.statement.version)
    country.clock.advance(1)
    assert refused(country, provider, revise(other, now + 1, version=other.version)).code == "member-file.version"
    country.registry.accept_member_file(sign_statement(revise(provider.statement, now, version=9), provider.key))
    assert refused(country, provider, revise(provider.statement, now, version=8)).code == "member-file.version"


def test_a_file_is_of_its_time(country: Country, provider: MemberDesk) -> None:
    """From the future, or expired: not now."""
    now = country.clock.now()
    assert refused(country, provider, revise(provider.statement, now + 120_000)).code == "member-file.time"
    old = revise(provider.statement, now - 366 * 86_400_000)
    assert refused(country, provider, old).code == "member-file.time"


def test_keys_are_followed(country: Country, provider: MemberDesk) -> None:
    """A rotation introduced by the key before is accepted; then only the new key signs."""
    now, new = country.clock.now(), Ed25519Key.from_seed(seed("new"))
    old, before = provider.key, provider.statement
    with pytest.raises(Conflict):
        rotate_key(before, new, old.public, now)
    rotated = rotate_key(before, old, new.public, now)
    assert refused(country, provider, rotated, old).code == "envelope.signature"
    country.registry.accept_member_file(sign_statement(rotated, new))
    other = rotate_key(before, old, Ed25519Key.from_seed(seed("other")).public, now)
    error = refused(country, provider, revise(other, now, version=7), Ed25519Key.from_seed(seed("other")))
    assert error.code == "member-file.lineage"
    assert refused(country, provider, revise(before, now, version=8), old).code == "member-file.lineage"
    country.registry.accept_member_file(sign_statement(revise(rotated, now), new))


def test_tls_keys_and_logs_belong_to_one_node(country: Country, provider: MemberDesk) -> None:
    """Another member's TLS key or log under a name of one's own is refused."""
    other = country.new_member(2, "other")
    country.registry.admit(other.id, other.lineage, names("other"))
    stolen = replace(other.statement, nodes=(replace(other.statement.nodes[0], tls=provider.statement.nodes[0].tls),))
    assert refused(country, other, stolen).code == "registry.tls"
    log = replace(provider.statement.logs[0], node=str(other.node))
    assert refused(country, other, replace(other.statement, logs=(log,))).code == "registry.log"


def test_a_node_of_another_is_shared_as_its_owner_says(country: Country, provider: MemberDesk) -> None:
    """A village without a server room names the district's node, TLS key and log, exactly as the district does."""
    village = country.new_member(2, "village")
    country.registry.admit(village.id, village.lineage, names("village"))
    line, log = provider.statement.nodes[0], provider.statement.logs[0]
    shared = replace(village.statement, nodes=(line,), logs=(log,))
    wrong_tls = replace(shared, nodes=(replace(line, tls=village.statement.nodes[0].tls),))
    assert refused(country, village, wrong_tls).code == "registry.node"
    key = VerifierKey.of(log_origin("KZ", village.log_key.public), ED25519, village.log_key.public)
    foreign = with_log(replace(shared, logs=()), provider.node, [key], country.clock.now())
    assert refused(country, village, foreign).code == "registry.log"
    country.registry.accept_member_file(sign_statement(shared, village.key))
    country.publish()
    client, _ = country.client(village)
    configuration = client.refresh()
    now = country.clock.now()
    entry = configuration.log(provider.origin)
    assert entry is not None
    assert entry.members == {provider.id, village.id}
    assert entry.speaks_for(village.id, now)
    assert configuration.nodes_of(village.id) == configuration.nodes_of(provider.id)
    assert configuration.nodes_of(village.id)[0].members == {provider.id, village.id}
    # The village leaves with its receipts: its own word is enough.
    country.clock.advance(5000)
    now = country.clock.now()
    left = close_log(revise(shared, now), provider.origin, until=now)
    country.registry.accept_member_file(sign_statement(left, village.key))
    country.publish()
    entry = client.refresh().log(provider.origin)
    assert entry is not None
    assert not entry.speaks_for(village.id, now)
    assert entry.speaks_for(village.id, now - 1)
    assert entry.speaks_for(provider.id, now)


def test_a_closed_log_stays_closed(country: Country, provider: MemberDesk) -> None:
    """Who closed a log cannot say otherwise later; a new one continues it."""
    now = country.clock.now()
    closed = close_log(revise(provider.statement, now), provider.origin, until=now, closed=(5, bytes(32)))
    key = Ed25519Key.from_seed(seed("next log"))
    vkey = VerifierKey.of(log_origin("KZ", key.public), ED25519, key.public)
    closed = with_log(closed, provider.node, [vkey], now, continues=provider.origin)
    country.registry.accept_member_file(sign_statement(closed, provider.key))
    country.publish()
    client, _ = country.client(provider)
    configuration = client.refresh()
    assert configuration.log(provider.origin).closed == Closed(size=5, root="A" * 43 + "=")
    assert configuration.nodes_of(provider.id)[0].origins == (vkey.name,)
    again = revise(closed, now)
    again = replace(again, logs=(replace(again.logs[0], closed=None, until=None), again.logs[1]))
    assert refused(country, provider, again).code == "registry.log"
    with pytest.raises(NotFound):
        close_log(closed, "kz.qaztech.example/log/" + "0" * 20, until=now)


def test_rights_pages_come_first_and_are_for_their_service(country: Country, provider: MemberDesk) -> None:
    """A file that names a page the registry has not seen, or another service's page, is refused."""
    now, service = country.clock.now(), provider.service("main", "countries")
    missing = PageReference(first="", sha256="ab" * 32, length=10)
    statement = with_service(revise(provider.statement, now), service, names("x"), rights=[missing])
    assert refused(country, provider, statement).code == "rights-page.missing"
    page = provider.rights[service].pages(2)[0]
    country.registry.accept_rights_page(page.data)
    other = with_service(
        revise(provider.statement, now), provider.service("main", "b"), names("x"), rights=[page.reference]
    )
    assert refused(country, provider, other).code == "rights-page.service"
    longer = replace(page.reference, length=page.reference.length + 1)
    statement = with_service(revise(provider.statement, now), service, names("x"), rights=[longer])
    assert refused(country, provider, statement).code == "rights-page.missing"


def test_pages_no_longer_named_are_forgotten(country: Country, provider: MemberDesk) -> None:
    """The registry keeps what is in force; the published files stay for old snapshots."""
    service = provider.service("main", "countries")
    for path in ("GET /a", "GET /b"):
        country.grant(provider, service, provider.subsystem("main"), provider.lineage, path)
    assert len(country.store.pages()) == 1
    assert len(list((country.published / "targets/rights").iterdir())) == 2


def test_suspension_is_said_once(country: Country, provider: MemberDesk) -> None:
    """A member that is suspended cannot be suspended, nor have certificates."""
    country.registry.suspend(provider.id)
    with pytest.raises(Conflict):
        country.registry.suspend(provider.id)
    with pytest.raises(Conflict):
        country.registry.may_have_certificate(provider.node)
    country.registry.resume(provider.id)
    country.registry.may_have_certificate(provider.node)
    with pytest.raises(Malformed):
        country.registry.revoke_tls(b"short")
    with pytest.raises(NotFound):
        country.registry.content("rights/none.json")


def test_the_registry_starts_again_as_it_was(country: Country, provider: MemberDesk) -> None:
    """Its store is the truth: members, suspensions, keys of logs."""
    country.registry.suspend(provider.id)
    again = Registry(instance="KZ", store=country.store, settings=country.registry._settings, clock=country.clock)
    assert again.members() == country.registry.members()
    assert again.targets() == country.registry.targets()
    assert [str(key) for key in again.log_keys(provider.origin)] == list(provider.statement.logs[0].vkeys)
    assert again.log_keys("kz.qaztech.example/log/" + "0" * 20) == ()


@pytest.mark.parametrize(
    "change",
    [
        lambda s: replace(s, type="qaztech-member-file 2"),
        lambda s: replace(s, version=0),
        lambda s: replace(s, member="KZ/GOV"),
        lambda s: replace(s, member="KZ/GOV/9913400000%317"),
        lambda s: replace(s, lineage="AB" * 32),
        lambda s: replace(s, names=names("")),
        lambda s: replace(s, names=names("a\nb")),
        lambda s: replace(s, expires=s.issued),
        lambda s: replace(s, expires=s.issued + 400 * 86_400_000),
        lambda s: replace(s, issued=-1),
        lambda s: replace(s, nodes=s.nodes * 2),
        lambda s: replace(s, nodes=(replace(s.nodes[0], address="host"),)),
        lambda s: replace(s, nodes=(replace(s.nodes[0], address="host:99999"),)),
        lambda s: replace(s, nodes=(replace(s.nodes[0], tls="AA=="),)),
        lambda s: replace(s, nodes=(replace(s.nodes[0], id="KZ/GOV/1"),)),
        lambda s: replace(s, logs=s.logs * 2),
        lambda s: replace(s, logs=(replace(s.logs[0], origin="kz.qaztech.example/log/" + "0" * 20),)),
        lambda s: replace(s, logs=(replace(s.logs[0], vkeys=()),)),
        lambda s: replace(s, logs=(replace(s.logs[0], vkeys=s.logs[0].vkeys * 2),)),
        lambda s: replace(s, logs=(replace(s.logs[0], vkeys=("junk",)),)),
        lambda s: replace(s, logs=(replace(s.logs[0], until=s.logs[0].from_ - 1),)),
        lambda s: replace(s, logs=(replace(s.logs[0], continues=s.logs[0].origin),)),
        lambda s: replace(s, logs=(replace(s.logs[0], closed=Closed(size=-1, root="A" * 43 + "=")),)),
        lambda s: replace(s, subsystems=s.subsystems * 2),
        lambda s: replace(s, subsystems=(replace(s.subsystems[0], code="a/b"),)),
        lambda s: replace(s, services=s.services * 2),
        lambda s: replace(s, services=(replace(s.services[0], id="KZ/GOV/1/main/x"),)),
        lambda s: replace(s, services=(replace(s.services[0], id=s.member + "/other/x"),)),
        lambda s: replace(s, services=(replace(s.services[0], disabled=""),)),
        lambda s: replace(
            s, services=(replace(s.services[0], rights=(PageReference(first="x", sha256="ab" * 32, length=1),)),)
        ),
        lambda s: replace(
            s, services=(replace(s.services[0], rights=(PageReference(first="", sha256="ab" * 32, length=0),)),)
        ),
    ],
)
def test_a_statement_has_one_form(country: Country, change: Callable[[MemberStatement], MemberStatement]) -> None:
    """Everything else is malformed, before any signature is looked at."""
    desk = country.new_member(1, "provider")
    country.add_service(desk, "countries")
    with pytest.raises(Malformed) as caught:
        sign_statement(change(desk.statement), desk.key)
    assert caught.value.code == "member-file.malformed"


def test_history_that_is_no_chain_is_untrusted(country: Country, provider: MemberDesk) -> None:
    """Rotations that do not follow each other, or come back to a key, prove nothing."""
    now, keys = country.clock.now(), [provider.key, *(Ed25519Key.from_seed(seed(str(n))) for n in range(2))]
    one = rotate_key(provider.statement, keys[0], keys[1].public, now)
    two = rotate_key(one, keys[1], keys[2].public, now)
    first, second = two.key_history
    for history in (
        (second,),
        (second, first),
        (first,),
        (first, replace(second, version=first.version)),
        (first, first),
    ):
        assert refused(country, provider, replace(two, key_history=history), keys[2]).code == "member-file.lineage"
    back = rotate_key(two, keys[2], keys[0].public, now)
    assert refused(country, provider, back, keys[0]).code == "member-file.lineage"
    forged = replace(two, key_history=(first, replace(second, signature=first.signature)))
    assert refused(country, provider, forged, keys[2]).code == "member-file.lineage"
    assert isinstance(refused(country, provider, replace(two, version=2), keys[2]), Untrusted)
    country.registry.accept_member_file(sign_statement(two, keys[2]))
    assert with_node(two, provider.node, "a:1", bytes(32)).nodes[0].address == "a:1"
