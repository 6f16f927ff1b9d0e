"""`qaztech witness`: make a witness's keys, and run one that is a process of its own."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from qaztech.cli.options import add_action, add_json, tell
from qaztech.cli.running import add_run, serve
from qaztech.core.errors import Malformed

if TYPE_CHECKING:
    from qaztech.cli.verbs import Verbs


def add_parser(verbs: Verbs) -> None:
    """Add the verb and what it does."""
    parser = verbs.add_parser("witness", help="make a witness's keys, or run a witness")
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    add_run(actions, "a witness that is a process of its own", "witness.toml", _run)
    new = add_action(
        actions, "new", "make a witness's keys, and print the lines that name it in an instance's policy", _new,
        more="In a node's folder it makes the keys for that node's own witness.",
    )  # fmt: skip
    new.add_argument("directory", type=Path, metavar="DIR", help="its folder")
    new.add_argument("--name", required=True, help="its name in the policy, such as archive")
    new.add_argument("--key-name", required=True, metavar="KEYNAME", help="its key name, such as example.org/witness")
    new.add_argument("--url", required=True, metavar="URL", help="where logs reach it")
    new.add_argument("--registry", default="", metavar="URL", help="where it will fetch the configuration")
    new.add_argument("--no-hybrid", action="store_true", help="no ML-DSA-44 key beside the Ed25519 one")
    add_json(new)


def _run(args: argparse.Namespace) -> int:
    from qaztech.compose.witness import run_witness  # noqa: PLC0415  # imports that other verbs need not pay

    return serve(lambda stop: run_witness(args.settings, stop))


def _new(args: argparse.Namespace) -> int:
    from qaztech.registry.files import write_file  # noqa: PLC0415
    from qaztech.registry.founding import policy_lines  # noqa: PLC0415
    from qaztech.registry.key_files import create_cosigner  # noqa: PLC0415

    parts = urlsplit(args.url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise Malformed("outbound.url", f"not an http(s) URL: {args.url!r}")
    directory: Path = args.directory
    keys = create_cosigner(directory, args.key_name, hybrid=not args.no_hybrid).verifier_keys
    lines = policy_lines(args.name, keys, args.url)
    if not (directory / "node.toml").exists() and not (directory / "witness.toml").exists():
        settings = [
            "# A witness. Paths are relative to this file.",
            f"name = {json.dumps(args.key_name)}",
            'directory = "."',
            "# The instance's anchor, once the registry has it: compare its fingerprint.",
            'anchor = "anchor.json"',
            f"registry = {json.dumps(args.registry)}",
            'host = "127.0.0.1"',
            f"port = {parts.port or 8402}",
            "",
        ]
        write_file(directory / "witness.toml", "\n".join(settings).encode())
    return tell(args, {"name": args.name, "key_name": args.key_name, "url": args.url, "policy": lines}, lines)
