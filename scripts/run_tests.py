"""Run the tests part by part and close with one line that counts them all.

Where tests run beside each other, a few that failed are run once more by themselves: a test that waits in vain because
ten processes of another start is no defect. They are named, so that nobody takes it for nothing.

The unit tests run without a network (an empty network namespace, loopback only) wherever the kernel lets a plain user
have one, so that a unit test which needs the outside world cannot slip in. All parts run even if one fails.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from xml.etree import ElementTree as ET

ROOT = Path(__file__).resolve().parent.parent
PARTS = ("unit", "property", "interop", "contract", "house", "e2e")
# Unit tests that `contract` runs again, on PostgreSQL: those of what keeps its tables in either database.
CONTRACT = (
    "ai/test_ai_keys.py",
    "ai/test_ai_ledger.py",
    "ai/test_ai_usage.py",
    "registry/test_registry_admission.py",
    "registry/test_registry_application.py",
    "registry/test_registry_enrolment.py",
    "registry/test_registry_joining.py",
    "registry/test_registry_office.py",
    "registry/test_registry_store.py",
    "people",
    "hub",
    "ai/test_ai_store.py",
    "ai/test_ai_service.py",
    "runtime/test_runtime_migration.py",
    "web/test_web_registry_console.py",
    "member/test_member_requests.py",
    "member/test_member_store.py",
)
# How a part is spread over all cores. Where a file starts a country or a server, one worker has the whole file.
SPREAD = {
    "unit": "worksteal", "property": "worksteal", "interop": "loadfile", "contract": "loadfile", "e2e": "loadfile",
}  # fmt: skip
# A worker of these has a country of ten processes: on a large machine memory would be the bound.
MOST_WITH_COUNTRIES = 4
# What measures time or uses up both cores has the machine to itself, after the others of its part.
ALONE = {
    "e2e": (
        "test_access_requests.py", "test_bench_measures_both_sides.py", "test_exchange_kills.py",
        "test_renewal_certificate.py", "test_two_nodes.py",
    )
}  # fmt: skip
NO_TESTS_COLLECTED = 5
# More failures than these are not the load's.
FEW = 6
# A test that hangs is a failure with a name, not a run without an end. Far above what any takes on a busy machine.
TEST_LIMIT = {"unit": 60}
OTHER_TEST_LIMIT = 300
PART_LIMIT = 1500
# Unit tests sync little and often, which on a disk is waiting: what they keep is in memory where so much is free.
MEMORY = Path("/dev/shm")
MEMORY_WANTED = 2 * 1024**3
_SIOCSIFFLAGS = 0x8914
_UP_AND_RUNNING = 0x41


def main() -> int:
    """Run the parts named on the command line, or all of them."""
    if sys.argv[1:2] == ["--alone"]:
        _loopback_up()
        os.execvp(sys.argv[2], sys.argv[2:])
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of: {' '.join(PARTS)} (default: all)")
    chosen = parser.parse_args().parts or PARTS
    if unknown := set(chosen) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    # Compiled once, not while the first tests wait.
    subprocess.run([sys.executable, "-m", "compileall", "-q", "-j", "0", "src", "tests"], cwd=ROOT, check=False)
    counts = {"passed": 0, "failed": 0, "skipped": 0, "expected": 0, "alone": 0}
    broken = []
    for part in chosen:
        folder = ROOT / "tests" / part
        if not any(folder.rglob("test_*.py")):
            _say(f"== {part}: no tests yet")
            continue
        more = ["--database", "postgresql", *(f"tests/unit/{path}" for path in CONTRACT)] if part == "contract" else []
        if not _run(part, [*more, str(folder)], counts):
            broken.append(part)
    if counts["expected"]:
        _say(f"known defects, marked as expected failures: {counts['expected']}")
    if counts["alone"]:
        _say(f"failed beside others, and passed by themselves: {counts['alone']}")
    if broken:
        _say(f"failed parts: {', '.join(broken)}")
    _say(f"{counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped")
    return 1 if broken else 0


def _run(part: str, tests: list[str], counts: dict[str, int]) -> bool:
    prefix = _without_network() if part == "unit" else []
    _say(f"== {part}{' (no network)' if prefix else ''}")
    begun = time.monotonic()
    alone = [str(ROOT / "tests" / part / name) for name in ALONE.get(part, ())]
    spread = ["-n", str(_workers(SPREAD[part])), "--dist", SPREAD[part]] if part in SPREAD else []
    with tempfile.TemporaryDirectory() as cache:
        remembered = ["-o", f"cache_dir={cache}"]
        ignored = [f"--ignore={path}" for path in alone]
        first = _run_once(part, prefix, [*remembered, *spread, *ignored, *tests], counts)
        if first == 1 and spread and (failed := _failed(Path(cache))):
            _say(f"   once more, by themselves: {', '.join(failed)}")
            counts["failed"] -= len(failed)
            again = {"passed": 0, "failed": 0, "skipped": 0, "expected": 0}
            first = _run_once(part, prefix, [*remembered, "--last-failed", *ignored, *tests], again)
            counts["failed"] += again["failed"]
            counts["passed"] += again["passed"]
            counts["alone"] += again["passed"]
    statuses = {first}
    if alone:
        statuses.add(_run_once(part, prefix, alone, counts))
    _say(f"   {part} took {time.monotonic() - begun:.1f} s")
    if not statuses <= {0, 1, NO_TESTS_COLLECTED}:
        counts["failed"] += 1  # an interrupted or broken run counts even if no test did
    return statuses <= {0, NO_TESTS_COLLECTED}


def _failed(cache: Path) -> list[str]:
    """The tests that failed, by what pytest remembers; none where there were too many to be the load's."""
    file = cache / "v" / "cache" / "lastfailed"
    failed = sorted(json.loads(file.read_text())) if file.exists() else []
    return failed if len(failed) <= FEW else []


