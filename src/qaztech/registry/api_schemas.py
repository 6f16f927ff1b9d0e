"""The shapes of the registry's answers, as JSON Schema: for its description (`api_description`) and nothing else.

Bodies are described from the structures that read them; answers have no structures, so their shapes stand here.
"""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
TRUTH: Schema = {"type": "boolean"}
WHOLE: Schema = {"type": "integer", "minimum": 0}
TIME: Schema = {"type": "integer", "minimum": 0, "description": "Milliseconds since 1970."}
HASH: Schema = {"type": "string", "pattern": "^[0-9a-f]{64}$", "description": "SHA-256, hex."}


def ref(name: str) -> Schema:
    """A schema by its name."""
    return {"$ref": f"#/components/schemas/{name}"}


def shape(**properties: Schema) -> Schema:
    """An object with exactly these properties."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def many(of: Schema) -> Schema:
    """A list."""
    return {"type": "array", "items": of}


def or_null(of: Schema) -> Schema:
    """Something, or nothing."""
    return {"anyOf": [of, {"type": "null"}]}


def schemas() -> dict[str, Schema]:
    """Every answer by its name."""
    application = {
        "id": TEXT,
        "member": TEXT,
        "lineage": HASH,
        "names": ref("Names"),
        "received": TIME,
        "state": {"type": "string", "enum": ["submitted", "admitted", "refused", "withdrawn"]},
        "version": WHOLE,
        "decided": or_null(TIME),
        "reason": or_null(TEXT),
    }
    return {
        "Envelope": _envelope(),
        "Enrolment": {"type": "object", "description": "docs/formats/enrolment.md, in its one spelling."},
        "RightsPage": {"type": "object", "description": "docs/formats/rights-page.md, in its one spelling."},
        "Application": shape(**application),
        "OpenedApplication": shape(
            **application,
            contact=shape(unit=TEXT, email=TEXT, phone=TEXT),
            signed_by=shape(name=TEXT, bin=TEXT),
            findings=many(TEXT),
        ),
        "Accepted": shape(id=TEXT, version=WHOLE),
        "Granted": shape(token=HASH, node=TEXT, expires=TIME, used=or_null(TIME), identity=or_null(TEXT)),
        "Renewed": shape(certificate=TEXT),
        "Directory": shape(type=TEXT, instance=TEXT, members=many(_listed())),
        "Ready": shape(ready=TRUTH),
        "Status": _status(),
        "Act": _act(),
        "PublicActs": _public_acts(),
        "Admitted": shape(id=TEXT, lineage=HASH),
        "Stored": shape(sha256=HASH),
        "Suspended": shape(member=TEXT, suspended=TRUTH),
        "Revoked": shape(tls=TEXT),
        "Certified": shape(node=TEXT, certificate=TEXT),
        "Problem": _problem(),
    }


def _envelope() -> Schema:
    signature = shape(keyid=TEXT, sig=TEXT)
    return {
        **shape(payload=TEXT, payloadType=TEXT, signatures=many(signature)),
        "description": "A signed statement in a DSSE 1.0 envelope, Ed25519.",
    }


def _listed() -> Schema:
    system = shape(code=TEXT, names=ref("Names"))
    return shape(id=TEXT, lineage=HASH, names=ref("Names"), subsystems=many(system))


def _status() -> Schema:
    member = shape(id=TEXT, lineage=HASH, suspended=TRUTH, version=WHOLE)
    expiry = shape(kind=TEXT, what=TEXT, ends=TIME, warns={"type": "integer"}, seconds_left={"type": "integer"})
    return shape(
        instance=TEXT,
        snapshot=or_null(shape(version=WHOLE, sha256=HASH)),
        log=shape(size=WHOLE),
        warnings=many(TEXT),
        expiries=many(expiry),
        members=many(member),
        revoked_tls=many(TEXT),
    )


def _act() -> Schema:
    state: Schema = {"type": ["object", "null"]}
    act = shape(
        index=WHOLE, time=TIME, who=TEXT, role=TEXT, when=TIME, act=TEXT, subject=TEXT, before=state, after=state,
        salt=TEXT,
    )  # fmt: skip
    return {**act, "required": ["index", "time"], "description": "docs/formats/admin-log.md"}


def _public_acts() -> Schema:
    state: Schema = {"type": ["object", "null"]}
    act = shape(
        index=WHOLE, time=TIME, act=TEXT, role=TEXT, subject={"type": ["string", "null"]}, before=state, after=state,
        leaf=HASH,
    )  # fmt: skip
    older: Schema = {"type": ["integer", "null"], "minimum": 0}
    return shape(origin=TEXT, vkey=TEXT, size=WHOLE, witnessed=WHOLE, checkpoint=TEXT, acts=many(act), older=older)


def _problem() -> Schema:
    words = ("type", "title", "detail", "code", "at")
    return {
        "type": "object",
        "description": "RFC 9457; `code` stands in docs/reference/errors.md.",
        "properties": {**dict.fromkeys(words, TEXT), "status": WHOLE},
        "required": [*words, "status"],
    }
