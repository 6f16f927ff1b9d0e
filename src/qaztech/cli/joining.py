"""The actions by which an organisation joins: apply, be decided upon, enrol a node (docs/howto/join.md)."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qaztech.cli.desk import changed, moment
from qaztech.cli.options import (
    add_action,
    add_desk,
    add_json,
    add_registry,
    add_registry_url,
    registry_of,
    registry_url_of,
    tell,
)
from qaztech.core.errors import Conflict, Malformed, NotFound
from qaztech.core.ids import NodeId
from qaztech.core.time import SystemClock

if TYPE_CHECKING:
    from qaztech.cli.verbs import Verbs
    from qaztech.registry.desk import Desk
    from qaztech.registry.enrolment import Token

APPLICATION, GRANTS = "application.json", "grants"


def add_member_actions(actions: Verbs) -> None:
    """For the organisation that joins."""
    apply = add_action(
        actions, "apply", "ask the registry to admit the member", _apply,
        more="A person who may sign for the organisation binds the member key to it. Then: member application.",
    )  # fmt: skip
    add_desk(apply)
    add_registry_url(apply)
    apply.add_argument("--unit", required=True, metavar="TEXT", help="the unit that answers for the membership")
    apply.add_argument("--email", required=True, metavar="ADDRESS", help="its address, not a person's")
    apply.add_argument("--phone", required=True, metavar="NUMBER", help="its number, with + and country code")
    apply.add_argument(
        "--signer", type=Path, required=True, metavar="FILE",
        help="key and certificate (PEM) of who signs; of the test kind, from `registry test-signer`",
    )  # fmt: skip
    add_json(apply)
    application = add_action(actions, "application", "say what became of the application", _application)
    add_desk(application)
    add_json(application)
    grant = add_action(
        actions, "grant-node", "let a new node enrol: prints a token, to be used once", _grant,
        more="Hand the token to who sets the node up, by a way that others do not see. Then: member accept-node.",
    )  # fmt: skip
    add_desk(grant)
    add_registry_url(grant)
    grant.add_argument("--node", required=True, metavar="ID", help="what the node is called: MEMBER/CODE")
    add_json(grant)
    accept = add_action(
        actions, "accept-node", "let a node that has enrolled speak for the member", _accept,
        more="Names it and its log in the member file; `member submit` brings that to the registry.",
    )  # fmt: skip
    add_desk(accept)
    accept.add_argument("--node", required=True, metavar="ID", help="as in grant-node")
    add_json(accept)


def add_node_actions(actions: Verbs) -> None:
    """For who sets a node up."""
    enrol = add_action(
        actions, "enrol", "make a node's keys and settings, prove the keys, get its certificate", _enrol,
        more="It can be run again. The member then accepts the node, and it can be started.",
    )  # fmt: skip
    enrol.add_argument("directory", type=Path, metavar="DIR", help="its folder")
    which = enrol.add_mutually_exclusive_group(required=True)
    which.add_argument("--grant", metavar="TOKEN", help="the token from the member's grant-node")
    which.add_argument("--grant-file", type=Path, metavar="FILE", help="a file that holds it")
    enrol.add_argument("--address", required=True, metavar="HOST:PORT", help="where peers reach it")
    enrol.add_argument("--edge-port", type=int, default=8080, metavar="N", help="where systems call (8080)")
    enrol.add_argument("--management-port", type=int, default=4000, metavar="N", help="its management API (4000)")
    enrol.add_argument("--no-hybrid", action="store_true", help="no ML-DSA-44 key for the log")
    add_json(enrol)


def add_registry_actions(actions: Verbs) -> None:
    """For the registry's operator."""
    listing = add_action(actions, "applications", "list applications, those to be decided first", _list)
    listing.add_argument("--all", action="store_true", help="decided ones too")
    decide = add_action(
        actions, "decide", "show an application; with --admit or --refuse, decide it", _decide,
        more="Compare the lineage with what the member told you by another way before you admit.",
    )  # fmt: skip
    decide.add_argument("id", metavar="APPLICATION", help="its id")
    verdict = decide.add_mutually_exclusive_group()
    verdict.add_argument("--admit", action="store_true", help="make it a member")
    verdict.add_argument("--refuse", metavar="REASON", help="refuse it; the applicant is told why")
    for parser in (listing, decide):
        add_registry(parser)
        add_json(parser)
    signer = add_action(
        actions, "test-signer", "make a person of the test kind who signs for an organisation", _test_signer,
        more="With the test authority in the registry's folder. It proves nothing outside a test country.",
    )  # fmt: skip
    signer.add_argument("--directory", type=Path, required=True, metavar="DIR", help="the registry's folder")
    signer.add_argument("--name", required=True, help="the person's name")
    signer.add_argument("--iin", required=True, help="the person's IIN")
    signer.add_argument("--bin", required=True, help="the organisation's BIN")
    signer.add_argument("--out", type=Path, required=True, metavar="FILE", help="where to write key and certificate")
    add_json(signer)