def _workers(how: str) -> int:
    cores = os.cpu_count() or 1
    return min(cores, MOST_WITH_COUNTRIES) if how == "loadfile" else cores


def _run_once(part: str, prefix: list[str], arguments: list[str], counts: dict[str, int]) -> int:
    with tempfile.TemporaryDirectory(dir=_in_memory() if part == "unit" else None) as scratch:
        report = Path(scratch, "report.xml")
        # A unit test that hangs is ended from a thread, whatever it waits for, and with it its worker: another goes on.
        # In the others what they have started must end too.
        limit = [
            f"--timeout={TEST_LIMIT.get(part, OTHER_TEST_LIMIT)}",
            *(["--timeout-method=thread"] if part == "unit" else []),
        ]
        place = [f"--basetemp={scratch}/tests"] if part == "unit" else []
        options = ["--quiet", f"--junit-xml={report}", *limit, *place]
        status = _run_within(PART_LIMIT, [*prefix, sys.executable, "-m", "pytest", *options, *arguments])
        _count(report, counts)
    return status


def _run_within(seconds: int, command: list[str]) -> int:
    # Tests begin hundreds of processes: none of them compiles anew what another has compiled.
    compiling = ["env", "-u", "PYTHONDONTWRITEBYTECODE"]
    process = subprocess.Popen([*compiling, *command], cwd=ROOT, start_new_session=True)
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        _say(f"   not done after {seconds} s: ended")
        return 124
    finally:
        if process.poll() is None:  # too slow, or interrupted by hand
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _in_memory() -> Path | None:
    has_room = os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free >= MEMORY_WANTED
    return MEMORY if has_room else None


def _count(report: Path, counts: dict[str, int]) -> None:
    if not report.exists():
        return
    for case in ET.parse(report).getroot().iter("testcase"):
        skipped = case.find("skipped")
        if case.find("failure") is not None or case.find("error") is not None:
            counts["failed"] += 1
        elif skipped is None:
            counts["passed"] += 1
        else:
            counts["expected" if skipped.get("type") == "pytest.xfail" else "skipped"] += 1


def _without_network() -> list[str]:
    prefix = ["unshare", "--map-root-user", "--net", sys.executable, str(Path(__file__)), "--alone"]
    try:
        subprocess.run([*prefix, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        return []
    return prefix


def _loopback_up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sh", b"lo", _UP_AND_RUNNING))


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
