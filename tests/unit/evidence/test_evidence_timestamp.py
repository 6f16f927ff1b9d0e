"""Trusted timestamps: requests, tokens, what of a token is refused, and OpenSSL's opinion of ours."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier
from rfc3161_client import HashAlgorithm, TimestampRequestBuilder, decode_timestamp_response

from qaztech.core.errors import Conflict, Error, Malformed, NotFound, Untrusted
from qaztech.core.time import ManualClock
from qaztech.evidence.dev_tsa import POLICY, DevelopmentAuthority
from qaztech.evidence.timestamp import MAX_TOKEN, Authorities, timestamp_request

NOTE = b"kz.qaztech.example/log/0123456789abcdef0123\n5\nAAAA\n\n\xe2\x80\x94 a b\n"
START = 1_800_000_000_000


@pytest.fixture(scope="module")
def authority() -> DevelopmentAuthority:
    return DevelopmentAuthority.generate(ManualClock(START + 500))


@pytest.fixture(scope="module")
def trusted(authority: DevelopmentAuthority) -> Authorities:
    return Authorities([authority.certificate])


@pytest.fixture(scope="module")
def token(authority: DevelopmentAuthority, trusted: Authorities) -> bytes:
    request = timestamp_request(NOTE)
    return trusted.accept(request, authority.timestamp_reply(request.data))


def test_a_token_says_when_a_note_was_seen(trusted: Authorities, token: bytes) -> None:
    """Whole seconds of the authority's clock."""
    assert trusted.verify(token, NOTE) == START


def test_a_token_is_for_one_note(trusted: Authorities, token: bytes) -> None:
    """A note with one more signature line is another note."""
    with pytest.raises(Untrusted):
        trusted.verify(token, NOTE + "— c d\n".encode())


def test_an_answer_is_for_one_request(authority: DevelopmentAuthority, trusted: Authorities) -> None:
    """The nonce tells an old answer from one to this request."""
    old = authority.timestamp_reply(timestamp_request(NOTE).data)
    with pytest.raises(Untrusted, match="Nonce"):
        trusted.accept(timestamp_request(NOTE), old)


def test_only_authorities_of_the_anchor_count(token: bytes) -> None:
    """Neither none nor another one."""
    assert not Authorities([])
    for authorities in (Authorities([]), Authorities([DevelopmentAuthority.generate(ManualClock()).certificate])):
        with pytest.raises(Untrusted):
            authorities.verify(token, NOTE)


def test_one_of_several_authorities_is_enough(authority: DevelopmentAuthority, token: bytes) -> None:
    """The anchor may name more than one."""
    other = DevelopmentAuthority.generate(ManualClock()).certificate
    for certificates in ([other, authority.certificate], [authority.certificate, other]):
        assert Authorities(certificates).verify(token, NOTE) == START


def test_no_changed_byte_changes_what_is_said(trusted: Authorities, token: bytes) -> None:
    """A changed token is refused, or, where CMS signs nothing, says the same."""
    same = 0
    for place in range(len(token)):
        changed = bytearray(token)
        changed[place] ^= 0x04
        try:
            assert trusted.verify(bytes(changed), NOTE) == START
            same += 1
        except Error:
            pass
    assert same < 40


@pytest.mark.parametrize("junk", [b"", b"\x30", b"\x30\x00", b"\x30\x80\x00\x00", b"x" * 100, bytes(MAX_TOKEN + 1)])
def test_what_is_no_token_is_refused(trusted: Authorities, junk: bytes) -> None:
    """With an error of the project, whatever it is."""
    with pytest.raises(Error):
        trusted.verify(junk, NOTE)
    with pytest.raises(Error):
        trusted.accept(timestamp_request(NOTE), junk)


def test_a_certificate_that_is_none_is_malformed() -> None:
    """An anchor with junk among its authorities is not used."""
    with pytest.raises(Malformed):
        Authorities([b"junk"])


# The authority


@pytest.mark.parametrize("algorithm", list(HashAlgorithm))
@pytest.mark.parametrize("nonce", [True, False])
def test_usual_requests_are_granted(authority: DevelopmentAuthority, algorithm: HashAlgorithm, nonce: bool) -> None:
    """What clients ask for: SHA-256 or SHA-512, with a nonce or without."""
    request = TimestampRequestBuilder(data=NOTE, hash_algorithm=algorithm, nonce=nonce).build()
    answer = decode_timestamp_response(authority.timestamp_reply(request.as_bytes()))
    assert answer.status == 0
    assert answer.tst_info.nonce == request.nonce
    assert answer.tst_info.policy == ObjectIdentifier(POLICY)
    assert Authorities([authority.certificate]).verify(answer.time_stamp_token(), NOTE) == START


def changed_request(old: bytes, new: bytes) -> bytes:
    """A request with some bytes exchanged for as many others."""
    data = timestamp_request(NOTE).data
    assert len(old) == len(new)
    assert data.count(old) == 1
    return data.replace(old, new)


