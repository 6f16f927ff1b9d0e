"""What we carry may be carried: the licence of every package that runs stands on a list."""

from __future__ import annotations

import importlib.util
import re
from email.message import Message
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def script(name: str):
    """A program of the workshop, as a module."""
    spec = importlib.util.spec_from_file_location(name, ROOT / f"scripts/{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


LICENCES = script("licences")
# Without what another interpreter, or another system, would need.
LOCKED = re.findall(
    r"^([a-z0-9._-]+)==(?!.*(?:implementation != 'CPython'|sys_platform == 'win32'))",
    (ROOT / "requirements/run.lock").read_text(encoding="utf-8"),
    re.MULTILINE,
)


def said(**fields: str | list[str]) -> Message:
    """The metadata of a package."""
    message = Message()
    for name, values in fields.items():
        for value in [values] if isinstance(values, str) else values:
            message[name.replace("_", "-")] = value
    return message


def test_every_package_that_runs_has_a_licence_we_allow() -> None:
    """One that has not, or does not say, is named here."""
    refused = {}
    for name in LOCKED:
        try:
            licence = LICENCES.licence_of(distribution(name).metadata)
        except PackageNotFoundError:
            licence = "(not installed)"
        if not LICENCES.is_allowed(name, licence):
            refused[name] = licence or "(it does not say)"
    assert len(LOCKED) > 40
    assert refused == {}, "decide in scripts/licences.py"


def test_no_exception_outlives_its_package() -> None:
    """The list of exceptions only names what is carried."""
    assert set(LICENCES.EXCEPTIONS) <= set(LOCKED)


@pytest.mark.parametrize(
    ("metadata", "licence", "allowed"),
    [
        (said(License_Expression="Apache-2.0 OR GPL-3.0-only"), "Apache-2.0 OR GPL-3.0-only", True),
        (said(License_Expression="MIT AND GPL-3.0-only"), "MIT AND GPL-3.0-only", False),
        (said(License_Expression="AGPL-3.0-only", Classifier="License :: OSI Approved :: MIT License"),
         "AGPL-3.0-only", False),
        (said(Classifier=["License :: OSI Approved :: MIT License", "License :: OSI Approved :: BSD License"]),
         "MIT AND LicenseRef-BSD", True),
        (said(Classifier=["License :: OSI Approved :: MIT License", "License :: Proprietary"]), "", False),
        (said(License="MIT"), "MIT", True),
        (said(License="Do what you want"), "", False),
        (said(), "", False),
        (said(License_Expression="LGPL-2.1-only"), "LGPL-2.1-only", False),
    ],
)  # fmt: skip
def test_what_a_package_says_is_read_strictly(metadata: Message, licence: str, allowed: bool) -> None:
    """An expression counts before classifiers, all classifiers count, and silence is a refusal."""
    assert LICENCES.licence_of(metadata) == licence
    assert LICENCES.is_allowed("some-package", licence) is allowed
