"""All detectors of the center, in order, and a run of them over one case.

Two rest on compared texts (`Case.similar`, made by `comparing.pairs`) and find nothing without.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from qaztech.core.errors import NotFound
from qaztech.hub.detectors import alike, life, links, plans, record, stack, suppliers, team, use
from qaztech.hub.detectors.finding import Case, Detector, Finding

# In the order in which the failures are counted in audits; what cannot be told comes after what can.
_ORDER: Final = (
    "paid_but_unused",
    "commissioned_without_use",
    "duplicate",
    "trial_too_long",
    "modification_over_limit",
    "legal_vacuum",
    "stale_record",
    "integration_gap",
    "supplier_concentration",
    "expiry_without_team",
    "obsolete_stack",
    "slippage",
    "orphan",
    "zero_result",
    "after_moratorium",
    "migration_infeasible",
    "register_copy",
    "ai_unclassified",
    "resurrected",
    "idle_compute",
    "self_made_traffic",
    "not_observable",
)
_ALL: Final = (
    *use.DETECTORS,
    *life.DETECTORS,
    *record.DETECTORS,
    *links.DETECTORS,
    *suppliers.DETECTORS,
    *team.DETECTORS,
    *stack.DETECTORS,
    *plans.DETECTORS,
    *alike.DETECTORS,
)
DETECTORS: Final[tuple[Detector, ...]] = tuple(sorted(_ALL, key=lambda detector: _ORDER.index(detector.slug)))

# Told after each detector: its slug, how many have run, how many there are.
Progress = Callable[[str, int, int], None]


def chosen(slugs: Iterable[str] | None) -> tuple[Detector, ...]:
    """The detectors of these slugs, all without any. Raises `NotFound` for a slug that is none."""
    if slugs is None:
        return DETECTORS
    wanted = set(slugs)
    known = {detector.slug for detector in DETECTORS}
    if unknown := wanted - known:
        raise NotFound("detector.unknown", f"no such detector: {', '.join(sorted(unknown))}", at="caller")
    return tuple(detector for detector in DETECTORS if detector.slug in wanted)


def run(case: Case, slugs: Iterable[str] | None = None, progress: Progress | None = None) -> list[Finding]:
    """What the detectors find, in their order and by objects: the same for the same case."""
    detectors = chosen(slugs)
    found: list[Finding] = []
    for number, detector in enumerate(detectors, 1):
        found += sorted(detector.detect(case), key=lambda finding: (finding.objects, finding.facts))
        if progress is not None:
            progress(detector.slug, number, len(detectors))
    return found
