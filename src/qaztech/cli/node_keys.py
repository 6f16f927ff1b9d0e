"""`qaztech node new-key`: begin to change a node's TLS key. The running node does the rest once its member names it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from qaztech.cli.options import add_action, add_json, tell
from qaztech.core.ids import NodeId

if TYPE_CHECKING:
    from qaztech.cli.verbs import Verbs


def add_new_key(actions: Verbs) -> None:
    """Add the action."""
    new = add_action(
        actions, "new-key", "make the TLS key that a node will change to, and name it in its node.json", _new_key,
        more="The node may run meanwhile. It changes by itself once its member's file names the new key.",
    )  # fmt: skip
    new.add_argument("--settings", type=Path, required=True, metavar="FILE", help="its node.toml")
    add_json(new)


def _new_key(args: argparse.Namespace) -> int:
    from qaztech.node.settings import NodeSettings  # noqa: PLC0415  # imports that other verbs need not pay
    from qaztech.node.tls_files import TlsFiles  # noqa: PLC0415
    from qaztech.registry.forms import base64  # noqa: PLC0415
    from qaztech.registry.node_identity import NODE_FILE  # noqa: PLC0415
    from qaztech.runtime.settings import read_settings  # noqa: PLC0415

    settings = read_settings(args.settings, NodeSettings)
    directory = (args.settings.parent / settings.directory).resolve()
    node = NodeId.parse(settings.id)
    files = TlsFiles(directory, node)
    old, new = files.spki(), files.make_next()
    identity = directory / NODE_FILE
    return tell(
        args,
        {"node": str(node), "tls": base64(old), "next_tls": base64(new), "identity": str(identity)},
        [
            f"in use   {base64(old)}",
            f"to come  {base64(new)}",
            f"1. Let the member name both, with {identity} at its desk, and every member that the node serves:",
            "     qaztech member add-node --desk DIR --node node.json",
            "     qaztech member submit --desk DIR --registry URL",
            "2. Wait until the node has changed: its status says so (certificate.next_key, links_of_old_key).",
            "3. Let the member name the new one alone: the same two commands, with the node.json that the node has",
            "   written by then. Then have the old one revoked:",
            f"     qaztech registry revoke-tls --certificate {directory / 'tls.old.pem'}",
        ],
    )
