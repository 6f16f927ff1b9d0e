"""`qaztech ai statement --from-node` and `--management`: a month's statement by a node's records; `--compare`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qaztech.cli.options import tell
from qaztech.core.errors import Malformed, NotFound

if TYPE_CHECKING:
    from qaztech.ai.proving import Told, Unlike

_SECONDS = 60.0


def add_proving(parser: argparse.ArgumentParser) -> None:
    """Where records are, and what to hold them against."""
    parser.add_argument("--from-node", type=Path, metavar="FILE", help="sum what this node.toml's node has on record")
    parser.add_argument("--management", metavar="URL", help="or what the node at this management API has on record")
    parser.add_argument("--token-file", type=Path, metavar="FILE", help="the token that API wants")
    parser.add_argument(
        "--compare", type=Path, metavar="FILE",
        help="the other side's statement as JSON, or its --calls: tell every difference, exit 1 if there is any",
    )  # fmt: skip


def is_proved(args: argparse.Namespace) -> bool:
    """Whether a node's records are asked for. Raises `Malformed` for half of it."""
    named = [each for each in (args.from_node, args.management) if each is not None]
    if len(named) > 1 or (named and (args.settings is not None or args.database is not None)):
        raise Malformed("command.malformed", "one of --settings, --database, --from-node and --management")
    if args.compare is not None and not named:
        raise Malformed("command.malformed", "--compare needs a node's records: --from-node or --management")
    return bool(named)


def run_proved(args: argparse.Namespace) -> int:
    """The statement by records, and what the other side says otherwise."""
    from qaztech.ai.gateway.budgeting import exact_tenge, whole_tenge  # noqa: PLC0415
    from qaztech.ai.proving import compare, prove, read_other  # noqa: PLC0415

    if args.calls and args.json:
        raise Malformed("command.malformed", "--calls prints JSON by itself")
    if args.compare is not None and not args.compare.is_file():
        raise NotFound("command.missing", f"there is no {args.compare.absolute()}")
    found = prove(_told(args), args.month, client=args.member or "", provider=args.provider or "")
    unlike = None if args.compare is None else compare(found.each, read_other(args.compare))
    if args.calls:
        for told in found.each:
            sys.stdout.write(json.dumps(asdict(told), ensure_ascii=False) + "\n")
        return 1 if unlike else 0
    lines = [
        f"{each.client}  {each.service}  {each.model}  {each.version}  {each.calls} calls"
        f"{f' ({each.failed} failed)' if each.failed else ''}  {each.prompt_tokens} + {each.completion_tokens} tokens"
        f"  {exact_tenge(each.cost)} tenge"
        for each in found.lines
    ]
    lines.append(
        f"total: {whole_tenge(found.total)} tenge (exactly {exact_tenge(found.total)}) for {len(found.each)} calls"
    )
    lines += [f"{call} was told twice, and not the same: the first counts" for call in found.twice]
    facts: dict[str, Any] = found.facts()
    if unlike is not None:
        facts["differences"] = [asdict(each) for each in unlike]
        lines += [_difference(each) for each in unlike] or ["both sides say the same of every call"]
    tell(args, facts, lines)
    return 1 if unlike else 0


def _told(args: argparse.Namespace) -> Iterator[Told]:
    from qaztech.ai.proving import ask_node, read_node  # noqa: PLC0415  # imports that other verbs need not pay

    if args.from_node is not None:
        from qaztech.node.settings import NodeSettings  # noqa: PLC0415
        from qaztech.runtime.settings import read_settings  # noqa: PLC0415

        settings = read_settings(args.from_node, NodeSettings)
        return read_node((args.from_node.parent / settings.directory).resolve(), args.month)
    from qaztech.testing.processes import ask  # noqa: PLC0415

    token = args.token_file.read_text().strip() if args.token_file else ""
    return ask_node(
        lambda path: ask(args.management, path, seconds=_SECONDS, name="there", token=token), args.month,
        args.member or args.provider or "",
    )  # fmt: skip


def _difference(each: Unlike) -> str:
    def said(side: Any) -> str:
        return "nothing" if side is None else ", ".join(f"{name} {value}" for name, value in side.items())

    proof = f"; the receipt of {each.message} shows it" if each.message else ""
    return f"{each.call}: on record here {said(each.here)}; the other side says {said(each.there)}{proof}"
