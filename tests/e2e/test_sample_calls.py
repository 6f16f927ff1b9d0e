"""The calls to copy are run as they stand against a running country: what a reader pastes works.

Java's where a JDK is at hand. C#'s is checked as text only (unit tests): no .NET is among the packages of the tests.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from qaztech.core.ids import ServiceId, SubsystemId
from qaztech.member.openapi import read_description
from qaztech.member.rendering import RenderedOperation, render
from qaztech.member.samples import example_call, samples

# How a sample is run, under which name, and the program that has to be there for it (the JDK need not be).
RUNNERS = {
    "curl": (["sh"], "call.sh", "curl"),
    "python": ([sys.executable], "call.py", sys.executable),
    "javascript": (["node"], "call.mjs", "node"),
    "java": (["java"], "Call.java", "javac"),
}
AT_HAND = [name for name, (_, _, needed) in RUNNERS.items() if name != "java" or shutil.which(needed)]
# What would end a quote in one of the languages, and letters of three alphabets.
TEXT = 'it\'s "so" \\ \\u0022 $(id) `id` ${x} !! қазақ Ё\n@file'
DESCRIPTION = {
    "openapi": "3.1.0",
    "info": {"title": "Echo", "version": "1"},
    "paths": {
        "/it's/{id}": {
            "post": {
                "operationId": "put",
                "summary": "Say it back",
                "parameters": [
                    {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}, "example": "a/б"},
                    {"name": "q&=", "in": "query", "required": True, "schema": {"type": "string"}, "example": TEXT},
                    {"name": "X-Note", "in": "header", "required": True, "schema": {"type": "integer"}},
                ],
                "requestBody": {"content": {"application/json": {"schema": {}, "example": {"text": TEXT}}}},
                "responses": {"200": {"description": "Said"}},
            },
            "get": {
                "operationId": "get",
                "summary": "Say it back",
                "parameters": [{"name": "id", "in": "path", "required": True, "schema": {"type": "integer"}}],
                "responses": {"200": {"description": "Said"}},
            },
        }
    },
}


def echo_operation(name: str) -> RenderedOperation:
    """An operation of the echo service, by the way a description goes from its owner to a page."""
    described = read_description(json.dumps(DESCRIPTION).encode())
    described.require_sound()
    rendered = render(described.document)
    return next(o for g in rendered.groups for o in g.operations if o.operation.operation_id == name)


@pytest.mark.parametrize("method", ["put", "get"])
@pytest.mark.parametrize("language", AT_HAND)
def test_a_call_that_is_copied_does_what_it_says(
    language: str, method: str, country, program: Callable[[str], str], tmp_path: Path
) -> None:
    """The system behind the service gets the very request, and the caller its answer and message id."""
    command, name, needed = RUNNERS[language]
    program(needed)
    node = country.node("ministry")
    client, service = SubsystemId.parse(node["system"]), ServiceId.parse(country.echo)
    call = example_call(echo_operation(method), edge=node["edge"], client=client, service=service)
    (tmp_path / name).write_text(samples(call)[language], encoding="utf-8")
    done = subprocess.run([*command, name], cwd=tmp_path, capture_output=True, text=True, encoding="utf-8", timeout=60)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout[done.stdout.index("{") :])
    assert said["method"] == call.method
    assert said["target"] == call.url.partition(country.echo)[2]
    headers = {header.lower(): value for header, value in said["headers"]}
    assert headers["x-road-client"] == node["system"]
    if method == "put":
        assert headers["x-note"] == "1"
        assert headers["content-type"] == "application/json"
        assert json.loads(call.body or "") == {"text": TEXT}
        assert said["sha256"] == sha256((call.body or "").encode()).hexdigest()
    if language != "curl":
        message = done.stdout.split()[1]
        assert country.records("ministry", message)[0] == "request"
