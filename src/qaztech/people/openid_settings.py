"""The settings of an OpenID provider as they stand in a console's settings file, as the table `[openid]`.

    [openid]
    issuer = "https://login.example.kz/realms/state"
    client_id = "qaztech-registry"
    client_secret_file = "openid.secret"
    name = "eGov"
    role_claim = "realm_access.roles"
    create_accounts = true
    [openid.role_map]
    qaztech-auditors = "auditor"

Without an issuer there is no provider, and people have accounts of the console alone.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from qaztech.core.errors import Malformed, NotFound
from qaztech.people.oidc import CALLBACK, OutboundFetcher, Provider, ProviderSettings
from qaztech.people.people import People

_MAX_SECRET = 4096


class OpenIdSettings(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """The table `[openid]`. The secret stands in a file of its own, relative to the settings file."""

    issuer: str = ""
    client_id: str = ""
    client_secret_file: str = ""
    name: str = "OpenID"
    scopes: tuple[str, ...] = ("openid", "profile")
    name_claim: str = "preferred_username"
    role_claim: str = ""
    role_map: dict[str, str] = {}
    create_accounts: bool = False

    def provider(self, people: People, *, origin: str, beside: Path) -> Provider | None:
        """The provider of a console at `origin` whose settings file lies in the folder `beside`; None without issuer.

        Raises `Malformed`, for a role too that the console does not have, and `NotFound` for the secret's file.
        """
        if not self.issuer:
            return None
        unknown = sorted(set(self.role_map.values()) - set(people.roles))
        if unknown:
            raise Malformed("oidc.settings", f"role_map names a role that is not one of this console: {unknown[0]!r}")
        settings = ProviderSettings(
            issuer=self.issuer, client_id=self.client_id, client_secret=self._secret(beside), name=self.name,
            scopes=self.scopes, name_claim=self.name_claim, role_claim=self.role_claim, role_map=self.role_map,
            create_accounts=self.create_accounts,
        )  # fmt: skip
        return Provider(people, settings, redirect_uri=origin + CALLBACK, fetcher=OutboundFetcher())

    def _secret(self, beside: Path) -> str:
        if not self.client_secret_file:
            return ""
        path = beside / self.client_secret_file
        try:
            with path.open(encoding="utf-8") as file:
                return file.read(_MAX_SECRET).strip()
        except FileNotFoundError as exc:
            raise NotFound("settings.missing", f"there is no {path} with the client's secret") from exc
