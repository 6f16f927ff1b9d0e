"""`qaztech member requests`, `publish` and `maintenance`: what people do at a member's console, by its API.

Requests for access travel through the member's node and are kept by the console, so the console does it; these commands
ask it. Rights that need no request are given at the desk (`rights`).
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qaztech.cli.desk import add_service_id, moment, time_of
from qaztech.cli.options import Run, add_action, add_json, add_yes, confirm, tell
from qaztech.core.errors import Malformed, NotFound, Unavailable

if TYPE_CHECKING:
    from qaztech.cli.verbs import Verbs
    from qaztech.member.console_client import ConsoleClient

CONSOLE = "http://127.0.0.1:8420"
MAX_TOKEN, MAX_FILE = 4096, 2 * 1024 * 1024
_NOT_SENT = "the request was kept and did not arrive"


def add_actions(actions: Verbs) -> None:
    """Add the actions."""
    _add_publish(actions)
    _add_maintenance(actions)
    requests = actions.add_parser(
        "requests",
        help="ask others for access, and decide on what others ask",
        description="Ask others for access, and decide on what others ask, by the API of the member's console.",
    )
    below = requests.add_subparsers(title="actions", metavar="ACTION", required=True)
    listed = _action(below, "list", "list the requests received, the newest first", _list)
    listed.add_argument("--state", metavar="STATE", help="only those in this state, such as submitted")
    show = _action(below, "show", "show a request, and what has become of it", _show)
    for parser in (listed, show):
        parser.add_argument("--made", action="store_true", help="of the requests that this member made")
    decide = _action(
        below, "decide", "approve, refuse or revoke a request that was received", _decide,
        more="Approved without more, all that was asked for is given.",
    )  # fmt: skip
    _add_decision(decide)
    ask = _action(
        below, "ask", "ask another member for access to a service", _ask,
        more="The request goes as an exchange, and is on record at both nodes.",
    )  # fmt: skip
    _add_request(ask)
    poll = _action(below, "poll", "ask the provider now how a request stands", _poll)
    send = _action(below, "send", "send a request again that did not arrive", _send)
    withdraw = _action(below, "withdraw", "take a request back that is not decided yet", _withdraw)
    for parser in (show, decide, poll, send, withdraw):
        parser.add_argument("id", metavar="ID", help="the request's id here, as `list` prints it")
    for parser in (decide, withdraw):
        add_yes(parser)
    for parser in (listed, show, decide, ask, poll, send, withdraw):
        add_json(parser)


def _action(actions: Verbs, name: str, help_: str, run: Run, *, more: str = "") -> argparse.ArgumentParser:
    parser = add_action(actions, name, help_, run, more=more)
    parser.add_argument(
        "--console", default=CONSOLE, metavar="URL", help=f"the member's console ({CONSOLE}); elsewhere by https"
    )
    parser.add_argument(
        "--token-file", type=Path, required=True, metavar="FILE",
        help="file with an API token (`qaztech people token`), of scopes that allow it",
    )  # fmt: skip
    return parser


def _add_decision(parser: argparse.ArgumentParser) -> None:
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--approve", action="store_true", help="give access")
    what.add_argument("--refuse", metavar="REASON", help="say no; the other side reads the reason")
    what.add_argument("--revoke", metavar="REASON", help="take away what was given; the other side reads the reason")
    parser.add_argument(
        "--endpoint", action="append", metavar='"METHOD /PATH"', help="give this one only; repeatable (all as asked)"
    )
    parser.add_argument("--until", metavar="DAY", help="the last day, such as 2031-05-01, or `open` (as asked)")
    parser.add_argument("--calls-a-minute", type=int, metavar="N", help="at most so many calls a minute (as asked)")
    parser.add_argument("--calls-a-day", type=int, metavar="N", help="at most so many calls a day (as asked)")
    parser.add_argument("--version", type=int, metavar="N", help="decide only if the request is still at this version")


def _add_request(parser: argparse.ArgumentParser) -> None:
    add_service_id(parser)
    parser.add_argument("--client", required=True, metavar="ID", help="the own subsystem that will call")
    parser.add_argument(
        "--endpoint", action="append", required=True, metavar='"METHOD /PATH"', help='such as "GET /**"; repeatable'
    )
    for code, language in (("kk", "Kazakh"), ("ru", "Russian"), ("en", "English")):
        parser.add_argument(f"--purpose-{code}", metavar="TEXT", help=f"what it is for, in {language}; one at least")
    parser.add_argument("--basis", required=True, metavar="TEXT", help="the legal basis")
    parser.add_argument("--calls-a-minute", type=int, required=True, metavar="N", help="how often at most")
    parser.add_argument("--calls-a-day", type=int, required=True, metavar="N", help="how often at most")
    parser.add_argument("--until", metavar="DAY", help="the last day it is needed, such as 2031-05-01 (without end)")
    parser.add_argument("--contact", required=True, metavar="ADDRESS", help="where to ask back: of a unit, no person's")
    parser.add_argument(
        "--role", default="developer", choices=("administrator", "service-owner", "developer"),
        help="the role of who asks (developer)",
    )  # fmt: skip


def _add_publish(actions: Verbs) -> None:
    publish = _action(
        actions, "publish", "publish a service at the member's console, or change one", _publish,
        more="What is not given stays as it is. The whole member as one file: `qaztech apply`.",
    )  # fmt: skip
    add_service_id(publish)
    publish.add_argument("--passport", type=Path, metavar="FILE", help="its passport as JSON; needed for a new one")
    publish.add_argument("--url", metavar="URL", help="where the node finds the system")
    document = publish.add_mutually_exclusive_group()
    document.add_argument("--openapi", type=Path, metavar="FILE", help="its OpenAPI document, JSON or YAML")
    document.add_argument(
        "--openapi-url", metavar="URL", help="where the console is to fetch it, from a host its settings allow"
    )
    add_json(publish)


def _add_maintenance(actions: Verbs) -> None:
    plan = _action(
        actions, "maintenance", "plan when a service is not there, or take the plan back", _maintenance,
        more="Meanwhile the node answers callers with the notice; at the end it goes on by itself.",
    )  # fmt: skip
    add_service_id(plan)
    plan.add_argument("--from", dest="begin", metavar="TIME", help="such as 2031-05-01T02:00+05:00")
    plan.add_argument("--until", dest="end", metavar="TIME", help="its end, within 31 days")
    for code, language in (("kk", "Kazakh"), ("ru", "Russian"), ("en", "English")):
        plan.add_argument(f"--notice-{code}", metavar="TEXT", help=f"what callers are told, in {language}")
    plan.add_argument("--cancel", action="store_true", help="there is none any more")
    add_json(plan)


# What they do ------------------------------------------------------------------------------------------------------


def _console(args: argparse.Namespace) -> ConsoleClient:
    from qaztech.member.console_client import ConsoleClient  # noqa: PLC0415  # imports that other verbs need not pay

    with args.token_file.open(encoding="utf-8", errors="replace") as file:
        return ConsoleClient(args.console, file.read(MAX_TOKEN).strip())


def _list(args: argparse.Namespace) -> int:
    found = _console(args).get("requests" if args.made else "access")
    found = [one for one in found if args.state is None or one["state"] == args.state]
    lines = [_line(one) for one in found]
    return tell(args, {"requests": found}, lines or ["no requests"])


def _line(one: dict[str, Any]) -> str:
    asked = one["request"]
    return f"{one['id']}  {one['state']:11} {moment(one['time'])}  {asked['client']} → {asked['service']}"


def _show(args: argparse.Namespace) -> int:
    found = _console(args).get("requests" if args.made else "access", args.id)
    return tell(args, found, _lines(found))


def _decide(args: argparse.Namespace) -> int:
    console = _console(args)
    found = console.get("access", args.id)
    narrowing = (args.endpoint, args.until, args.calls_a_minute, args.calls_a_day)
    if not args.approve and any(each is not None for each in narrowing):
        raise Malformed("command.malformed", "endpoints, day and limits go with --approve")
    decision: dict[str, Any] = {"version": found["version"] if args.version is None else args.version}
    if args.approve:
        decision["approve"] = _granted(args, found["request"])
        what = f"{', '.join(decision['approve']['endpoints'])} of {found['request']['service']} is given"
    elif args.refuse is not None:
        decision["refuse"], what = args.refuse, "It is refused"
    else:
        decision["revoke"], what = args.revoke, "What was given is taken away"
    if not args.yes:
        confirm(args, "\n".join([*_lines(found), f"{what}."]))
    decided = console.post("access", args.id, "decision", body=decision)
    late = [f"not yet: {decided[where]} (it is tried again)" for where in ("registry", "node") if decided[where]]
    return tell(args, decided, [f"{args.id} is {decided['request']['state']}", *late])


def _granted(args: argparse.Namespace, request: dict[str, Any]) -> dict[str, Any]:
    until = request["until"] if args.until is None else None if args.until == "open" else args.until
    return {
        "endpoints": args.endpoint or request["endpoints"],
        "until": until,
        "calls_a_minute": request["calls_a_minute"] if args.calls_a_minute is None else args.calls_a_minute,
        "calls_a_day": request["calls_a_day"] if args.calls_a_day is None else args.calls_a_day,
    }


def _ask(args: argparse.Namespace) -> int:
    from qaztech.member.access import TYPE  # noqa: PLC0415

    wanted = {
        "type": TYPE, "service": args.service, "client": args.client, "endpoints": args.endpoint,
        "purpose": {"kk": args.purpose_kk, "ru": args.purpose_ru, "en": args.purpose_en}, "basis": args.basis,
        "calls_a_day": args.calls_a_day, "calls_a_minute": args.calls_a_minute, "until": args.until,
        "contact": args.contact, "requested_by": args.role,
    }  # fmt: skip
    return _sent(args, _console(args).post("requests", body=wanted))


def _send(args: argparse.Namespace) -> int:
    console = _console(args)
    version = console.get("requests", args.id)["version"]
    return _sent(args, console.post("requests", args.id, "send", body={"version": version}))


def _sent(args: argparse.Namespace, made: dict[str, Any]) -> int:
    """Tell a request that was sent; one that did not arrive is told on the way to an error."""
    if made["state"] not in {"sending", "unsent"}:
        return tell(args, made, _lines(made))
    tell(args, made, _lines(made))
    again = f"`qaztech member requests send {made['id']}` sends it again"
    raise Unavailable("access.unsent", f"{_NOT_SENT}: {made['trouble']}; {again}")


def _poll(args: argparse.Namespace) -> int:
    made = _console(args).post("requests", args.id, "poll", body={})
    return tell(args, made, _lines(made))


def _withdraw(args: argparse.Namespace) -> int:
    console = _console(args)
    made = console.get("requests", args.id)
    if not args.yes:
        confirm(args, f"{made['request']['client']} no longer asks for {made['request']['service']}.")
    made = console.post("requests", args.id, "withdraw", body={"version": made["version"]})
    return tell(args, made, _lines(made))


def _lines(found: dict[str, Any]) -> list[str]:
    """A request for people: what is asked, and step by step what has become of it."""
    asked = found["request"]
    purpose = "; ".join(text for text in asked["purpose"].values() if text)
    often = f"{asked['calls_a_minute']} a minute, {asked['calls_a_day']} a day"
    lines = [
        f"request    {found['id']}, {found['state']}, version {found['version']}",
        f"client     {asked['client']}",
        f"service    {asked['service']}",
        f"endpoints  {', '.join(asked['endpoints'])}",
        f"purpose    {purpose}",
        f"basis      {asked['basis']}",
        f"calls      {often}, until {asked['until'] or 'further notice'}",
        f"contact    {asked['contact']}",
    ]
    for change in found["changes"]:
        reason = f": {change['reason']}" if change["reason"] else ""
        lines.append(f"{moment(change['time'])}  {change['state']} by {change['role']}{reason}")
    if found.get("trouble"):
        lines.append(f"trouble    {found['trouble']}")
    return ["".join(letter if letter.isprintable() else " " for letter in line) for line in lines]


def _publish(args: argparse.Namespace) -> int:
    console, wanted = _console(args), {"service": args.service}
    wanted["passport"] = _json(args.passport) if args.passport is not None else _passport(console, args.service)
    if args.url is not None:
        wanted["url"] = args.url
    if args.openapi is not None:
        wanted["openapi"] = _text(args.openapi)
    if args.openapi_url is not None:
        wanted["openapi_url"] = args.openapi_url
    signed = console.put("services", body=wanted)
    lines = ["for the node's node.toml:", signed["lines"]] if signed["lines"] else []
    return tell(
        args, signed, [f"service {args.service}, version {signed['version']} of the file", *_late(signed), *lines]
    )


def _maintenance(args: argparse.Namespace) -> int:
    notice = {"kk": args.notice_kk, "ru": args.notice_ru, "en": args.notice_en}
    given = [args.begin, args.end, *notice.values()]
    planned = None
    if args.cancel is any(each is not None for each in given) or not (args.cancel or all(given)):
        raise Malformed("command.malformed", "give --from, --until and --notice-kk, -ru and -en, or --cancel alone")
    if not args.cancel:
        planned = {"begin": time_of(args.begin), "end": time_of(args.end), "notice": notice}
    body = {"service": args.service, "maintenance": planned}
    signed = _console(args).post("services", "maintenance", body=body)
    said = f"{args.service} is not there from {args.begin} until {args.end}" if planned else "no maintenance is planned"
    return tell(args, signed, [said, *_late(signed)])


def _late(signed: dict[str, Any]) -> list[str]:
    """What a change that is signed has not reached."""
    wheres = ("registry", "node", "showcase")
    return [f"not yet: {where} ({signed[where]}); it is tried again" for where in wheres if signed[where]]


def _passport(console: ConsoleClient, service: str) -> Any:
    """The passport as it is."""
    known = next((one for one in console.get("services") if one["id"] == service), None)
    if known is None or known["passport"] is None:
        raise NotFound("command.missing", f"{service} has no passport yet; give one with --passport")
    return known["passport"]


def _text(path: Path) -> str:
    with path.open("rb") as file:
        data = file.read(MAX_FILE + 1)
    try:
        if len(data) > MAX_FILE:
            raise Malformed("command.malformed", f"{path} is longer than {MAX_FILE} bytes")
        return data.decode()
    except UnicodeDecodeError as exc:
        raise Malformed("command.malformed", f"{path} is not UTF-8") from exc


def _json(path: Path) -> Any:
    try:
        return json.loads(_text(path))
    except (ValueError, RecursionError) as exc:
        raise Malformed("command.malformed", f"{path} is not JSON") from exc
