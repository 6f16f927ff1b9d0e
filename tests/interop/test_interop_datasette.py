"""Datasette, really started over the code lists, answers every path of its OpenAPI description as described."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
import yaml

from qaztech.testing import codes
from qaztech.testing.datasette import CodesService

Answer = tuple[int, dict[str, str], Any]
DESCRIPTION = yaml.safe_load(codes.OPENAPI.read_text(encoding="utf-8"))
TYPES = {"object": dict, "array": list, "string": str, "integer": int, "boolean": bool}
SHAPES = ["array", "object"]


def resolve(node: dict[str, Any]) -> dict[str, Any]:
    """What a `$ref` stands for."""
    while "$ref" in node:
        where: Any = DESCRIPTION
        for part in node["$ref"].removeprefix("#/").split("/"):
            where = where[part]
        node = where
    return node


def fits(value: Any, schema: dict[str, Any]) -> bool:
    """Whether a value is as a schema says, for those words of OpenAPI 3.0 that the description uses."""
    schema = resolve(schema)
    known = {"type", "required", "additionalProperties", "properties", "items", "oneOf", "enum", "pattern", "nullable"}
    assert set(schema) <= known | {"description"}
    if "oneOf" in schema:
        return sum(fits(value, one) for one in schema["oneOf"]) == 1
    if value is None:
        return schema.get("nullable", False)
    if not isinstance(value, TYPES[schema["type"]]):
        return False
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        others = schema.get("additionalProperties", True)
        return set(schema.get("required", [])) <= set(value) and all(
            fits(each, properties[name]) if name in properties else others is True or (others and fits(each, others))
            for name, each in value.items()
        )
    if isinstance(value, list):
        return all(fits(each, schema["items"]) for each in value)
    return value in schema.get("enum", [value]) and bool(re.search(schema.get("pattern", ""), str(value)))


OPERATIONS = [(path, item["get"]) for path, item in DESCRIPTION["paths"].items()]
OF_TABLES = [(path, operation) for path, operation in OPERATIONS if "{" not in path]
OF_ROWS = [(path, operation) for path, operation in OPERATIONS if "{" in path]


def parameters(operation: dict[str, Any]) -> dict[str, Any]:
    """The parameters of an operation, each with its example."""
    return {(one := resolve(each))["name"]: one["example"] for each in operation["parameters"]}


def answer_of(operation: dict[str, Any], status: int) -> dict[str, Any]:
    """What is described for a status."""
    return resolve(operation["responses"][str(status)])["content"]["application/json"]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CodesService]:
    """The process that the embedded country runs, on a port that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    started = CodesService(directory=tmp_path_factory.mktemp("codes"), port=port)
    started.prepare()
    log = started.directory / "stderr"
    with log.open("wb") as stderr:
        process = subprocess.Popen(started.command(), stdout=subprocess.DEVNULL, stderr=stderr)
    try:
        patience = time.monotonic() + 30
        while not started.is_ready():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < patience, log.read_text()
            time.sleep(0.02)
        (started.directory / "pid").write_text(str(process.pid))
        yield started
    finally:
        process.terminate()
        process.wait(10)


def ask(service: CodesService, path: str, method: str = "GET", **query: str) -> Answer:
    """Status, headers, and the body as JSON where it is JSON."""
    url = urlsplit(service.url + path)
    connection = HTTPConnection("127.0.0.1", service.port, timeout=10)
    connection.request(method, url.path + ("?" + urlencode(query) if query else ""))
    got = connection.getresponse()
    body = got.read()
    connection.close()
    headers = {name.lower(): value for name, value in got.getheaders()}
    is_json = headers["content-type"].startswith("application/json")
    return got.status, headers, json.loads(body) if is_json and body else body


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("path", "operation"), OF_ROWS, ids=[path for path, _ in OF_ROWS])
def test_a_row_is_as_described(service: CodesService, path: str, operation: dict[str, Any], shape: str) -> None:
    """The example of the description is what the service really answers."""
    key = str(parameters(operation)[path.partition("{")[2].partition("}")[0]])
    status, headers, body = ask(service, re.sub(r"\{\w+\}", key, path), _shape=shape)
    assert (status, headers["content-type"]) == (200, "application/json; charset=utf-8")
    described = answer_of(operation, 200)
    assert fits(body, described["schema"])
    assert "object" in described["examples"]
    example = described["examples"]["object"]["value"]
    assert body == (example if shape == "object" else list(example.values()))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("path", "operation"), OF_TABLES, ids=[path for path, _ in OF_TABLES])
def test_all_pages_together_are_the_table(
    service: CodesService, path: str, operation: dict[str, Any], shape: str
) -> None:
    """Page after page by the header `link`, every row comes once, and every row is as described."""
    found: list[str] = []
    query = {"_shape": shape, "_size": "1000"}
    while True:
        status, headers, body = ask(service, path, **query)
        assert status == 200
        assert fits(body, answer_of(operation, 200)["schema"])
        found += body if shape == "object" else [next(iter(row.values())) for row in body]
        if "link" not in headers:
            break
        query["_next"] = re.search(r'[?&]_next=([^&>]+)>; rel="next"$', headers["link"])[1]  # type: ignore[index]
    table = next(each for each in codes.LISTS if path == f"/{each.name}.json")
    assert found == [row[0] for row in codes.rows(table)]


