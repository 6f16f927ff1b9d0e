"""What comes from outside: pinned, hashed, and without a word on where this or that machine gets it."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

LOCKS = ["dev", "run"]
# Spelled in pieces, so that this file does not hold what it looks for.
REGISTRIES = re.compile(
    "|".join(
        [
            "py" + r"pi\.org",
            "python" + r"hosted\.org",
            "deb" + r"ian\.org",
            "npm" + r"js\.(?:org|com)",
            "conda" + r"\.org",
        ]
    )
)
MACHINE_PATHS = re.compile(r"(?<![\w.$}~<-])/(?:work|root|Users|home/(?!\$|\{|<|USER)\w+)/[\w.-]+")


def entries(root: Path, lock: str) -> dict[str, str]:
    """The packages of a lock, each with the text of its entry."""
    text = (root / f"requirements/{lock}.lock").read_text(encoding="utf-8")
    parts = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)
    return {match[1]: part for part in parts if (match := re.match(r"([a-z0-9._-]+)==", part))}


def name_of(requirement: str) -> str:
    """A requirement's package, as locks spell it."""
    return re.sub(r"[-_.]+", "-", re.match(r"[A-Za-z0-9._-]+", requirement)[0]).lower()  # type: ignore[index]


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_pins_every_package_by_hash_and_names_no_index(root: Path, lock: str) -> None:
    """Where a package comes from is the business of each machine; what it is, is not."""
    text = (root / f"requirements/{lock}.lock").read_text(encoding="utf-8")
    assert [name for name, entry in entries(root, lock).items() if "--hash=sha256:" not in entry] == []
    assert re.findall(r"https?://|--(?:extra-)?index-url|--find-links|--trusted-host", text) == []
    loose = [line for line in text.splitlines() if re.match(r"[a-z]", line) and "==" not in line]
    assert loose == []


def test_the_locks_of_tests_pin_by_hash_and_name_no_index_either(root: Path) -> None:
    """Programs that only tests run come as everything else does."""
    for lock in root.glob("tests/**/*.lock"):
        text = lock.read_text(encoding="utf-8")
        parts = [part for part in re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE) if "==" in part]
        assert parts, lock
        assert [part.split()[0] for part in parts if "--hash=sha256:" not in part] == [], lock
        assert re.findall(r"https?://|--(?:extra-)?index-url|--find-links|--trusted-host", text) == [], lock


def test_the_locks_hold_what_the_project_asks_for(root: Path) -> None:
    """A dependency added without `make lock` is noticed."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    needed = {
        name_of(r) for r in [*project["project"]["dependencies"], *project["project"]["optional-dependencies"]["demo"]]
    }
    build = {name_of(r) for r in project["build-system"]["requires"]}
    groups = {name_of(r) for group in project["dependency-groups"].values() for r in group if isinstance(r, str)}
    assert needed | build <= set(entries(root, "run"))
    assert needed | build | groups <= set(entries(root, "dev"))


def test_both_locks_agree(root: Path) -> None:
    """What runs is what was tested."""
    tested = {name: entry.split()[0] for name, entry in entries(root, "dev").items()}
    run = {name: entry.split()[0] for name, entry in entries(root, "run").items()}
    assert {name: pin for name, pin in run.items() if tested.get(name) != pin} == {}


def test_no_file_knows_the_machine_it_was_written_on(root: Path, tracked: list[Path]) -> None:
    """No path of someone's machine, and no host of a package registry, in any file of the project."""
    found = []
    for path in tracked:
        text = path.read_bytes().decode("utf-8", errors="replace")
        for pattern in (REGISTRIES, MACHINE_PATHS):
            found += [f"{path.relative_to(root)}: {match[0]}" for match in pattern.finditer(text)]
    assert found == []


def test_the_build_asks_for_nothing_that_is_not_locked(root: Path) -> None:
    """Setting up installs with hashes, wheels only, and builds the project without an index."""
    makefile = (root / "Makefile").read_text(encoding="utf-8")
    installs = [line for line in makefile.splitlines() if "$(PIP) install" in line]
    assert installs
    for line in installs:
        locked = "--require-hashes" in line and "--only-binary :all:" in line
        itself = "--no-index" in line and "--no-deps" in line and "--no-build-isolation" in line
        assert locked or itself


def test_every_file_beside_the_code_goes_into_the_wheel(root: Path) -> None:
    """A file that only a checkout has fails first where somebody has installed the release."""
    given = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    source = root / "src" / "qaztech"
    patterns = given["tool"]["setuptools"]["package-data"]["qaztech"]
    carried = {path for pattern in patterns for path in source.glob(pattern)} | {
        path for pattern in patterns if pattern.endswith("**") for path in source.glob(pattern + "/*")
    }
    beside = {path for path in source.rglob("*") if path.is_file() and path.suffix not in {".py", ".pyc"}}
    assert beside - carried == set()