# The organisation --------------------------------------------------------------------------------------------------


def _apply(args: argparse.Namespace) -> int:
    from qaztech.registry.application import binding_text, make_application, new_contact  # noqa: PLC0415
    from qaztech.registry.desk import Desk  # noqa: PLC0415
    from qaztech.registry.files import replace_file  # noqa: PLC0415
    from qaztech.registry.forms import base64  # noqa: PLC0415
    from qaztech.registry.submitting import send  # noqa: PLC0415
    from qaztech.trust.national import TestSigner  # noqa: PLC0415

    url, clock = registry_url_of(args), SystemClock()
    contact = new_contact(args.unit, args.email, args.phone)
    signer = TestSigner.parse(args.signer.read_bytes())
    with Desk.locked(args.desk, clock) as desk:
        now = clock.now()
        envelope = make_application(
            member=desk.member, key=desk.key, names=desk.statement.names, contact=contact, issued=now,
            binding=signer.sign(binding_text(str(desk.member), base64(desk.key.public), now)),
        )  # fmt: skip
        answer = send(url, "/members/applications", envelope)
        kept = {"id": answer["id"], "registry": url}
        replace_file(args.desk / APPLICATION, json.dumps(kept).encode())
        lineage = desk.lineage
    return tell(
        args,
        answer,
        [
            f"application  {answer['id']}",
            f"member       {answer['member']}",
            f"lineage      {lineage}",
            "Tell the registry's operator the lineage by another way; then ask for the outcome:",
            f"  qaztech member application --desk {args.desk}",
        ],
    )


def _application(args: argparse.Namespace) -> int:
    from qaztech.registry.submitting import fetch  # noqa: PLC0415

    try:
        kept = json.loads((args.desk / APPLICATION).read_bytes())
    except FileNotFoundError as exc:
        raise NotFound("application.unknown", f"nothing was applied for from {args.desk}; `member apply` does") from exc
    answer = fetch(kept["registry"], f"/members/applications/{kept['id']}")
    lines = [f"{answer['member']}  {answer['state']}"]
    if answer["reason"]:
        lines.append(f"reason  {answer['reason']}")
    if answer["state"] == "admitted":
        lines.append(f"now: qaztech member submit --desk {args.desk} --registry {kept['registry']}")
    return tell(args, answer, lines)


def _grant(args: argparse.Namespace) -> int:
    from qaztech.registry import enrolling  # noqa: PLC0415
    from qaztech.registry.desk import Desk  # noqa: PLC0415
    from qaztech.registry.files import write_private  # noqa: PLC0415

    node, clock = NodeId.parse(args.node), SystemClock()
    with Desk.locked(args.desk, clock) as desk:
        token = enrolling.grant(desk, node, registry=registry_url_of(args), now=clock.now())
        file = _token_file(args.desk, node)
        file.parent.mkdir(exist_ok=True, mode=0o700)
        file.unlink(missing_ok=True)
        write_private(file, token.format().encode())
    return tell(
        args,
        {"node": str(node), "grant": token.format(), "anchor": token.anchor, "file": str(file)},
        [
            token.format(),
            f"It names the country's anchor: {token.anchor}",
            "Compare that with the one you know by another way: the link to the registry proves nothing.",
            "It is good for one node and seven days. On the node's machine:",
            "  qaztech node enrol DIR --grant TOKEN --address HOST:PORT",
        ],
    )


def _token_file(desk: Path, node: NodeId) -> Path:
    from hashlib import sha256  # noqa: PLC0415

    return desk / GRANTS / f"{sha256(str(node).encode()).hexdigest()[:16]}.grant"


def _accept(args: argparse.Namespace) -> int:
    from qaztech.registry import enrolling  # noqa: PLC0415
    from qaztech.registry.enrolment import Token  # noqa: PLC0415

    node = NodeId.parse(args.node)
    try:
        token = Token.parse(_token_file(args.desk, node).read_text())
    except FileNotFoundError as exc:
        raise NotFound("enrolment.unknown", f"no enrolment of {node} was granted here; `member grant-node`") from exc

    def run(_: argparse.Namespace, desk: Desk) -> str:
        identity = enrolling.accept(desk, enrolling.granted(token))
        return f"node {identity.id} at {identity.address} speaks for the member, with the log {identity.log[0].name}"

    return changed(args, run)


