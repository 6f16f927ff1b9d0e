"""Who may do what at the support center: the one table, for pages and API alike.

The analyst works with what the centre knows; the auditor sees everything and changes nothing; the administrator gives
accounts and roles. Not here: how people are known (`people.gate`).
"""

from __future__ import annotations

from qaztech.people.roles import RoleScopes

OVERVIEW = "overview:read"
TRAFFIC = "traffic:read"
FINDINGS, DECIDE_FINDINGS = "findings:read", "findings:write"
OBJECTS, CHANGE_OBJECTS = "objects:read", "objects:write"
DELIVERIES = "deliveries:read"
# The register of AI systems: who reviews cards at the centre may write.
AI, REVIEW_AI = "ai:read", "ai:write"
ACTS = "acts:read"
PEOPLE, CHANGE_PEOPLE = "people:read", "people:write"

_READ = frozenset({OVERVIEW, TRAFFIC, FINDINGS, OBJECTS, DELIVERIES, AI})

HUB_ROLES: RoleScopes = {
    "analyst": _READ | {DECIDE_FINDINGS, CHANGE_OBJECTS, REVIEW_AI},
    "auditor": _READ | {ACTS, PEOPLE},
    "administrator": _READ | {ACTS, PEOPLE, CHANGE_PEOPLE},
}