@pytest.mark.parametrize(("path", "operation"), OF_TABLES, ids=[path for path, _ in OF_TABLES])
def test_every_parameter_of_a_table_does_something(service: CodesService, path: str, operation: dict[str, Any]) -> None:
    """With its example, each parameter is taken, and the answer is as described and not the one without it."""
    without = ask(service, path, _shape="array")[2]
    for name, example in parameters(operation).items():
        if name in {"_searchmode", "_next"}:  # below with `_search`, above with the pages
            continue
        value = codes_column(path) if name in {"_sort", "_sort_desc"} else str(example)
        query = {"_shape": "array", name: value}
        status, _, body = ask(service, path, **query)
        assert status == 200
        assert fits(body, answer_of(operation, 200)["schema"])
        if name != "_sort":  # may be the order of the key
            assert body != without, name


def codes_column(path: str) -> str:
    """A column of a table that is not its key."""
    return next(each.columns[1][0] for each in codes.LISTS if path == f"/{each.name}.json")


@pytest.mark.parametrize("word", ["Kazakhstan", "Қазақстан", "қазақстан", "Казахстан"])
def test_kazakhstan_is_found_in_three_languages(service: CodesService, word: str) -> None:
    """Kazakh and Russian words arrive, are found, and come back whole."""
    status, _, body = ask(service, "/countries.json", _shape="array", _search=word)
    assert status == 200
    assert [(row["name_en"], row["name_kk"], row["name_ru"]) for row in body] == [
        ("Kazakhstan", "Қазақстан", "Казахстан")
    ]


def test_a_search_can_ask_for_a_beginning(service: CodesService) -> None:
    """`_searchmode=raw` reads the words as a query."""
    by_mode = [
        [row["alpha_2"] for row in ask(service, "/countries.json", _shape="array", _search="Қаз*", **mode)[2]]
        for mode in ({}, {"_searchmode": "raw"})
    ]
    assert by_mode == [[], ["KZ"]]


@pytest.mark.parametrize(("path", "operation"), OF_ROWS, ids=[path for path, _ in OF_ROWS])
def test_a_row_that_is_not_there_is_a_404(service: CodesService, path: str, operation: dict[str, Any]) -> None:
    """With the body of the example."""
    status, _, body = ask(service, re.sub(r"\{\w+\}", "QQQQ", path), _shape="object")
    assert status == 404
    assert body == answer_of(operation, 404)["example"]


@pytest.mark.parametrize(("path", "operation"), OPERATIONS, ids=[path for path, _ in OPERATIONS])
def test_a_shape_that_there_is_not_is_a_400(service: CodesService, path: str, operation: dict[str, Any]) -> None:
    """Of rows and of tables."""
    examples = parameters(operation)
    row = re.sub(r"\{(\w+)\}", lambda match: examples[match[1]], path)
    status, _, body = ask(service, row, _shape="round")
    assert status == 400
    assert fits(body, answer_of(operation, 400)["schema"])


@pytest.mark.parametrize("query", [{"_size": "many"}, {"_size": "1001"}, {"_search": "((", "_searchmode": "raw"}])
def test_a_value_that_cannot_be_is_a_400(service: CodesService, query: dict[str, str]) -> None:
    """A size, or a search that is no query."""
    status, _, body = ask(service, "/countries.json", _shape="array", **query)
    assert status == 400
    assert fits(body, answer_of(DESCRIPTION["paths"]["/countries.json"]["get"], 400)["schema"])


def test_sorting_by_no_column_is_as_described(service: CodesService) -> None:
    """Datasette calls that a fault of its own, and the description says so."""
    status, _, body = ask(service, "/countries.json", _shape="array", _sort="colour")
    assert (status, body) == (500, answer_of(DESCRIPTION["paths"]["/countries.json"]["get"], 500)["example"])


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_nothing_can_be_written(service: CodesService, method: str) -> None:
    """No method changes anything, and the file is open for reading only."""
    before = service.database.read_bytes()
    for path in ("/countries.json", "/countries/KZ.json"):
        assert ask(service, path, method)[0] >= 400
    assert service.database.read_bytes() == before


@pytest.mark.parametrize(
    "path",
    ["/countries_fts.json", "/countries_fts_data.json", ".json", ".json?sql=select+1", ".db"],
)
def test_what_is_not_described_is_closed(service: CodesService, path: str) -> None:
    """The search indexes, the database as a whole, SQL and the file itself."""
    connection = HTTPConnection("127.0.0.1", service.port, timeout=10)
    connection.request("GET", urlsplit(service.url).path + path)
    assert connection.getresponse().status == 403
    connection.close()


def test_a_condition_in_sql_is_refused(service: CodesService) -> None:
    """Nor does SQL come in through a table."""
    assert ask(service, "/countries.json", _shape="array", _where="1=1")[0] == 403


def test_no_other_page_may_read_it_from_a_browser(service: CodesService) -> None:
    """No CORS: the browser of someone who runs this keeps it from the pages of others."""
    assert not [name for name in ask(service, "/countries/KZ.json", _shape="array")[1] if name.startswith("access-")]


def test_it_costs_little_memory(service: CodesService) -> None:
    """Its share of the country's 500 MiB, as the kernel counts it."""
    rollup = Path(f"/proc/{(service.directory / 'pid').read_text()}/smaps_rollup").read_text()
    assert int(re.search(r"^Pss: +(\d+) kB", rollup, re.MULTILINE)[1]) <= 66 * 1024  # type: ignore[index]
