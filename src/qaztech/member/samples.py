"""Calls to copy: one operation of a service, called through the backbone, for curl, Python, JavaScript, Java and C#.

Each is a whole program that needs nothing but its language (Java 11, Node.js 18, .NET 6). Names, paths and examples
come from a description that someone else wrote and end up in other people's shells, so everything is percent-encoded
or quoted, and nothing that cannot be quoted is let in.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import quote

from qaztech.core.ids import ServiceId, SubsystemId
from qaztech.core.rights import Endpoint, climbs
from qaztech.member.openapi import Parameter
from qaztech.member.rendering import RenderedOperation

LANGUAGES = ("curl", "python", "javascript", "java", "csharp")
_TEMPLATE = re.compile(r"\{([^{}/]*)\}")
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&*+.^_|~-]{1,100}\Z")
_MEDIA = re.compile(r"[A-Za-z0-9!#$&^_.+-]{1,60}/[A-Za-z0-9!#$&^_.+-]{1,60}\Z")
_NOT_OURS = frozenset({
    "accept", "authorization", "connection", "content-length", "content-type", "cookie", "expect", "host", "te",
    "trailer", "transfer-encoding", "upgrade",
})  # fmt: skip
_LITERAL = "!$&'()+,;=:@/~-._%"
_BY_KIND = {"integer": "1", "number": "1.5", "boolean": "true", "string (date)": "2027-01-31"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One HTTP request to a node's edge: visible ASCII in URL and headers, any printable text in the body."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...]
    body: str | None


def example_call(rendered: RenderedOperation, *, edge: str, client: SubsystemId, service: ServiceId) -> Call:
    """A call of an operation with its examples, or with stand-ins that show what belongs there.

    `edge` is the address of the caller's own node (`http://127.0.0.1:8404`); only what is required is sent.
    """
    operation = rendered.operation
    headers = [("X-Road-Client", str(client))]
    headers += [(p.name, _header_value(p)) for p in operation.parameters if p.required and is_plain_header(p)]
    body = None
    for given in rendered.request[:1] if operation.method not in {"GET", "HEAD", "TRACE"} else ():
        chosen = next((b for b in rendered.request if _is_json(b.media)), given)
        text = chosen.example if chosen.example is not None else chosen.made
        if text is not None and _MEDIA.match(chosen.media):
            body = _printable(text)
            headers.append(("Content-Type", chosen.media))
    return Call(
        method=operation.method,
        url=f"{edge.rstrip('/')}/r1/{service_target(service)}{_path(rendered)}{_query(operation.parameters)}",
        headers=tuple(headers),
        body=body,
    )


def endpoint_call(endpoint: Endpoint, *, edge: str, client: SubsystemId, service: ServiceId) -> Call:
    """A call of what a right names, for a service without a description: `VALUE` stands where anything may."""
    segments = ["VALUE" if s == "*" else s for s in endpoint.path.split("/") if s != "**"]
    path = quote("/".join(segments) or "/", safe=_LITERAL)
    return Call(
        method="GET" if endpoint.method == "*" else endpoint.method,
        url=f"{edge.rstrip('/')}/r1/{service_target(service)}{path}",
        headers=(("X-Road-Client", str(client)),),
        body=None,
    )


def samples(call: Call) -> dict[str, str]:
    """The same call in each of `LANGUAGES`."""
    return {
        "curl": _curl(call),
        "python": _python(call),
        "javascript": _javascript(call),
        "java": _java(call),
        "csharp": _csharp(call),
    }


# The request ----------------------------------------------------------------------------------------------------------


def service_target(service: ServiceId) -> str:
    """A service in the target of a request to an edge, behind `/r1/`."""
    # In a target a question mark would begin the query.
    return str(service).replace("?", "%3F")


def _path(rendered: RenderedOperation) -> str:
    values = {p.name: _stand_in(p) for p in rendered.operation.parameters if p.place == "path"}
    filled = filled_path(rendered.operation.path, values)
    # An example of dots would lead a client that tidies paths up to another service.
    return filled_path(rendered.operation.path, {}) if climbs(filled) else filled


def filled_path(path: str, values: Mapping[str, str]) -> str:
    """A path template with its values, percent-encoded; a name in capitals stands where there is none."""
    parts = _TEMPLATE.split(path)
    whole = [quote(parts[0], safe=_LITERAL)]
    for name, rest in zip(parts[1::2], parts[2::2], strict=True):
        whole += [quote(values.get(name) or _named(name), safe=""), quote(rest, safe=_LITERAL)]
    return "".join(whole)


def _query(parameters: tuple[Parameter, ...]) -> str:
    pairs = [
        f"{quote(p.name, safe='')}={quote(_stand_in(p), safe='')}"
        for p in parameters
        if p.place == "query" and p.required
    ]
    return f"?{'&'.join(pairs)}" if pairs else ""


def is_plain_header(parameter: Parameter) -> bool:
    """Whether this is a header of the service's own, not one of the connection, the backbone or who calls."""
    name = parameter.name.lower()
    plain = bool(_TOKEN.match(parameter.name)) and name not in _NOT_OURS and not name.startswith("x-road-")
    return parameter.place == "header" and plain


def _header_value(parameter: Parameter) -> str:
    return quote(_stand_in(parameter), safe=" !#$&'()*+,/:;=?@[]^_`{|}~-.").strip() or "X"


