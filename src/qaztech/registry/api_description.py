"""The description of the registry's HTTP API, OpenAPI 3.1: made here, served by it, kept in docs/reference.

One line for each call, in `_CALLS`; bodies are described from the structures that read them. A test compares it with
the routes of the running application and with the scopes that they ask for. Not here: the pages for people.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Any

import msgspec

from qaztech.people.acts import MOST_AT_ONCE
from qaztech.registry import scopes
from qaztech.registry.act_service import MAX_KIND
from qaztech.registry.api_schemas import Schema, many, ref, schemas
from qaztech.registry.joining import ShowcaseRequest, SubmissionRequest
from qaztech.registry.management import (
    CertificateRequest,
    DecisionRequest,
    MemberRequest,
    RevokeRequest,
    SuspendRequest,
)
from qaztech.registry.renewal import RenewalRequest

JSON, PROBLEM, TEXT = "application/json", "application/problem+json", "text/plain"
BINARY, PEM = "application/octet-stream", "application/x-pem-file"
_PARAMETER = re.compile(r"\{(\w+)\}")
_WHOLE_FILE: Schema = {"type": "object", "description": "A signed file of the configuration (The Update Framework)."}
_STRING: Schema = {"type": "string"}
_BODIES = (
    SubmissionRequest, ShowcaseRequest, RenewalRequest, MemberRequest, SuspendRequest, CertificateRequest,
    RevokeRequest, DecisionRequest,
)  # fmt: skip
_REFUSALS = {
    "400": "Not what this call takes",
    "401": "Nobody, or a token that has ended",
    "403": "Known, and may not; or not from there",
    "404": "There is none",
    "409": "The state has changed, or stands against it",
    "429": "Too often, or too much",
    "502": "A signature or a proof does not hold",
    "503": "A part that is needed does not answer now",
}
# Bodies that are not read as JSON by structures of this service, by how they are named in `_Call.body`.
_SIGNED = {"Envelope": JSON, "Enrolment": JSON, "RightsPage": JSON, "Checkpoint": TEXT}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Call:
    """One call: what it takes, what it answers, which refusals it knows; `scope` is None where it is open to anyone."""

    method: str
    path: str
    summary: str
    name: str
    scope: str | None = None
    body: str | type[msgspec.Struct] | None = None
    answer: Schema | None = None
    kind: str = JSON
    status: int = 200
    refusals: tuple[str, ...] = ()
    query: tuple[tuple[str, Schema, str], ...] = ()


def _get(path: str, summary: str, name: str, answer: Schema | None = None, **more: Any) -> _Call:
    return _Call(method="get", path=path, summary=summary, name=name, answer=answer, **more)


def _post(path: str, summary: str, name: str, answer: Schema | None = None, **more: Any) -> _Call:
    return _Call(method="post", path=path, summary=summary, name=name, answer=answer, **{"status": 201, **more})


_SENT = ("400", "403", "404", "409", "429", "502", "503")
_STATES = ("submitted", "admitted", "refused", "withdrawn")
_OPEN = (
    _get("/health", "Whether anything has been published", "health", ref("Ready")),
    _get("/metrics", "What the process counts, for programs on its machine", "metrics", kind=TEXT, refusals=("403",)),
    _get("/anchor", "Where checking begins (docs/formats/anchor.md)", "anchor", {"type": "object"}),
    _get("/directory", "Every member that is not suspended", "directory", ref("Directory"), refusals=("404",)),
    _get("/api/openapi.json", "This description", "description", {"type": "object"}),
    _get("/registry/metadata/{name}", "Metadata of the configuration", "metadata", _WHOLE_FILE, refusals=("404",)),
    _get("/registry/targets/{path}", "A target: member file, rights page, directory", "target", _WHOLE_FILE,
         refusals=("404",)),
    _get("/registry/descriptions/{name}", "The OpenAPI document of a service, by its hash", "apiDocument",
         {"type": "object"}, refusals=("404",)),
    _get("/registry/snapshots/{version}/proof", "The proof that a snapshot is in the registry's log", "snapshotProof",
         kind=TEXT, refusals=("404",)),
    _get("/registry/log/checkpoint", "The registry's log: its newest checkpoint", "logCheckpoint", kind=TEXT,
         refusals=("404",)),
    _get("/registry/log/{path}", "The registry's log: its tiles and entries (C2SP tlog-tiles)", "logTile", kind=BINARY,
         refusals=("404",)),
    _get("/registry/admin-log/acts", "The admin log for anyone: without names", "publicActs", ref("PublicActs"),
         refusals=("400",),
         query=(("kind", {"type": "string", "maxLength": MAX_KIND}, "Only acts whose kind begins so."),
                ("before", {"type": "integer", "minimum": 0, "maximum": 10**15 - 1}, "Only acts before this index."),
                ("limit", {"type": "integer", "minimum": 1, "maximum": MOST_AT_ONCE}, "At most so many."))),
    _get("/registry/admin-log/proofs/{index}", "The proof of an entry of the admin log, by its hash (C2SP tlog-proof)",
         "actProof", kind=TEXT, refusals=("404",)),
    _post("/certificates/renew", "A node renews its certificate", "renew", ref("Renewed"), body=RenewalRequest,
          refusals=_SENT),
    _post("/witness/add-checkpoint", "Cosign a checkpoint (C2SP tlog-witness)", "cosign", kind=TEXT, status=200,
          body="Checkpoint"),
    _get("/witness/{log}/checkpoint", "What the witness has seen of a log", "witnessed", kind=TEXT),
    _post("/members/applications", "Apply to join", "apply", ref("Application"), body="Envelope", refusals=_SENT),
    _get("/members/applications/{id}", "How an application stands, for who knows its id", "applicationState",
         ref("Application"), refusals=("404", "429")),
    _post("/members/applications/{id}/withdraw", "Take an application back", "withdraw", ref("Application"), status=200,
          refusals=("404", "409", "429", "503")),
    _post("/members/files", "Bring a member file with its rights pages", "submit", ref("Accepted"),
          body=SubmissionRequest, refusals=_SENT),
    _post("/members/showcases", "Bring what a member shows of its services", "show", ref("Accepted"),
          body=ShowcaseRequest, refusals=_SENT),
    _post("/nodes/grants", "A member lets a node enrol", "grant", ref("Granted"), body="Envelope", refusals=_SENT),
    _get("/nodes/grants/{token}", "What became of a grant", "granted", ref("Granted"), refusals=("404", "429")),
    _post("/nodes/enrolments", "A node proves its keys and gets its certificate", "enrol", kind=PEM, body="Enrolment",
          refusals=_SENT),
)  # fmt: skip
_MANAGED = (
    _get("/manage/status", "Snapshot, log, warnings, members, revoked keys", "status", ref("Status"),
         scope=scopes.STATUS),
    _get("/manage/acts", "The admin log, newest first", "acts", many(ref("Act")), scope=scopes.ACTS,
         refusals=("400", "429"),
         query=(("before", {"type": "integer", "minimum": 0, "maximum": 10**15 - 1}, "Only acts before this index."),
                ("limit", {"type": "integer", "minimum": 0, "maximum": MOST_AT_ONCE}, "At most so many."))),
    _post("/manage/members", "Admit a member without an application", "admit", ref("Admitted"), body=MemberRequest,
          scope=scopes.DECIDE_MEMBERS),
    _post("/manage/member-files", "Bring a member file", "bringFile", ref("Accepted"), body="Envelope",
          scope=scopes.DECIDE_MEMBERS),
    _post("/manage/rights-pages", "Bring a rights page that a member file will name", "bringPage", ref("Stored"),
          body="RightsPage", scope=scopes.DECIDE_MEMBERS),
    _post("/manage/suspend", "Suspend a member, or let it back", "suspend", ref("Suspended"), body=SuspendRequest,
          scope=scopes.DECIDE_MEMBERS, status=200),
    _post("/manage/certificates", "A certificate for a node", "certify", ref("Certified"), body=CertificateRequest,
          scope=scopes.DECIDE_KEYS),
    _post("/manage/revoke-tls", "Take a TLS key off the wire for good", "revoke", ref("Revoked"), body=RevokeRequest,
          scope=scopes.DECIDE_KEYS, status=200),
    _get("/manage/applications", "Applications, newest first", "applications", many(ref("Application")),
         scope=scopes.APPLICATIONS, refusals=("400",),
         query=(("state", {"type": "string", "enum": list(_STATES)}, "Only those that stand so."),)),
    _get("/manage/applications/{id}", "One application, with what is needed to decide", "application",
         ref("OpenedApplication"), scope=scopes.APPLICATIONS, refusals=("404",)),
    _post("/manage/applications/{id}", "Admit or refuse", "decide", ref("Application"), body=DecisionRequest,
          scope=scopes.DECIDE_APPLICATIONS, status=200),
)  # fmt: skip
_CALLS = (*_OPEN, *_MANAGED)


@cache
def describe_registry() -> Schema:
    """The whole description."""
    references, described = msgspec.json.schema_components(_BODIES, ref_template="#/components/schemas/{name}")
    bodies = dict(zip(_BODIES, references, strict=True))
    paths: dict[str, Schema] = {}
    for call in _CALLS:
        paths.setdefault(call.path, {})[call.method] = _operation(call, bodies)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "QazTech registry",
            "version": "1",
            "summary": "What nodes fetch, how organisations join, and what the registry's people decide.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "description": _BEARER}},
            "schemas": {**described, **schemas()},
        },
    }


_BEARER = (
    "An API token of a person, whose roles have the scope beside each call; or, on the registry's machine, the "
    "operator's token, which has every scope."
)


def _operation(call: _Call, bodies: dict[Any, Schema]) -> Schema:
    operation: Schema = {"operationId": call.name, "summary": call.summary, "responses": _responses(call)}
    parameters = [{"name": n, "in": "path", "required": True, "schema": _of(n)} for n in _PARAMETER.findall(call.path)]
    parameters += [
        {"name": name, "in": "query", "required": False, "schema": schema, "description": text}
        for name, schema, text in call.query
    ]
    if parameters:
        operation["parameters"] = parameters
    if call.scope is not None:
        operation |= {"description": f"Needs `{call.scope}`.", "x-scope": call.scope, "security": [{"token": []}]}
    if call.body is not None:
        operation["requestBody"] = {"required": True, "content": _content(call.body, bodies)}
    return operation


def _of(parameter: str) -> Schema:
    return {"type": "integer", "minimum": 0} if parameter == "version" else _STRING


def _content(body: str | type[msgspec.Struct], bodies: dict[Any, Schema]) -> Schema:
    if not isinstance(body, str):
        return {JSON: {"schema": bodies[body]}}
    kind = _SIGNED[body]
    return {kind: {"schema": ref(body) if kind == JSON else _STRING}}


def _responses(call: _Call) -> Schema:
    answer: Schema = {"description": "Done" if call.method == "post" else "What was asked for"}
    schema = call.answer or (_STRING if call.kind != BINARY else {"type": "string", "format": "binary"})
    answer["content"] = {call.kind: {"schema": schema}}
    responses = {str(call.status): answer}
    if call.path.startswith("/witness/"):
        return responses | _witness_refusals(call)
    known = set(call.refusals)
    if call.scope is not None:
        known |= {"401", "403", *(_SENT if call.method == "post" else ())}
    for status in sorted(known):
        problem = {PROBLEM: {"schema": ref("Problem")}}
        responses[status] = {"description": _REFUSALS[status], "content": problem}
    if call.path == "/health":
        responses["503"] = {"description": "Nothing yet", "content": {JSON: {"schema": ref("Ready")}}}
    return responses


def _witness_refusals(call: _Call) -> Schema:
    """As the protocol has them: words in plain text; a 409 may hold the size that was seen."""
    words: Schema = {TEXT: {"schema": _STRING}}
    found: Schema = {
        "404": {"description": "Not known here", "content": {**words, PROBLEM: {"schema": ref("Problem")}}}
    }
    if call.method == "post":
        found |= {
            "400": {"description": "Not such a request", "content": words},
            "403": {"description": "No signature of that log", "content": words},
            "409": {"description": "Seen: another size or root", "content": {**words, "text/x.tlog.size": words[TEXT]}},
            "422": {"description": "The proof does not hold", "content": words},
        }
    return found
