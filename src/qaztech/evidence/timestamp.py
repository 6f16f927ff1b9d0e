"""Trusted timestamps: a time-stamping authority's word that a note existed (RFC 3161; docs/formats/timestamp.md).

The imprint is SHA-256 of the exact bytes of a note with its signatures. What is kept and put in receipts is the bare
token (a CMS `ContentInfo`), as archives keep it; it verifies against certificates from the anchor and nothing else. Not
here: how a request reaches the authority. The development authority stands in `dev_tsa`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC
from typing import Final

from cryptography.x509 import BasicConstraints, Certificate, ExtensionNotFound, load_der_x509_certificate
from rfc3161_client import (
    HashAlgorithm,
    TimestampRequestBuilder,
    TimeStampResponse,
    VerifierBuilder,
    decode_timestamp_response,
)

from qaztech.core.errors import Malformed, Untrusted
from qaztech.evidence.der import integer, sequence

REQUEST_TYPE: Final = "application/timestamp-query"
REPLY_TYPE: Final = "application/timestamp-reply"
MAX_TOKEN: Final = 64 * 1024
_GRANTED: Final = sequence(integer(0))  # PKIStatusInfo


@dataclass(frozen=True, slots=True)
class TimestampRequest:
    """A request for a timestamp of one note: the bytes to send, and the nonce the answer must repeat."""

    note: bytes
    nonce: int
    data: bytes


def timestamp_request(note: bytes) -> TimestampRequest:
    """Ask for a timestamp over these bytes, with a fresh nonce and the authority's certificate in the token."""
    built = TimestampRequestBuilder(data=note, hash_algorithm=HashAlgorithm.SHA256).build()
    if built.nonce is None:
        raise Untrusted("timestamp.nonce", "no nonce was made")
    return TimestampRequest(note, built.nonce, built.as_bytes())


class Authorities:
    """The time-stamping authorities that count: self-signed certificates (DER), an authority's own or its root's."""

    def __init__(self, certificates: Iterable[bytes]) -> None:
        self._roots: list[Certificate] = [_certificate(data) for data in certificates]

    def __bool__(self) -> bool:
        return bool(self._roots)

    def accept(self, request: TimestampRequest, answer: bytes) -> bytes:
        """The token in an authority's answer (a `TimeStampResp`), verified for this request; raises `Untrusted`."""
        response = _decode(answer)
        if response.status != 0:
            why = ", ".join(response.status_string)[:200]
            raise Untrusted("timestamp.refused", f"the authority did not grant a timestamp: {response.status} {why}")
        token = response.time_stamp_token()
        self._verify(token, request.note, request.nonce)
        return token

    def verify(self, token: bytes, note: bytes) -> int:
        """The time (milliseconds) at which one of these authorities saw the note; raises `Malformed` or `Untrusted`."""
        return self._verify(token, note, None)

    def _verify(self, token: bytes, note: bytes, nonce: int | None) -> int:
        failure = Untrusted("timestamp.untrusted", "no time-stamping authority is trusted here")
        if len(token) > MAX_TOKEN:
            raise Malformed("timestamp.malformed", f"a timestamp token has at most {MAX_TOKEN} bytes")
        for root in self._roots:
            # A token as the answer that brought it: the library reads no bare ones.
            response = _decode(sequence(_GRANTED, token))
            # An authority that is trusted by itself signs with exactly that certificate: the library looks for the
            # purpose in the certificate that came along, and would verify with the trusted one of the same number.
            own = None if _issues(root) else root
            verifier = VerifierBuilder(roots=[root], tsa_certificate=own, nonce=nonce).build()
            try:
                verifier.verify_message(response, note)
                return int(response.tst_info.gen_time.replace(tzinfo=UTC).timestamp() * 1000)
            except Exception as exc:  # noqa: BLE001 - what comes along in a token is parsed late, and fails in many ways
                failure = Untrusted("timestamp.untrusted", f"the timestamp does not verify: {str(exc)[:200]}")
                failure.__cause__ = exc
        raise failure


def _decode(answer: bytes) -> TimeStampResponse:
    if len(answer) > MAX_TOKEN + 4096:
        raise Malformed("timestamp.malformed", "the answer is longer than any timestamp")
    try:
        return decode_timestamp_response(answer)
    except (ValueError, TypeError) as exc:
        raise Malformed("timestamp.malformed", f"not a timestamp (RFC 3161): {str(exc)[:200]}") from exc


def _certificate(data: bytes) -> Certificate:
    try:
        return load_der_x509_certificate(data)
    except ValueError as exc:
        raise Malformed("timestamp.certificate", "an authority's certificate is not X.509 in DER") from exc


def _issues(certificate: Certificate) -> bool:
    """Whether the certificate is one that issues others."""
    try:
        return certificate.extensions.get_extension_for_class(BasicConstraints).value.ca
    except (ExtensionNotFound, ValueError):
        return False