@pytest.mark.parametrize(
    ("request_", "bit"),
    [
        (b"", 5),
        (b"junk", 5),
        (timestamp_request(NOTE).data[:-1], 5),
        (changed_request(bytes.fromhex("0609608648016503040201"), bytes.fromhex("0609608648016503040204")), 0),
        (changed_request(b"\x02\x01\x01\x30", b"\x02\x01\x02\x30"), 2),
    ],
    ids=["nothing", "junk", "cut short", "another hash", "another version"],
)
def test_other_requests_are_refused_with_a_reason(
    authority: DevelopmentAuthority, trusted: Authorities, request_: bytes, bit: int
) -> None:
    """The refusal is an answer of the protocol, for people and for programs."""
    answer = authority.timestamp_reply(request_)
    assert decode_timestamp_response(answer).status == 2
    assert answer[-2 - bit // 8 :] == bytes([7 - bit, 0x80 >> bit])
    with pytest.raises(Untrusted, match="did not grant"):
        trusted.accept(timestamp_request(NOTE), answer)


def test_the_authority_is_kept_on_disk(authority: DevelopmentAuthority, tmp_path: Path) -> None:
    """Key and certificate come back; a key is not overwritten, and what is missing or mixed up is said."""
    with pytest.raises(NotFound):
        DevelopmentAuthority.load(tmp_path, ManualClock())
    authority.save(tmp_path)
    assert (tmp_path / "tsa-key.pem").stat().st_mode & 0o777 == 0o600
    assert DevelopmentAuthority.load(tmp_path, ManualClock()).certificate == authority.certificate
    with pytest.raises(Conflict):
        authority.save(tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    DevelopmentAuthority.generate(ManualClock()).save(other)
    (other / "tsa.pem").write_bytes((tmp_path / "tsa.pem").read_bytes())
    with pytest.raises(Malformed):
        DevelopmentAuthority.load(other, ManualClock())
    (other / "tsa-key.pem").write_bytes(b"junk")
    with pytest.raises(Malformed):
        DevelopmentAuthority.load(other, ManualClock())


def test_openssl_agrees(
    authority: DevelopmentAuthority, token: bytes, tmp_path: Path, program: Callable[[str], str]
) -> None:
    """A program nobody here wrote verifies our tokens and answers, and refuses them for another note."""
    openssl = program("openssl")
    authority.save(tmp_path)
    request = timestamp_request(NOTE)
    for name, data in {
        "note": NOTE, "other": NOTE + b"x", "token": token, "query": request.data,
        "answer": authority.timestamp_reply(request.data),
    }.items():  # fmt: skip
        (tmp_path / name).write_bytes(data)
    at = str(START // 1000)

    def verify(*arguments: str) -> bool:
        command = [openssl, "ts", "-verify", *arguments, "-attime", at, "-CAfile", "tsa.pem"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=50)
        return done.returncode == 0 and "Verification: OK" in done.stdout

    assert verify("-token_in", "-in", "token", "-data", "note")
    assert verify("-in", "answer", "-queryfile", "query")
    assert not verify("-token_in", "-in", "token", "-data", "other")


# Authorities under a root


def issued(
    *, start: int, days: int, usage: ObjectIdentifier = ExtendedKeyUsageOID.TIME_STAMPING, critical: bool = True
) -> tuple[bytes, DevelopmentAuthority]:
    """A root, and an authority whose certificate it issued."""
    root_key, key = generate_private_key(SECP256R1()), generate_private_key(SECP256R1())
    when = datetime.fromtimestamp(start // 1000, UTC)

    def builder(name: str, public: EllipticCurvePublicKey, ca: bool) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "root")]))
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(when)
            .not_valid_after(when + timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        )

    root = builder("root", root_key.public_key(), ca=True).sign(root_key, SHA256())
    leaf = builder("leaf", key.public_key(), ca=False).add_extension(x509.ExtendedKeyUsage([usage]), critical=critical)
    authority = DevelopmentAuthority(key=key, certificate=leaf.sign(root_key, SHA256()), clock=ManualClock(START))
    return root.public_bytes(Encoding.DER), authority


def stamped(authority: DevelopmentAuthority) -> bytes:
    return decode_timestamp_response(authority.timestamp_reply(timestamp_request(NOTE).data)).time_stamp_token()


def test_a_root_vouches_for_its_authorities() -> None:
    """With a root in the anchor, whoever it has certified for time-stamping counts."""
    root, authority = issued(start=START, days=1)
    assert Authorities([root]).verify(stamped(authority), NOTE) == START
    other_root, _ = issued(start=START, days=1)
    with pytest.raises(Untrusted):
        Authorities([other_root]).verify(stamped(authority), NOTE)


@pytest.mark.parametrize(
    "options",
    [
        {"usage": ExtendedKeyUsageOID.CODE_SIGNING},
        {"critical": False},
        {"start": START + 86_400_000},
        {"start": START - 3 * 86_400_000},
    ],
)
def test_a_certificate_for_something_else_does_not_count(options: dict[str, object]) -> None:
    """Another purpose, one that may be ignored, not yet valid, no longer valid."""
    root, authority = issued(**({"start": START, "days": 1} | options))  # type: ignore[arg-type]
    with pytest.raises(Untrusted):
        Authorities([root]).verify(stamped(authority), NOTE)
