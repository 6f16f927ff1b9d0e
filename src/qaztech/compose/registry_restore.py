"""A registry that was restored: its admin log ends, and the rest goes on above what was published (`resuming`)."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from qaztech.compose.registry import RegistrySettings
from qaztech.compose.restore import Restored, end_admin_log
from qaztech.core.errors import Unavailable
from qaztech.core.time import Clock
from qaztech.evidence.last_seen import LastSeen, last_seen
from qaztech.evidence.note import ED25519
from qaztech.evidence.policy import Policy
from qaztech.registry.admin_logs import all_ended, joined, note_admin_logs, read_admin_logs
from qaztech.registry.admission import Registry
from qaztech.registry.anchor import parse_anchor
from qaztech.registry.directory import InstanceSettings
from qaztech.registry.fetch import HttpFetcher
from qaztech.registry.founding import ADMIN_LOG, OWN_WITNESS, REGISTRY_FILE
from qaztech.registry.key_files import LogKeys, load_log_keys
from qaztech.registry.mirror import Fetcher
from qaztech.registry.resuming import FolderFetcher, LogOutcome, Resuming
from qaztech.registry.store import RegistryStore
from qaztech.runtime.database import database_url
from qaztech.runtime.outbound import get
from qaztech.runtime.settings import read_settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumed:
    """What a restored registry goes on with. `published` is None where no copy of it was given."""

    published: int | None
    not_taken: list[str]
    log: LogOutcome


def source_of(published: str) -> Fetcher | None:
    """Where the newest of what was published is: a folder, or the URL of a server that still shows it."""
    if not published:
        return None
    if published.startswith(("http://", "https://")):
        return HttpFetcher(published)
    return FolderFetcher(Path(published))


def resume(restored: Restored, source: Fetcher | None, clock: Clock) -> Resumed:
    """Bring the restored folder up to what was published, before anything is signed in it.

    Raises `Untrusted` for a copy that does not verify, and `Unavailable` where too few witnesses answer.
    """
    folder = restored.settings.parent
    settings = read_settings(restored.settings, RegistrySettings)
    anchor = parse_anchor((folder / settings.anchor).read_bytes())
    keys = load_log_keys(folder, settings.instance)
    end_admin_log(folder / ADMIN_LOG)
    store = RegistryStore.open(database_url(settings.database, folder / REGISTRY_FILE))
    try:
        with tempfile.TemporaryDirectory(dir=folder, prefix=".resuming-") as scratch:
            resuming = Resuming(directory=folder, anchor=anchor, source=source, scratch=Path(scratch))
            try:
                log = resuming.log(store, keys, _ask(keys, anchor.policy), clock)
            except Unavailable as exc:
                raise _with_advice(exc, anchor.policy) from exc
            published = resuming.publication()
            known = joined(read_admin_logs(folder), resuming.admin_logs())
            if known:
                note_admin_logs(folder, settings.instance, all_ended(known, clock.now()))
            registry = Registry(
                instance=settings.instance,
                store=store,
                settings=InstanceSettings(
                    witnessing_interval=int(settings.witnessing_seconds * 1000),
                    timestamp_interval=int(settings.timestamp_seconds * 1000),
                ),
                clock=clock,
            )
            return Resumed(published=published, not_taken=resuming.state(registry), log=log)
    finally:
        store.close()


def _with_advice(error: Unavailable, policy: Policy) -> Unavailable:
    """The error with what to do about it: wait for witnesses, or, where none of them can help, a new anchor."""
    if error.code != "witness.quorum":
        return error
    if policy.satisfied_by(policy.witnesses.keys() - {OWN_WITNESS}):
        advice = "let those witnesses run, and restore again"
    else:
        advice = (
            "no quorum can do without the registry's own witness, which is lost with it, so this registry cannot go on:"
            " keep what was published in force with the offline keys (docs/howto/registry-lost.md), and found the"
            " country anew with more witnesses"
        )
    return Unavailable(error.code, f"{error.detail}; {advice}", at=error.at)


def _ask(keys: LogKeys, policy: Policy) -> Callable[[], LastSeen]:
    key = next(key for key in keys.vkeys if key.kind == ED25519)
    return lambda: last_seen(keys.origin, key, policy, get)
