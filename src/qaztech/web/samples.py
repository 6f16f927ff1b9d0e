"""Calls of a service to copy, in the languages people write their systems in; each needs nothing but that language.

A call goes to the caller's own node and names the calling system. Where the instance's file names a node whose system
may call the service, the samples work as they stand; else places to fill in are left. Not here: running them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from qaztech.core.ids import SubsystemId
from qaztech.member.openapi import Operation
from qaztech.registry.catalogue import CatalogueService
from qaztech.web.country import Country

EDGE = "http://127.0.0.1:8080"
CLIENT = "KZ/GOV/YOUR-BIN/YOUR-SYSTEM"
_TEMPLATE = re.compile(r"\{([^{}/]{1,100})\}")


@dataclass(frozen=True, slots=True)
class Sample:
    """One way to call: its name for people, a short name for addresses, and its text."""

    name: str
    code: str
    text: str


@dataclass(frozen=True, slots=True)
class Call:
    """What is called: the node's edge, the calling system, the method and the whole path behind the edge."""

    edge: str
    client: str
    method: str
    path: str

    @property
    def url(self) -> str:
        """The whole address."""
        return self.edge + self.path


def samples(
    service: CatalogueService,
    operations: Sequence[Operation],
    country: Country | None = None,
    callers: Collection[SubsystemId] = (),
) -> tuple[Sample, ...]:
    """The same call in curl, Python, JavaScript, Java and C#."""
    call = example_call(service, operations, country, callers)
    return (
        Sample("curl", "curl", _curl(call)),
        Sample("Python", "python", _python(call)),
        Sample("JavaScript", "javascript", _javascript(call)),
        Sample("Java", "java", _java(call)),
        Sample("C#", "csharp", _csharp(call)),
    )


def example_call(
    service: CatalogueService,
    operations: Sequence[Operation],
    country: Country | None = None,
    callers: Collection[SubsystemId] = (),
) -> Call:
    """A call worth showing: the first GET of the description, else of the rights, else any."""
    names = {str(caller) for caller in callers}
    place = next((n for n in (country.nodes if country else ()) if n.edge and n.system in names), None)
    method, path = _operation(service, operations)
    return Call(
        edge=(place.edge or EDGE) if place is not None else EDGE,
        client=place.system if place is not None else CLIENT,
        method=method,
        path=f"/r1/{service.id}{path}",
    )


def _operation(service: CatalogueService, operations: Sequence[Operation]) -> tuple[str, str]:
    if operations:
        found = next((o for o in operations if o.method == "GET"), operations[0])
        values = {p.name: p.example for p in found.parameters if p.place == "path" and p.example is not None}
        return found.method, _TEMPLATE.sub(lambda part: values.get(part[1], part[1].upper()), found.path)
    named = [endpoint.partition(" ") for endpoint in service.endpoints()]
    method, _, path = next((e for e in named if e[0] in {"GET", "*"}), named[0] if named else ("GET", " ", "/"))
    return ("GET" if method == "*" else method), path.replace("/**", "/").replace("*", "VALUE")


def _curl(call: Call) -> str:
    method = "" if call.method == "GET" else f"-X {call.method} "
    return f"curl -i {method}-H {_shell(f'X-Road-Client: {call.client}')} {_shell(call.url)}"


def _shell(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def _python(call: Call) -> str:
    return f"""from urllib.request import Request, urlopen

request = Request(
    {_quoted(call.url)},
    method={_quoted(call.method)},
    headers={{"X-Road-Client": {_quoted(call.client)}}},
)
with urlopen(request, timeout=30) as answer:
    print(answer.status, answer.headers["X-Road-Request-Id"])
    print(answer.read().decode())"""


def _javascript(call: Call) -> str:
    return f"""const answer = await fetch({_quoted(call.url)}, {{
  method: {_quoted(call.method)},
  headers: {{ "X-Road-Client": {_quoted(call.client)} }},
}});
console.log(answer.status, answer.headers.get("X-Road-Request-Id"));
console.log(await answer.text());"""


def _java(call: Call) -> str:
    return f"""import java.net.URI;
import java.net.http.*;

public class Call {{
    public static void main(String[] args) throws Exception {{
        var request = HttpRequest.newBuilder(URI.create({_quoted(call.url)}))
            .header("X-Road-Client", {_quoted(call.client)})
            .method({_quoted(call.method)}, HttpRequest.BodyPublishers.noBody())
            .build();
        var answer = HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString());
        System.out.println(answer.statusCode() + " " + answer.headers().firstValue("X-Road-Request-Id").orElse(""));
        System.out.println(answer.body());
    }}
}}"""


def _csharp(call: Call) -> str:
    return f"""using var client = new HttpClient();
using var request = new HttpRequestMessage(new HttpMethod({_quoted(call.method)}), {_quoted(call.url)});
request.Headers.Add("X-Road-Client", {_quoted(call.client)});
using var answer = await client.SendAsync(request);
Console.WriteLine($"{{(int)answer.StatusCode}} {{string.Join("", answer.Headers.GetValues("X-Road-Request-Id"))}}");
Console.WriteLine(await answer.Content.ReadAsStringAsync());"""


def _quoted(text: str) -> str:
    """A string literal of all five languages: JSON's, escaped to ASCII."""
    return json.dumps(text)
