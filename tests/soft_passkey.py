"""An authenticator in software: makes passkeys and signs with them as a security key would, or wrongly when told to."""

from __future__ import annotations

import os
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from fido2.cose import ES256
from fido2.utils import sha256, websafe_decode, websafe_encode
from fido2.webauthn import Aaguid, AttestationObject, AttestedCredentialData, AuthenticatorData, CollectedClientData

PRESENT, VERIFIED, ATTESTED = 0x01, 0x04, 0x40


class SoftPasskey:
    """One passkey. `origin`, `flags`, `count` and `handle` can be set to what no honest device would say."""

    def __init__(self, origin: str) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.id = os.urandom(32)
        self.origin = origin
        self.cross_origin = False
        self.flags = PRESENT | VERIFIED
        self.count = 0
        self.handle = b""

    def create(self, options: dict[str, Any]) -> dict[str, Any]:
        """The answer to `navigator.credentials.create`."""
        self.handle = websafe_decode(options["user"]["id"])
        data = AttestedCredentialData.create(
            Aaguid(bytes(16)), self.id, ES256.from_cryptography_key(self.key.public_key())
        )
        auth = AuthenticatorData.create(sha256(options["rp"]["id"].encode()), self.flags | ATTESTED, self.count, data)
        client = self._client("webauthn.create", options)
        answer = {"attestationObject": websafe_encode(AttestationObject.create("none", auth, {})),
                  "clientDataJSON": websafe_encode(client)}  # fmt: skip
        return self._credential(answer)

    def get(self, options: dict[str, Any]) -> dict[str, Any]:
        """The answer to `navigator.credentials.get`."""
        self.count += 1
        auth = AuthenticatorData.create(sha256(options["rpId"].encode()), self.flags, self.count)
        client = self._client("webauthn.get", options)
        signature = self.key.sign(auth + client.hash, ec.ECDSA(hashes.SHA256()))
        answer = {"authenticatorData": websafe_encode(auth), "clientDataJSON": websafe_encode(client),
                  "signature": websafe_encode(signature), "userHandle": websafe_encode(self.handle)}  # fmt: skip
        return self._credential(answer)

    def _client(self, kind: str, options: dict[str, Any]) -> CollectedClientData:
        challenge = websafe_decode(options["challenge"])
        return CollectedClientData.create(kind, challenge, self.origin, cross_origin=self.cross_origin)

    def _credential(self, response: dict[str, str]) -> dict[str, Any]:
        id_ = websafe_encode(self.id)
        return {"id": id_, "rawId": id_, "type": "public-key", "response": response, "clientExtensionResults": {}}