# The node ----------------------------------------------------------------------------------------------------------


def _enrol(args: argparse.Namespace) -> int:
    from qaztech.cli.node import settings_text  # noqa: PLC0415
    from qaztech.registry import enrolling  # noqa: PLC0415
    from qaztech.registry.enrolment import Token  # noqa: PLC0415
    from qaztech.registry.files import write_file  # noqa: PLC0415

    token = Token.parse(args.grant or args.grant_file.read_text())
    host, _, port = args.address.rpartition(":")
    if not host or not port.isdigit():
        raise Malformed("command.malformed", f"not HOST:PORT: {args.address!r}")
    enrolled = enrolling.enrol(token, args.directory, address=args.address, hybrid=not args.no_hybrid)
    settings = args.directory / "node.toml"
    if not settings.exists():
        write_file(settings, _node_settings(settings_text, args, token).encode())
    node = enrolled.identity
    return tell(
        args,
        {"node": str(node.id), "origin": node.log[0].name, "settings": str(settings), "anchor": token.anchor},
        [
            f"node     {node.id}",
            f"log      {node.log[0].name}",
            f"anchor   {token.anchor}, as the member's token names it",
            "At the member's desk, let it speak for the member:",
            f"  qaztech member accept-node --desk DIR --node {node.id}",
            f"  qaztech member submit --desk DIR --registry {token.registry}",
            f"Say in {settings} who may call and what is offered, then",
            f"  qaztech node run --settings {settings}",
        ],
    )


def _node_settings(text: Any, args: argparse.Namespace, token: Token) -> str:
    made: str = text(
        node=NodeId.parse(token.node), lineage=token.lineage, registry=token.registry, address=args.address,
        edge_port=args.edge_port, management_port=args.management_port,
    )  # fmt: skip
    return made


# The registry ------------------------------------------------------------------------------------------------------


def _list(args: argparse.Namespace) -> int:
    from qaztech.registry.submitting import manage  # noqa: PLC0415

    url, token = registry_of(args)
    found = manage(url, token, "applications" if args.all else "applications?state=submitted")
    lines = [f"{a['id']}  {a['state']:10} {moment(a['received'])}  {a['member']}  {a['names']['en']}" for a in found]
    return tell(args, {"applications": found}, lines or ["no applications wait"])


def _decide(args: argparse.Namespace) -> int:
    from qaztech.registry.submitting import manage  # noqa: PLC0415

    url, token = registry_of(args)
    shown = manage(url, token, f"applications/{args.id}")
    if args.admit or args.refuse is not None:
        if shown["state"] != "submitted":
            raise Conflict("application.changed", f"the application is {shown['state']} by now")
        asked = {"admit": args.admit, "version": shown["version"], "reason": args.refuse or ""}
        shown |= manage(url, token, f"applications/{args.id}", json.dumps(asked).encode())
    return tell(
        args,
        shown,
        [
            f"{shown['member']}  {shown['state']}",
            f"lineage    {shown['lineage']}",
            *(f"name {code}    {shown['names'][code]}" for code in ("kk", "ru", "en")),
            f"contact    {shown['contact']['unit']}, {shown['contact']['email']}, {shown['contact']['phone']}",
            f"signed by  {shown['signed_by']['name']} for BIN {shown['signed_by']['bin']}",
            *(f"LOOK       {finding}" for finding in shown["findings"]),
        ],
    )


def _test_signer(args: argparse.Namespace) -> int:
    from qaztech.core.bin import has_valid_checksum, is_bin  # noqa: PLC0415
    from qaztech.registry.files import write_private  # noqa: PLC0415
    from qaztech.trust.national import TestAuthority  # noqa: PLC0415

    if not has_valid_checksum(args.iin) or not is_bin(args.bin):
        raise Malformed("command.malformed", "an IIN and a BIN are twelve digits, the last a check digit")
    try:
        authority = TestAuthority.load(args.directory)
    except FileNotFoundError as exc:
        raise NotFound("national.none", f"there is no test authority in {args.directory}") from exc
    signer = authority.signer(name=args.name, iin=args.iin, bin_=args.bin, now=SystemClock().now())
    write_private(args.out, signer.format())
    return tell(
        args, {"file": str(args.out), "bin": args.bin}, [f"{args.out} signs for BIN {args.bin}: a test, no more"]
    )
