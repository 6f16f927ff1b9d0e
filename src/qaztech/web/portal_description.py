"""The description of the portal's API, OpenAPI 3.1: made here, served by it, kept in docs/reference/portal-api.json."""

from __future__ import annotations

from typing import Any

from qaztech.registry.search import MAX_QUERY

Schema = dict[str, Any]

_TEXT: Schema = {"type": "string"}
_WHOLE: Schema = {"type": "integer", "minimum": 0}
_TRUTH: Schema = {"type": "boolean"}
_TIME: Schema = {"type": "integer", "minimum": 0, "description": "Milliseconds since 1970."}


# What the filters of a search may be; a member class is any.
FILTERS = {
    "personal": ("yes", "no", "unknown"),
    "environment": ("production", "test", "unknown"),
    "type": ("REST", "OPENAPI"),
}


def _object(**properties: Schema) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _list(of: Schema) -> Schema:
    return {"type": "array", "items": of}


def _or_null(schema: Schema) -> Schema:
    return {"oneOf": [schema, {"type": "null"}]}


def _one_of(*values: str) -> Schema:
    return {"type": "string", "enum": list(values)}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _line() -> dict[str, Schema]:
    return {
        "id": _TEXT,
        "names": _ref("Names"),
        "type": _one_of("REST", "OPENAPI"),
        "disabled": _or_null(_TEXT),
        "member": _object(id=_TEXT, names=_ref("Names")),
        "environment": _or_null(_one_of("production", "test")),
        "personal": _or_null(_TRUTH),
    }


def _schemas() -> dict[str, Schema]:
    caller = _object(client=_TEXT, endpoints=_list(_TEXT), until=_or_null(_TIME), group=_or_null(_TEXT))
    system = _object(id=_TEXT, names=_ref("Names"), services=_list(_TEXT), calls=_list(_TEXT))
    counts: Schema = {"type": "object", "additionalProperties": _WHOLE}
    described = _object(sha256=_TEXT, length=_WHOLE, media=_TEXT)
    witness = _object(
        name=_TEXT, finding=_one_of("cosigned", "nothing", "silent", "bad", "forked"), size=_WHOLE, time=_TIME
    )
    log = _object(
        origin=_TEXT,
        kind={**_one_of("registry", "admin", "node"), "description": "Whose: the registry's two logs, or a node's."},
        member=_or_null(_TEXT),
        node=_or_null(_TEXT),
        closed=_TRUTH,
        finding=_one_of("signed", "wrong", "unreachable", "not-public", "closed"),
        size=_WHOLE,
        root=_TEXT,
        quorum=_or_null({**_WHOLE, "description": "How many entries a quorum of witnesses has seen at least."}),
        witnesses=_list(witness),
    )
    member_log = _object(origin=_TEXT, node=_TEXT, **{"from": _TIME}, closed=_TRUTH)
    return {
        "Names": _object(kk=_TEXT, ru=_TEXT, en=_TEXT),
        "Snapshot": _object(
            version=_WHOLE, sha256=_TEXT, expires=_TIME, confirmed=_TIME, proven=_TRUTH, problem=_or_null(_TEXT)
        ),
        "Service": _object(**_line()),
        "Found": _object(
            snapshot=_ref("Snapshot"),
            total=_WHOLE,
            loose={**_TRUTH, "description": "No service has every word; these have most of them."},
            facets={"type": "object", "additionalProperties": counts},
            services=_list(_ref("Service")),
        ),
        "WholeService": _object(
            snapshot=_ref("Snapshot"),
            **_line(),
            endpoints=_list(_TEXT),
            callers=_list(caller),
            callers_cut={**_TRUTH, "description": "There may be more callers than are given."},
            passport={"type": ["object", "null"], "description": "docs/formats/passport.md"},
            description=_or_null(described),
        ),
        "Member": _object(
            snapshot=_ref("Snapshot"),
            id=_TEXT,
            names=_ref("Names"),
            lineage=_TEXT,
            version=_WHOLE,
            since=_TIME,
            subsystems=_list(system),
            nodes=_list(_object(id=_TEXT, address=_TEXT)),
            logs=_list(member_log),
        ),
        "Members": _object(
            snapshot=_ref("Snapshot"),
            total=_WHOLE,
            loose=_TRUTH,
            classes=counts,
            members=_list(_object(id=_TEXT, names=_ref("Names"), since=_TIME, services=_WHOLE)),
        ),
        "Logs": _object(snapshot=_ref("Snapshot"), total=_WHOLE, logs=_list(log)),
        "Acts": _object(
            origin=_TEXT,
            size=_WHOLE,
            finding={
                **_one_of("witnessed", "unwitnessed", "unnamed", "wrong"),
                "description": "Whether a quorum's checkpoint verifies; `unnamed`: the configuration names another.",
            },
            witnessed={**_WHOLE, "description": "How many entries that checkpoint covers."},
            time={**_TIME, "description": "By when a full quorum had cosigned it, in milliseconds since 1970."},
            checkpoint=_TEXT,
            acts=_list(_act()),
            older=_or_null({**_WHOLE, "description": "The index to go on before."}),
        ),
        "Access": _object(total=_WHOLE, rights=_list(_right())),
        "Problem": {
            "type": "object",
            "properties": dict.fromkeys(("type", "title", "detail", "code"), _TEXT) | {"status": _WHOLE},
            "required": ["type", "title", "status", "detail", "code"],
        },
    }


