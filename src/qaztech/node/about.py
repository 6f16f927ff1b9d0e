"""What a node says about the country and its services, from the verified configuration: the metadata services' answers.

The forms are `metadata`'s; here is only which members, services and rights go into them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from qaztech.core.ids import ServiceId, SubsystemId
from qaztech.node import metadata
from qaztech.node.metadata import ClientEntry, ServiceEntry
from qaztech.registry.configuration import Configuration, Method


def clients(configuration: Configuration, target: bytes, accept: list[bytes]) -> metadata.Answer:
    """The answer to `listClients`: every member and subsystem of the directory; nobody of another instance."""
    asked = metadata.asked_instance(target)
    entries = _clients(configuration) if asked in {None, configuration.instance} else iter(())
    return metadata.list_clients(entries, accept)


def _clients(configuration: Configuration) -> Iterator[ClientEntry]:
    for member in configuration.members():
        yield ClientEntry(member.id, member.names.en)
        for subsystem, names in member.subsystems:
            yield ClientEntry(subsystem, member.names.en, names.en)


def describe(
    service: ServiceId,
    client: SubsystemId,
    query: bytes,
    *,
    configuration: Configuration,
    now: int,
    description: Callable[[ServiceId], tuple[bytes, str] | None],
) -> metadata.Answer:
    """The answer of `listMethods`, `allowedMethods` or `getOpenAPI` at a subsystem. Raises what the caller is told.

    `description` gives a service's description and the name of its file.
    """
    subsystem = service.subsystem
    if service.code == "listMethods":
        return metadata.method_list(_entries(subsystem, configuration.methods(subsystem)))
    if service.code == "allowedMethods":
        return metadata.method_list(_entries(subsystem, configuration.allowed(subsystem, client, now)))
    asked = metadata.asked_service(query, subsystem)
    known = {entry.id: entry for entry in _entries(subsystem, configuration.methods(subsystem))}
    metadata.check_described(asked, known.get(asked))
    found = description(asked)
    if found is None:
        raise metadata.unreadable(asked)
    return metadata.anonymise(asked, found[0], path=found[1])


def _entries(subsystem: SubsystemId, methods: tuple[Method, ...]) -> Iterator[ServiceEntry]:
    for method in methods:
        yield ServiceEntry(ServiceId(subsystem, method.code), method.type, method.endpoints)
