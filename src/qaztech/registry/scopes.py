"""Who may do what at the registry: the one table, for pages and API alike.

The operator decides; the auditor sees everything and changes nothing; the analyst sees what is public in any case, in
one place. Not here: how people are known (`people.gate`).
"""

from __future__ import annotations

from qaztech.people.roles import RoleScopes

STATUS = "status:read"
MEMBERS, DECIDE_MEMBERS = "members:read", "members:write"
KEYS, DECIDE_KEYS = "certificates:read", "certificates:write"
# Applications hold contacts and who signed: personal data.
APPLICATIONS, DECIDE_APPLICATIONS = "applications:read", "applications:write"
ACTS = "acts:read"
PEOPLE, CHANGE_PEOPLE = "people:read", "people:write"

_PUBLIC = frozenset({STATUS, MEMBERS, KEYS})
_ALL_READ = _PUBLIC | {APPLICATIONS, ACTS, PEOPLE}

REGISTRY_SCOPES: RoleScopes = {
    "registry-operator": _ALL_READ | {DECIDE_MEMBERS, DECIDE_KEYS, DECIDE_APPLICATIONS, CHANGE_PEOPLE},
    "auditor": _ALL_READ,
    "analyst": _PUBLIC,
}
