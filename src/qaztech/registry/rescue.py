"""When the registry is lost: keep the country open with the offline keys and a copy of what was published.

Nodes close when what they hold expires, a day after the registry's last sign of life. Whoever holds a threshold of the
offline keys signs the last published state again, with new online keys and a longer life; any static web server at
the registry's URL can then serve it (docs/howto/registry-lost.md). Nobody is admitted and nothing is changed by it.
"""

from __future__ import annotations

from pathlib import Path

from qaztech.core.errors import Internal, Malformed, NotFound
from qaztech.core.time import Clock
from qaztech.registry.keys import RegistryKeys
from qaztech.registry.metadata import DAY
from qaztech.registry.publication import Lifetimes, Publication

MAX_DAYS = 90


def extend(published: Path, keys: RegistryKeys, clock: Clock, *, days: int) -> tuple[int, str]:
    """Sign the published state again so that it is valid for so many days; version and hash of its new snapshot.

    The snapshot is in no log yet: nodes raise an alarm for that and go on. The restored registry logs a newer one.
    """
    if not 1 <= days <= MAX_DAYS:
        raise Malformed("request.malformed", f"an extension is for 1 to {MAX_DAYS} days", at="caller")
    lifetime = days * DAY
    lifetimes = Lifetimes(timestamp=lifetime, snapshot=lifetime, bins=2 * lifetime)
    publication = Publication(directory=published, keys=keys, clock=clock, lifetimes=lifetimes)
    if publication.published is None:
        raise NotFound("registry.empty", f"{published} holds no published snapshot", at="caller")
    publication.check_offline()
    keys.replace_online()
    publication.renew_offline()
    pending = publication.prepare(publication.targets, _unchanged)
    publication.commit(pending)
    if pending is None:
        raise Internal("registry.empty", "nothing was signed anew", at="registry")
    return pending.version, pending.sha256


def _unchanged(path: str) -> bytes:
    raise NotFound("registry.target", f"an extension publishes nothing new, and {path} is", at="registry")
