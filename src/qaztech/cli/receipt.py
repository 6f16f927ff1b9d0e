"""`qaztech receipt`: take the receipt of one exchange from a node."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from qaztech.cli.country import add_home
from qaztech.core.errors import NotFound
from qaztech.runtime.settings import home_directory

if TYPE_CHECKING:
    from qaztech.cli.verbs import Verbs


def add_parser(verbs: Verbs) -> None:
    """Add the verb."""
    parser = verbs.add_parser(
        "receipt",
        help="take the receipt of an exchange",
        description="Print the receipt of an exchange as JSON, or with --html as one file that shows and checks it.",
    )
    add_home(parser)
    parser.add_argument("message", metavar="MESSAGE_ID", help="x-road-request-id of the answer, or `last`")
    parser.add_argument("--node", required=True, metavar="NAME", help="which party's node to ask")
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
    from qaztech.testing.processes import management  # noqa: PLC0415  # imports that other verbs need not pay

    home = home_directory(args.home)
    message = args.message
    if message == "last":
        recent = management(home, args.node, "/exchanges?limit=1")
        if not recent:
            raise NotFound(
                "exchange.none", f"node {args.node} has had no exchange since it started; give the MESSAGE_ID"
            )
        message = recent[0]["message"]
    query = [("wait", args.wait), ("seconds", str(args.seconds))] + [("disclose", field) for field in args.disclose]
    receipt = management(home, args.node, f"/receipts/{message}?{urlencode(query)}", seconds=args.seconds + 30)
    if args.html:
        from qaztech.web.receipt_html import render_html  # noqa: PLC0415

        anchor = (home / "anchor.json").read_bytes()
        sys.stdout.buffer.write(render_html(receipt, anchor, language=args.language))
    else:
        json.dump(receipt, sys.stdout, ensure_ascii=False, indent=1)
        print()
    return 0
