"""Importing an OpenAPI 3.0 or 3.1 document: what it offers, what is wrong with it, and the form that is shown.

`read_description` takes bytes and fetches nothing: `$ref` is followed only inside the document, and a reference to
anywhere else is a finding. What a document may cost is bounded before anything is built from it (`openapi_text`); run
it off an event loop all the same. A description with errors among its findings must not be published. Not here: how a
description looks on a page (`rendering`), and who signs for it (`registry.showcase`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from qaztech.core.rights import Endpoint

Severity = Literal["error", "warning"]
Place = Literal["path", "query", "header", "cookie"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something about a document: where (JSON pointer; line from 1 where known), what, and what to do about it."""

    severity: Severity
    kind: str
    """A slug (`remote-ref`); `openapi_findings.ADVICE` says in three languages what to do about each."""
    pointer: str
    line: int | None
    problem: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A parameter of an operation; `kind` is its type in a few words, `example` as text."""

    name: str
    place: Place
    required: bool
    kind: str
    description: str
    example: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method on one path template, and the endpoint that a right to it names."""

    method: str
    path: str
    endpoint: Endpoint
    operation_id: str
    summary: str
    description: str
    tags: tuple[str, ...]
    deprecated: bool
    parameters: tuple[Parameter, ...]
    request_media: tuple[str, ...]
    responses: tuple[str, ...]
    """The statuses that are described, as written: `200`, `4XX`, `default`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """What a document says. With errors among the findings, operations and endpoints are those that could be read."""

    title: str
    version: str
    specification: Literal["3.0", "3.1"]
    operations: tuple[Operation, ...]
    endpoints: tuple[Endpoint, ...]
    fields: tuple[str, ...]
    """The names of all properties in its schemas, each once, sorted."""
    findings: tuple[Finding, ...]
    document: bytes
    """The document as it may be shown: JSON without servers and without the contact person, at most 1 MiB."""

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that stand against publishing."""
        return tuple(f for f in self.findings if f.severity == "error")


def read_description(data: bytes) -> Description:
    """Read a document (JSON or YAML, at most 2 MiB). Raises `Malformed` where it cannot be read at all."""
    raise NotImplementedError
