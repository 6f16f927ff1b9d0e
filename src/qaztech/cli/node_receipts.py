"""`qaztech node receipts`: all receipts of one member from a node that serves it, as a folder of files it can keep."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from qaztech.cli.options import add_action, add_json, tell
from qaztech.core.errors import Error
from qaztech.core.ids import MemberId

if TYPE_CHECKING:
    from qaztech.cli.verbs import Verbs


def add_receipts(actions: Verbs) -> None:
    """Add the action."""
    receipts = add_action(
        actions, "receipts", "take all receipts of a member from the node that serves it", _receipts,
        more="The node runs meanwhile. What the folder has is not asked for again. Exits 1 if some are missing.",
    )  # fmt: skip
    receipts.add_argument("--settings", type=Path, required=True, metavar="FILE", help="its node.toml")
    receipts.add_argument("--member", required=True, metavar="ID", help="such as KZ/GOV/991340000017")
    receipts.add_argument("--out", type=Path, required=True, metavar="DIR", help="where to put them, a file each")
    receipts.add_argument(
        "--wait", choices=("recorded", "witnessed", "timestamped"), default="witnessed",
        help="what each must be (witnessed)",
    )  # fmt: skip
    receipts.add_argument("--seconds", type=float, default=20.0, help="how long to wait for each (20)")
    receipts.add_argument("--token-file", type=Path, metavar="FILE", help="the token of its management API")
    add_json(receipts)


def _receipts(args: argparse.Namespace) -> int:
    from qaztech.node.leaving import messages_of  # noqa: PLC0415  # imports that other verbs need not pay
    from qaztech.node.settings import NodeSettings  # noqa: PLC0415
    from qaztech.registry.files import replace_file  # noqa: PLC0415
    from qaztech.runtime.settings import read_settings  # noqa: PLC0415
    from qaztech.testing.processes import ask  # noqa: PLC0415

    settings = read_settings(args.settings, NodeSettings)
    directory = (args.settings.parent / settings.directory).resolve()
    where = f"http://{settings.management.host}:{settings.management.port}"
    token = args.token_file.read_text().strip() if args.token_file else ""
    args.out.mkdir(parents=True, exist_ok=True, mode=0o700)
    query = urlencode({"wait": args.wait, "seconds": args.seconds})
    kept, missing = 0, {}
    for message in messages_of(directory, MemberId.parse(args.member)):
        file = args.out / f"{message}.json"
        if not file.exists():
            try:
                receipt = ask(where, f"/receipts/{message}?{query}", seconds=args.seconds + 30, name="", token=token)
            except Error as exc:
                missing[message] = exc.code
                sys.stderr.write(f"  {message}: {exc.detail}\n")
                continue
            replace_file(file, json.dumps(receipt, ensure_ascii=False, indent=1).encode() + b"\n")
        kept += 1
    facts = {"member": args.member, "directory": str(args.out), "receipts": kept, "missing": missing}
    tell(args, facts, [f"{kept} receipts of {args.member} in {args.out}; {len(missing)} could not be had"])
    return 1 if missing else 0
