"""`qaztech up`, `status`, `down`: the embedded country."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from typing import TYPE_CHECKING, Any

from qaztech.core.errors import Conflict, Malformed
from qaztech.runtime.settings import home_directory

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from qaztech.cli.verbs import Verbs
    from qaztech.testing.country import CountryOptions, Ports

READY_WITHIN = 60.0
FIRST_CALL_AFTER = 0.25


def add_parsers(verbs: Verbs) -> None:
    """Add the three verbs."""
    up = verbs.add_parser("up", help="start the embedded country and say how to try it")
    add_home(up)
    up.add_argument("--base-port", type=int, default=None, metavar="N", help="first of 19 ports (8400; only at first)")
    up.add_argument("--no-sample", action="store_true", help="without the national sample (only at first)")
    up.add_argument("--json", action="store_true", help="print the status as JSON when ready")
    up.set_defaults(run=_up)
    status = verbs.add_parser("status", help="say what runs, and whether all is ready")
    add_home(status)
    status.add_argument("--wait", type=float, default=0.0, metavar="SECONDS", help="wait so long for all to be ready")
    status.add_argument("--json", action="store_true", help="print it as JSON")
    status.set_defaults(run=_status)
    down = verbs.add_parser("down", help="stop the embedded country; `up` goes on where it stopped")
    add_home(down)
    down.set_defaults(run=_down)


def add_home(parser: argparse.ArgumentParser) -> None:
    """The option that every verb takes."""
    parser.add_argument("--home", default=None, metavar="DIR", help="where the country lives (~/.qaztech)")


def _up(args: argparse.Namespace) -> int:
    from qaztech.testing import processes  # noqa: PLC0415  # a second of imports that other verbs need not pay
    from qaztech.testing.alone import alone  # noqa: PLC0415

    home = home_directory(args.home)
    began = time.monotonic()

    def tell(text: str) -> None:
        sys.stderr.write(f"  {time.monotonic() - began:5.1f} s  {text}\n")

    with alone(home, tell):
        fresh = _found(home, args, tell)
    sys.stderr.write("Starting its processes\n")
    try:
        with alone(home, tell):
            processes.start(home, tell, keep=True)
        now = processes.wait(home, READY_WITHIN, tell)
        # Whoever called a node just before it listened dials it again by then: the first call goes through.
        time.sleep(FIRST_CALL_AFTER)
    except BaseException:
        # In a country that has lived, whoever mends one process needs the others: its witnesses, its registry.
        if fresh:
            processes.stop(home)
            sys.stderr.write("  what had been started is stopped again\n")
        else:
            sys.stderr.write("  what did start goes on (qaztech status, qaztech down)\n")
        raise
    if args.json:
        print(json.dumps(now, ensure_ascii=False))
    else:
        _say_how_to_try(now)
    return 0


def _found(home: Path, args: argparse.Namespace, tell: Callable[[str], None]) -> bool:
    """Make the country if there is none; says whether it was made."""
    from qaztech.testing.country import DEFAULT_BASE_PORT, Ports, found, is_founded  # noqa: PLC0415

    if is_founded(home):
        if args.base_port is not None:
            sys.stderr.write("  --base-port is ignored: this country has its ports already\n")
        return False
    base = args.base_port if args.base_port is not None else DEFAULT_BASE_PORT
    _check_ports(base)
    sys.stderr.write(f"Founding the country KZ in {home}\n")
    asyncio.run(found(home, _options(Ports.at(base), args), tell))
    return True


def _options(ports: Ports, args: argparse.Namespace) -> CountryOptions:
    from qaztech.testing.country import CountryOptions  # noqa: PLC0415

    sample = not args.no_sample
    return CountryOptions(ports=ports, sample=sample, life=sample)


def _check_ports(base: int) -> None:
    """Before anything is made: the ports must be free, for a country keeps those it was founded with."""
    from qaztech.testing.country import Ports  # noqa: PLC0415

    if not 1024 <= base <= 65_500:
        raise Malformed("command.base-port", "--base-port is a number from 1024 to 65500", at="caller")
    taken = Ports.at(base).taken()
    if taken:
        numbers = ", ".join(map(str, taken))
        raise Conflict(
            "country.port-taken",
            f"somebody else listens on port {numbers}; stop that, or take others: qaztech up --base-port {base + 100}",
            at="caller",
        )


def _say_how_to_try(now: dict[str, Any]) -> None:
    print(f"Ready. Look at it:  {now['portal']}")
    print("Call a service of one organisation from another, take the receipt, check it offline:")
    for name in ("curl", "receipt", "verify"):
        print(f"  {now['try'][name]}")
    sys.stderr.write(f"Stop it with: {now['try']['down']}\n")


def _status(args: argparse.Namespace) -> int:
    from qaztech.testing import processes  # noqa: PLC0415

    home = home_directory(args.home)
    now = processes.wait(home, args.wait, patient=True) if args.wait else processes.status(home)
    troubles = processes.troubles(home)
    if args.json:
        print(json.dumps({**now, "troubles": troubles}, ensure_ascii=False))
    else:
        print("ready" if now["ready"] else "not ready")
        for name, state in now["processes"].items():
            print(f"  {name:18} {state}")
            for text in troubles.get(name, ()):
                print(f"  {'':18}   {text}")
        print(f"  {'page':18} {now['portal']}")
        print(f"  {'registry console':18} {now['console']['url']}  (accounts: {now['console']['accounts']})")
        if "centre" in now:
            _say_center(now["centre"])
        for name, console in now["consoles"].items():
            print(f"  {'console':18} {console['url']}  ({name}; who may sign in: {console['people']})")
        if "ai" in now:
            print(f"  {'gateway':18} {now['ai']['gateway']}/v1  (model {now['ai']['model']}; key: {now['ai']['key']})")
        for name in ("curl", "receipt", "verify"):
            print(f"  {name:18} {now['try'][name]}")
        if "ai" in now:
            print(f"  {'call a model':18} {now['ai']['try']}")
    return 0 if now["ready"] else 1


def _say_center(centre: dict[str, Any]) -> None:
    if centre["installed"]:
        print(f"  {'support center':18} {centre['url']}  (who may sign in: {centre['people']})")
    else:
        print(f"  {'support center':18} not started: it needs qaztech[traffic]")


def _down(args: argparse.Namespace) -> int:
    from qaztech.testing import processes  # noqa: PLC0415
    from qaztech.testing.alone import alone  # noqa: PLC0415
    from qaztech.testing.country import is_founded  # noqa: PLC0415

    home = home_directory(args.home)
    if not is_founded(home):
        sys.stderr.write(f"There is no country in {home}.\n")
        return 0

    def tell(text: str) -> None:
        print(f"  {text}", file=sys.stderr)

    with alone(home, tell):
        processes.stop(home, tell)
    return 0
