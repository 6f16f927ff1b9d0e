"""What verbs share: options explained once, asking before what cannot be undone, facts for people or for programs."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qaztech.cli.country import add_home
from qaztech.core.errors import Conflict, Malformed, NotFound
from qaztech.runtime.settings import home_directory

if TYPE_CHECKING:
    from qaztech.cli.verbs import Verbs
    from qaztech.registry.forms import Names

Run = Callable[[argparse.Namespace], int]


def add_action(actions: Verbs, name: str, help_: str, run: Run, *, more: str = "") -> argparse.ArgumentParser:
    """One action of a verb, with the options that all have."""
    said = f"{help_[0].upper()}{help_[1:]}.{f' {more}' if more else ''}"
    parser = actions.add_parser(name, help=help_, description=said)
    add_home(parser)
    parser.set_defaults(run=run)
    return parser


def add_json(parser: argparse.ArgumentParser) -> None:
    """Printing for programs."""
    parser.add_argument("--json", action="store_true", help="print the facts as JSON")


def add_yes(parser: argparse.ArgumentParser) -> None:
    """Not being asked."""
    parser.add_argument("--yes", action="store_true", help="do it without asking; needed where there is no terminal")


def add_desk(parser: argparse.ArgumentParser) -> None:
    """The member's folder."""
    parser.add_argument(
        "--desk", type=Path, required=True, metavar="DIR", help="the member's folder, with its key and member file"
    )


def add_names(parser: argparse.ArgumentParser, *, required: bool) -> None:
    """A name in three languages."""
    for code, language in (("kk", "Kazakh"), ("ru", "Russian"), ("en", "English")):
        parser.add_argument(f"--name-{code}", required=required, metavar="NAME", help=f"its name in {language}")


def add_registry(parser: argparse.ArgumentParser) -> None:
    """The registry's management API, which is reached from the registry's own machine."""
    parser.add_argument("--registry", metavar="URL", help="the registry's address (the embedded country's)")
    parser.add_argument(
        "--token-file", type=Path, metavar="FILE", help="file with its management token (the embedded country's)"
    )


def add_registry_url(parser: argparse.ArgumentParser) -> None:
    """The registry, for what anyone may bring there."""
    parser.add_argument("--registry", metavar="URL", help="the registry's address (the embedded country's)")


def names_of(args: argparse.Namespace) -> Names | None:
    """The names given; None where none is. Raises `Malformed` where only some are."""
    from qaztech.registry.forms import Names  # noqa: PLC0415  # imports that other verbs need not pay

    given = [args.name_kk, args.name_ru, args.name_en]
    if not any(given):
        return None
    if not all(given):
        raise Malformed("command.malformed", "a name has three languages: give --name-kk, --name-ru and --name-en")
    return Names(kk=args.name_kk, ru=args.name_ru, en=args.name_en)


def registry_of(args: argparse.Namespace) -> tuple[str, str]:
    """URL and management token: as given, else those of the embedded country. Raises `NotFound`."""
    url, home = registry_url_of(args), home_directory(args.home)
    file = args.token_file if args.token_file is not None else home / "registry" / "management.token"
    try:
        return url, file.read_text().strip()
    except FileNotFoundError as exc:
        raise NotFound("command.missing", f"there is no {file}; give the registry's with --token-file") from exc


def registry_url_of(args: argparse.Namespace) -> str:
    """URL of the registry: as given, else that of the embedded country. Raises `NotFound`."""
    if args.registry is not None:
        return str(args.registry)
    home = home_directory(args.home)
    try:
        return str(json.loads((home / "country.json").read_text())["registry"])
    except FileNotFoundError as exc:
        raise NotFound("command.missing", f"which registry? There is no country in {home}; give --registry") from exc


def confirm(args: argparse.Namespace, what: str) -> None:
    """Ask before something that cannot be undone. Raises `Conflict` unless `--yes` is given or a person agrees."""
    if args.yes:
        return
    if sys.stdin.isatty():
        sys.stderr.write(f"{what} Go on? [y/N] ")
        sys.stderr.flush()
        if sys.stdin.readline().strip().lower() in {"y", "yes"}:
            return
        raise Conflict("command.declined", "nothing was done")
    raise Conflict("command.unconfirmed", f"{what} Add --yes if that is meant; nothing was done")


def tell(args: argparse.Namespace, facts: Mapping[str, Any], lines: Sequence[str]) -> int:
    """Print facts for programs, or lines for people; gives the exit status of what went well."""
    print(json.dumps(facts, ensure_ascii=False) if args.json else "\n".join(lines))
    return 0
