"""axe-core on a page of a browser test: what it finds that keeps people from using the page."""

from __future__ import annotations

from functools import lru_cache
from hashlib import sha256
from pathlib import Path

from playwright.sync_api import Page

FILE = Path(__file__).parent / "vendor" / "axe-core" / "axe.min.js"
HASH = "880970c081707360e64f34cea25ff91892f5bc95675b0776925b9709dd8a68bb"
GRAVE = {"serious", "critical"}
RUN = "async () => (await axe.run(document, { resultTypes: ['violations'] })).violations"


@lru_cache(maxsize=1)
def _source() -> str:
    data = FILE.read_bytes()
    assert sha256(data).hexdigest() == HASH
    return data.decode()


def grave_findings(page: Page) -> list[str]:
    """What axe finds serious or critical on the page as it is now: rule, element and what is wrong."""
    page.evaluate(_source() + ";0")
    found = page.evaluate(RUN)
    return [
        f"{rule['id']}: {node['target']}: {node['failureSummary']}"
        for rule in found
        if rule["impact"] in GRAVE
        for node in rule["nodes"]
    ]
