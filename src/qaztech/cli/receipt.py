"""`qaztech receipt`: take the receipt of one exchange from a node."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from qaztech.cli.country import add_home
from qaztech.core.errors import Malformed, NotFound
from qaztech.runtime.settings import home_directory

if TYPE_CHECKING:
    from qaztech.cli.verbs import Verbs


# Exchanges that are looked through for the last one.
_RECENT = 100


def add_parser(verbs: Verbs) -> None:
    """Add the verb."""
    parser = verbs.add_parser(
        "receipt",
        help="take the receipt of an exchange",
        description="Print the receipt of an exchange as JSON, or with --html as one file that shows and checks it.",
    )
    add_home(parser)
    parser.add_argument("message", metavar="MESSAGE_ID", help="x-road-request-id of the answer, or `last`")
    parser.add_argument(
        "--node",
        default="",
        metavar="NAME",
        help="which node of the embedded country to ask, by its name or its member",
    )
    parser.add_argument("--management", default="", metavar="URL", help="or any node, at its management API")
    parser.add_argument("--token-file", type=Path, default=None, metavar="FILE", help="the token that API wants")
    parser.add_argument(
        "--anchor", type=Path, default=None, metavar="FILE", help="anchor for --html (HOME/anchor.json)"
    )
    parser.add_argument(
        "--wait", choices=("recorded", "witnessed", "timestamped"), default="",
        help="ask the peer, and wait until all proofs are so; exit 1 says which side is missing",
    )  # fmt: skip
    parser.add_argument("--seconds", type=float, default=60.0, help="how long to wait (60)")
    parser.add_argument(
        "--disclose", action="append", default=[], metavar="FIELD",
        help="add the salt of path, query, headers or body; `request.` or `response.` before it for one side only",
    )  # fmt: skip
    parser.add_argument("--html", action="store_true", help="one HTML file that shows the exchange and checks it")
    parser.add_argument("--language", choices=("kk", "ru", "en"), default="en", help="of the HTML file")
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    home = home_directory(args.home)
    if bool(args.node) == bool(args.management):
        raise Malformed("command.node", "name a node by --node NAME, or its API by --management URL", at="caller")
    message = args.message
    if message == "last":
        message = _last(args, home)
    query = [("wait", args.wait), ("seconds", str(args.seconds))] + [("disclose", field) for field in args.disclose]
    receipt = _ask(args, home, f"/receipts/{message}?{urlencode(query)}")
    if args.html:
        from qaztech.web.receipt_html import render_html  # noqa: PLC0415

        anchor = (args.anchor or home / "anchor.json").read_bytes()
        sys.stdout.buffer.write(render_html(receipt, anchor, language=args.language))
    else:
        json.dump(receipt, sys.stdout, ensure_ascii=False, indent=1)
        print()
    return 0


def _last(args: argparse.Namespace, home: Path) -> str:
    """The newest exchange but for those that the country makes by itself: deliveries to the centre, and its life."""
    recent = _ask(args, home, f"/exchanges?limit={_RECENT}")
    if args.node:
        from qaztech.testing.country import read_country  # noqa: PLC0415
        from qaztech.testing.national.founding import life_messages  # noqa: PLC0415

        centre = read_country(home).get("centre", {}).get("service")
        lived = life_messages(home)
        recent = [each for each in recent if each["service"] != centre and each["message"] not in lived]
    if not recent:
        raise NotFound("exchange.none", "the node has had no exchange since it started; give the MESSAGE_ID")
    return str(recent[0]["message"])


def _ask(args: argparse.Namespace, home: Path, path: str) -> Any:
    from qaztech.testing import processes  # noqa: PLC0415  # imports that other verbs need not pay

    seconds = args.seconds + 30
    if args.node:
        return processes.management(home, args.node, path, seconds=seconds)
    token = args.token_file.read_text().strip() if args.token_file else ""
    return processes.ask(args.management, path, seconds=seconds, name="there", token=token)
