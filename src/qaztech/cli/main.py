"""The `qaztech` command: one verb, one module; every verb takes `--home` and says what to do when it fails."""

from __future__ import annotations

import argparse
import atexit
import gc
import sys
from collections.abc import Sequence
from functools import lru_cache

from qaztech.cli import (
    ai,
    apply,
    backup,
    console,
    country,
    hub,
    log,
    member,
    node,
    people,
    receipt,
    registry,
    running,
    upgrade,
    verify,
    witness,
)
from qaztech.core.errors import FINAL_STATUS, Error, Halt


@lru_cache(maxsize=1)
def parser() -> argparse.ArgumentParser:
    """The whole command line; the same each time, for it is long in the making."""
    top = argparse.ArgumentParser(
        prog="qaztech",
        description="Organisations call each other, and every call can be proven offline, years later.",
        epilog="Begin with `qaztech up`. Every verb has --help.",
    )
    top.add_argument("--version", action=_Version, nargs=0, help="show which release this is, and exit")
    verbs = top.add_subparsers(title="verbs", metavar="VERB", required=True)
    country.add_parsers(verbs)
    receipt.add_parser(verbs)
    verify.add_parser(verbs)
    log.add_parser(verbs)
    member.add_parser(verbs)
    node.add_parser(verbs)
    people.add_parser(verbs)
    registry.add_parser(verbs)
    apply.add_parser(verbs)
    witness.add_parser(verbs)
    hub.add_parser(verbs)
    ai.add_parser(verbs)
    running.add_portal(verbs)
    console.add_parser(verbs)
    backup.add_parsers(verbs)
    upgrade.add_parser(verbs)
    return top


class _Version(argparse.Action):
    """Shows the release; what finds it out is imported only then."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from qaztech.runtime.release import release  # noqa: PLC0415  # imports that verbs need not pay

        sys.stdout.write(f"qaztech {release()}\n")
        parser.exit()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb; gives its exit status. Without arguments it is this process's own command line."""
    if arguments is None:
        _collect_seldom()
    args = parser().parse_args(arguments)
    try:
        return int(args.run(args))
    except Error as exc:
        sys.stderr.write(f"qaztech: {exc.detail} ({exc.code})\n")
        return FINAL_STATUS if isinstance(exc, Halt) and exc.is_final else 1
    except OSError as exc:
        if isinstance(exc, BrokenPipeError):
            return 141
        sys.stderr.write(f"qaztech: {exc.filename or 'the system'}: {exc.strerror or exc}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("\nqaztech: interrupted\n")
        return 130


def _collect_seldom() -> None:
    # What is imported stays until the end: to look through it again and again for garbage, and once more for each part
    # when the process ends, takes a third of the time of a short command. What serves collects as ever (`running`).
    gc.set_threshold(50_000, 10, 10)
    atexit.register(_freeze)


def _freeze() -> None:
    # DuckDB complains on standard error of what it finds uncollected at the end.
    if "_duckdb" in sys.modules:
        gc.unfreeze()
    else:
        gc.freeze()


if __name__ == "__main__":
    sys.exit(main())