def _stand_in(parameter: Parameter) -> str:
    text = parameter.example or _BY_KIND.get(parameter.kind, _named(parameter.name))
    return _printable(text)[:200]


def _named(name: str) -> str:
    """What stands where a value belongs: the parameter's name in capitals."""
    return _printable(name).upper().strip(".") or "VALUE"


def _is_json(media: str) -> bool:
    return media == "application/json" or media.endswith("+json")


def _printable(text: str) -> str:
    return "".join(c for c in text if c.isprintable() or c in "\n\t")


# The languages --------------------------------------------------------------------------------------------------------


def _quoted(text: str) -> str:
    r"""A string literal that Python, JavaScript, Java and C# read alike: only `\\`, `\"`, `\n` and `\t` are escapes."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    return f'"{escaped}"'


def _shell(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def _curl(call: Call) -> str:
    lines = ["curl -sS --fail-with-body"]
    if call.method == "HEAD":
        lines.append("--head")
    elif call.method != "GET":
        lines.append(f"-X {call.method}")
    lines += [f"-H {_shell(f'{name}: {value}')}" for name, value in call.headers]
    if call.body is not None:
        # Not --data, which would read a file where the body begins with an at sign.
        lines.append(f"--data-raw {_shell(call.body)}")
    return " \\\n  ".join([*lines, _shell(call.url)]) + "\n"


def _each(call: Call, form: str, indent: str) -> Iterator[str]:
    for name, value in call.headers:
        yield indent + form.format(_quoted(name), _quoted(value))


def _python(call: Call) -> str:
    return "\n".join([
        "import urllib.error",
        "import urllib.request",
        "",
        "request = urllib.request.Request(",
        f"    {_quoted(call.url)},",
        f"    method={_quoted(call.method)},",
        "    headers={",
        *_each(call, "{}: {},", "        "),
        "    },",
        *([f"    data={_quoted(call.body)}.encode(),"] if call.body is not None else []),
        ")",
        "try:",
        "    with urllib.request.urlopen(request, timeout=60) as answer:",
        '        print("message", answer.headers["x-road-request-id"])',
        "        print(answer.read().decode())",
        "except urllib.error.HTTPError as refused:",
        '    raise SystemExit(f"{refused.code}: {refused.read().decode()}") from None',
        "",
    ])  # fmt: skip


def _javascript(call: Call) -> str:
    return "\n".join([
        f"const answer = await fetch({_quoted(call.url)}, {{",
        f"  method: {_quoted(call.method)},",
        "  headers: {",
        *_each(call, "{}: {},", "    "),
        "  },",
        *([f"  body: {_quoted(call.body)},"] if call.body is not None else []),
        '  redirect: "manual",',
        "});",
        'console.log("message", answer.headers.get("x-road-request-id"));',
        "console.log(await answer.text());",
        "if (!answer.ok) process.exitCode = 1;",
        "",
    ])  # fmt: skip


def _java(call: Call) -> str:
    publisher = "noBody()" if call.body is None else f"ofString({_quoted(call.body)})"
    return "\n".join([
        "import java.net.URI;",
        "import java.net.http.HttpClient;",
        "import java.net.http.HttpRequest;",
        "import java.net.http.HttpResponse;",
        "",
        "public class Call {",
        "    public static void main(String[] arguments) throws Exception {",
        f"        HttpRequest request = HttpRequest.newBuilder(URI.create({_quoted(call.url)}))",
        *_each(call, ".header({}, {})", "            "),
        f"            .method({_quoted(call.method)}, HttpRequest.BodyPublishers.{publisher})",
        "            .build();",
        "        HttpClient client = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();",
        "        HttpResponse<String> answer = client.send(request, HttpResponse.BodyHandlers.ofString());",
        '        System.out.println("message " + answer.headers().firstValue("x-road-request-id").orElse(""));',
        "        System.out.println(answer.body());",
        "        if (answer.statusCode() >= 300) System.exit(1);",
        "    }",
        "}",
        "",
    ])  # fmt: skip


def _csharp(call: Call) -> str:
    content: list[str] = []
    sent = [(name, value) for name, value in call.headers if name != "Content-Type"]
    if call.body is not None:
        media = dict(call.headers)["Content-Type"]
        content = [
            f"request.Content = new StringContent({_quoted(call.body)}, Encoding.UTF8);",
            f"request.Content.Headers.ContentType = MediaTypeHeaderValue.Parse({_quoted(media)});",
        ]
    return "\n".join([
        "using System;",
        "using System.Linq;",
        "using System.Net.Http;",
        "using System.Net.Http.Headers;",
        "using System.Text;",
        "",
        "using var client = new HttpClient();",
        f"using var request = new HttpRequestMessage(new HttpMethod({_quoted(call.method)}), {_quoted(call.url)});",
        *[f"request.Headers.TryAddWithoutValidation({_quoted(n)}, {_quoted(v)});" for n, v in sent],
        *content,
        "using var answer = await client.SendAsync(request);",
        'answer.Headers.TryGetValues("x-road-request-id", out var message);',
        'Console.WriteLine("message " + message?.FirstOrDefault());',
        "Console.WriteLine(await answer.Content.ReadAsStringAsync());",
        "return answer.IsSuccessStatusCode ? 0 : 1;",
        "",
    ])  # fmt: skip