def _act() -> Schema:
    state: Schema = {"type": ["object", "null"]}
    return _object(
        index=_WHOLE, time=_TIME, act=_TEXT, role=_TEXT, subject=_or_null(_TEXT), before=state, after=state,
        leaf={"type": "string", "pattern": "^[0-9a-f]{64}$"},
    )  # fmt: skip


def _right() -> Schema:
    return _object(
        provider=_TEXT,
        service=_TEXT,
        holder={**_TEXT, "description": "The member whose system may call."},
        client=_TEXT,
        lineage=_TEXT,
        endpoints=_list(_TEXT),
        until=_or_null(_TIME),
        group=_or_null(_TEXT),
        since=_TIME,
        exact={**_TRUTH, "description": "False: given at `since` or earlier."},
        ended=_or_null(_TIME),
        why=_or_null(_one_of("revoked", "changed", "expired")),
        state=_one_of("open", "expired", "revoked", "changed", "void"),
    )


def _query(name: str, schema: Schema, text: str) -> Schema:
    return {"name": name, "in": "query", "required": False, "description": text, "schema": schema}


def _part(name: str) -> Schema:
    return {"name": name, "in": "path", "required": True, "schema": _TEXT}


def _get(summary: str, answer: str, *parameters: Schema, missing: bool = False) -> Schema:
    content = {"application/json": {"schema": _ref(answer)}}
    problems = {"400": "A parameter is not well-formed", "503": "The registry has not been read yet"}
    if missing:
        problems["404"] = "There is none"
    return {
        "get": {
            "summary": summary,
            "operationId": f"get{answer}",
            "parameters": list(parameters),
            "responses": {
                "200": {"description": "What was found", "content": content},
                **{
                    status: {
                        "description": text,
                        "content": {"application/problem+json": {"schema": _ref("Problem")}},
                    }
                    for status, text in sorted(problems.items())
                },
            },
        }
    }


def _proof() -> Schema:
    parameters = (
        {**_part("index"), "schema": _WHOLE},
        _query("leaf", {"type": "string", "pattern": "^[0-9a-fA-F]{64}$"}, "The leaf hash: the path is verified too."),
    )
    found = _get("The proof of an entry of the admin log, by its hash (C2SP tlog-proof)", "ActProof", *parameters)
    found["get"]["responses"]["200"]["content"] = {"text/plain": {"schema": _TEXT}}
    problem = found["get"]["responses"]["503"]["content"]
    for status, text in (
        ("404", "No witnessed proof of it yet"),
        ("409", "The entry has another leaf hash than the one given"),
        ("502", "What the registry shows does not verify"),
    ):
        found["get"]["responses"][status] = {"description": text, "content": problem}
    return found


def describe_api() -> Schema:
    """The whole description."""
    paging = (
        _query("offset", {**_WHOLE, "maximum": 1_000_000}, "How many to pass over."),
        _query("limit", {**_WHOLE, "maximum": 100}, "How many to give; 20 where nothing is said."),
    )
    member = (_part("member_class"), _part("code"))
    search = (
        _query("q", {"type": "string", "maxLength": MAX_QUERY}, "Words in Kazakh, Russian or English, in any form."),
        _query("class", _TEXT, "Only of members of this class: GOV, QUASI, COM, EDU."),
        _query("personal", _one_of(*FILTERS["personal"]), "Only with or without personal data."),
        _query("environment", _one_of(*FILTERS["environment"]), "Only in this environment."),
        _query("type", _one_of(*FILTERS["type"]), "Only of this type."),
        *paging,
    )
    acts = (
        _query("kind", {"type": "string", "maxLength": 100}, "Only acts whose kind begins so: member, tls.revoke."),
        _query("before", {**_WHOLE, "maximum": 10**15 - 1}, "Only acts before this index."),
        _query("limit", {"type": "integer", "minimum": 1, "maximum": 100}, "How many to give; 20 if nothing is said."),
    )
    access = (
        _query("member", search[0]["schema"], "Only of this member, as provider or caller: its identifier, or words."),
        _query("service", search[0]["schema"], "Only to this service: its identifier, or words."),
        _query("state", _one_of("open", "ended"), "Only rights that last, or only those that do not."),
    )
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "QazTech portal",
            "version": "1",
            "summary": "The catalogue of one instance: members, services, who may call them, logs and their witnesses.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": {
            "/api/v1/catalogue": _get("Search for services", "Found", *search),
            "/api/v1/members": _get("Search for members", "Members", *search[:2], *paging),
            "/api/v1/members/{member_class}/{code}": _get("One member", "Member", *member, missing=True),
            "/api/v1/services/{member_class}/{code}/{subsystem}/{service}": _get(
                "One service, and who may call it",
                "WholeService",
                *member,
                _part("subsystem"),
                _part("service"),
                missing=True,
            ),
            "/api/v1/logs": _get("Logs, their checkpoints and witnesses", "Logs", *paging),
            "/api/v1/admin-log": _get("The admin log for anyone, the newest first", "Acts", *acts),
            "/api/v1/admin-log/{index}/proof": _proof(),
            "/api/v1/access": _get("Who was given access to what, the newest first", "Access", *access, *paging),
            "/api/v1/openapi.json": {
                "get": {
                    "summary": "This description",
                    "operationId": "getDescription",
                    "responses": {
                        "200": {
                            "description": "OpenAPI 3.1",
                            "content": {"application/json": {"schema": {"type": "object"}}},
                        }
                    },
                }
            },
        },
        "components": {"schemas": _schemas()},
    }
