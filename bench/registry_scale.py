"""A registry the size of a country: `python bench/registry_scale.py [members]`.

10,000 members, each with 3 subsystems, 10 services and 100 rights that others have to them. Real keys, member files,
rights pages and publication on the disk under TMPDIR; no network. Prints what founding took, what one changed
right costs to publish, what a node fetches at its start and after that change, and what a look-up takes.
"""

from __future__ import annotations

import gzip
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from qaztech.core.bin import reserved_bin
from qaztech.core.ids import MemberId, ServiceId
from qaztech.core.rights import Endpoint
from qaztech.registry.authoring import new_statement, revise, with_rights, with_subsystem
from qaztech.registry.directory import page_path
from qaztech.registry.rights_page import RightsPage, parse_rights_page
from qaztech.trust.keys import Ed25519Key
from registry_country import Country, LocalFetcher, MemberDesk, names, seed

SUBSYSTEMS, SERVICES, RIGHTS = 3, 10, 10
COUNTERPARTIES = 20
LIMITS = {"publish s": 2.0, "node start s": 5.0, "changed right KiB": 64.0}
BITS = 9  # of the bins that targets are kept in, as `registry init` has it
ENDPOINTS = [Endpoint.parse("GET /**")]


def member(number: int, country: Country) -> MemberDesk:
    """A member with its systems, not yet admitted."""
    id_ = MemberId("KZ", "GOV", reserved_bin(number))
    key = Ed25519Key.from_seed(seed(f"member {number}"))
    statement = new_statement(id_, key.public, names(f"Организация {number}"), country.clock.now())
    desk = MemberDesk(id=id_, key=key, log_key=key, statement=statement)
    for code in ("main", *(f"system{n}" for n in range(1, SUBSYSTEMS))):
        desk.statement = with_subsystem(desk.statement, desk.subsystem(code), names(f"Система {number} {code}"))
    return desk


def grow(country: Country, count: int) -> list[MemberDesk]:
    """Admit so many members, each with its services and the rights that others have to them."""
    desks = [member(number, country) for number in range(1, count + 1)]
    for place, desk in enumerate(desks):
        country.registry.admit(desk.id, desk.lineage, desk.statement.names)
        for number in range(SERVICES):
            service = country.add_service(desk, f"service{number}")
            for right in range(RIGHTS):
                other = desks[(place * 7 + number * 31 + right * 113 + 1) % count]
                desk.rights[service] = desk.rights[service].grant(other.subsystem("main"), other.lineage, ENDPOINTS)
        submit(country, desk)
    return desks


def submit(country: Country, desk: MemberDesk) -> None:
    """The next version of a member's file, with its pages, as it would be sent."""
    statement, pages = revise(desk.statement, country.clock.now()), []
    for service, rights in desk.rights.items():
        cut = rights.pages(statement.version, before(country, desk, service))
        pages += [page.data for page in cut]
        statement = with_rights(statement, service, [page.reference for page in cut])
    desk.statement = statement
    country.registry.accept_submission(desk.file(), pages)


def before(country: Country, desk: MemberDesk, service: ServiceId) -> dict[str, RightsPage]:
    """The pages in force of a service: one that says the same stays as it is."""
    line = next(line for line in desk.statement.services if line.id == str(service))
    return {r.first: parse_rights_page(country.registry.content(page_path(r.sha256))) for r in line.rights}


def main(count: int = 10_000) -> int:
    """Measure and print; 1 if a limit is missed."""
    with tempfile.TemporaryDirectory(prefix="qaztech-scale-") as folder:
        began = time.perf_counter()
        country = Country(Path(folder), bits=BITS)
        desks = grow(country, count)
        said("made", f"{count:,} members, {count * SERVICES:,} services, {count * SERVICES * RIGHTS:,} rights", began)
        began = time.perf_counter()
        country.publish()
        said("first publication", "", began)

        found = {}
        node_of, provider = desks[0], desks[1]
        client, fetcher = country.client(node_of, "scale")
        for desk in desks[1 : COUNTERPARTIES + 1]:
            client.want(desk.id)
        began = time.perf_counter()
        configuration = client.refresh()
        found["node start s"] = time.perf_counter() - began
        kib, files = wire(country, fetcher)
        print(f"node start: {found['node start s']:.2f} s, {kib:.0f} KiB in {files} files for {COUNTERPARTIES} others")

        service = ServiceId(provider.subsystem("main"), "service0")
        took = []
        for _ in range(2000):
            began = time.perf_counter()
            configuration.authorise(node_of.subsystem("main"), service, "GET", "/x", country.clock.now())
            took.append(time.perf_counter() - began)
        print(f"look-up: {statistics.median(took) * 1e6:.1f} µs")

        country.clock.advance(1000)
        provider.rights[service] = provider.rights[service].grant(node_of.subsystem("main"), node_of.lineage, ENDPOINTS)
        began = time.perf_counter()
        submit(country, provider)
        country.publish()
        found["publish s"] = time.perf_counter() - began
        fetcher.fetched.clear()
        client.refresh()
        found["changed right KiB"], files = wire(country, fetcher)
        print(f"one changed right: published in {found['publish s']:.2f} s; a node fetches", end=" ")
        print(f"{found['changed right KiB']:.1f} KiB in {files} files, as they travel (gzip)")
        print(f"memory of the whole process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MiB")
        country.close()
    missed = {name: value for name, value in found.items() if value > LIMITS[name]}
    told = ", ".join(f"{name} {value:.1f} > {LIMITS[name]}" for name, value in missed.items())
    print(f"missed: {told}" if told else "all reached")
    return bool(missed)


def wire(country: Country, fetcher: LocalFetcher) -> tuple[float, int]:
    """KiB and number of the files fetched, compressed as the registry sends them."""
    size = 0
    for path, length in fetcher.fetched:
        file = country.published / path
        size += len(gzip.compress(file.read_bytes(), 6)) if file.exists() and length >= 1024 else length
    return size / 1024, len(fetcher.fetched)


def said(what: str, more: str, began: float) -> None:
    """One line with its seconds."""
    print(f"{what}: {time.perf_counter() - began:.1f} s {more}", flush=True)


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:2])))
