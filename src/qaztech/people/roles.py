"""Roles and scopes: which role may do what. The table is the builder's; here is what every such table must be.

A scope is `thing:read` or `thing:write`. A role is a name; it has the scopes its table gives it and no others. Names of
the roles in use are here so that commands know them; what each may do stands with the application that asks.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from qaztech.core.errors import Malformed

REGISTRY_ROLES = ("registry-operator", "auditor", "analyst")
CENTRE_ROLES = ("analyst", "auditor", "administrator")
MEMBER_ROLES = ("administrator", "service-owner", "developer")

RoleScopes = Mapping[str, frozenset[str]]

_SCOPE = re.compile(r"[a-z][a-z0-9-]{0,40}:(?:read|write)\Z", re.ASCII)
_ROLE = re.compile(r"[a-z][a-z0-9-]{0,40}\Z", re.ASCII)


def allowed(roles: RoleScopes, role: str, scope: str) -> bool:
    """Whether a role has a scope. Neither an unknown role nor an unknown scope ever has."""
    return scope in roles.get(role, frozenset())


def scopes_of(roles: RoleScopes, held: Iterable[str]) -> frozenset[str]:
    """All that somebody with these roles may do."""
    return frozenset().union(*(roles.get(role, frozenset()) for role in held))


def check_table(roles: RoleScopes) -> None:
    """Refuse a table with names that are none. Raises `Malformed`."""
    for role, scopes in roles.items():
        if not _ROLE.match(role):
            raise Malformed("role.malformed", f"not the name of a role: {role[:50]!r}", at="caller")
        check_scopes(scopes)


def check_scopes(scopes: Iterable[str]) -> frozenset[str]:
    """These scopes, each well-formed. Raises `Malformed`."""
    found = frozenset(scopes)
    for scope in found:
        if not _SCOPE.match(scope):
            raise Malformed(
                "scope.malformed", f"a scope is `thing:read` or `thing:write`, not {scope[:60]!r}", at="caller"
            )
    return found


def check_roles(known: Iterable[str], held: Iterable[str]) -> tuple[str, ...]:
    """These roles, sorted, each one that there is. Raises `Malformed`."""
    found = tuple(sorted(set(held)))
    names = sorted(known)
    unknown = [role for role in found if role not in names]
    if unknown:
        raise Malformed(
            "role.unknown", f"there is no role {unknown[0][:50]!r} here; there are {', '.join(names)}", at="caller"
        )
    return found
