"""The archive of `make bundle`: whole, told apart from a changed one, installed and run without a network."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from qaztech.testing.country import Ports, read_country
from qaztech.testing.instance import request

ROOT = Path(__file__).parents[2]
# An index that is not there, so that whatever asks one fails.
OFFLINE = {**os.environ, "PIP_INDEX_URL": "http://127.0.0.1:9/", "PIP_CONFIG_FILE": os.devnull, "PIP_NO_CACHE_DIR": "1"}


def bundler():
    """scripts/bundle.py as a module."""
    spec = importlib.util.spec_from_file_location("bundle", ROOT / "scripts/bundle.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_our_wheel_holds_every_file_of_the_package(tmp_path: Path) -> None:
    """Pages, texts and schemas are in it as they are in the checkout, and nothing else is."""
    wheel = bundler().build_own_wheel(tmp_path)
    with zipfile.ZipFile(wheel) as archive:
        inside = {name for name in archive.namelist() if name.startswith("qaztech/")}
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "src/qaztech"], cwd=ROOT,
        capture_output=True, check=True,
    )  # fmt: skip
    here = {n.removeprefix("src/") for n in listed.stdout.decode().split("\0") if n and (ROOT / n).is_file()}
    assert (here - inside, inside - here) == (set(), set())


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The archive, unpacked; its wheels come from the package index that pip is set up with."""
    folder = tmp_path_factory.mktemp("bundle")
    subprocess.run([sys.executable, ROOT / "scripts/bundle.py", "--out", folder], check=True, timeout=300)
    archive = next(folder.glob("*.tar.gz"))
    digest = archive.with_name(f"{archive.name}.sha256").read_text().split()[0]
    assert hashlib.sha256(archive.read_bytes()).hexdigest() == digest
    with tarfile.open(archive) as file:
        file.extractall(folder, filter="data")
    return folder / archive.name.removesuffix(".tar.gz")


def install(bundle: Path, target: Path) -> subprocess.CompletedProcess[str]:
    """Run install.sh where no index answers."""
    return subprocess.run(
        ["sh", bundle / "install.sh", target], env={**OFFLINE, "PYTHON": sys.executable}, capture_output=True,
        text=True, timeout=300,
    )  # fmt: skip


@pytest.fixture(scope="module")
def installed(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its command."""
    target = tmp_path_factory.mktemp("installed") / "qaztech"
    done = install(bundle, target)
    assert done.returncode == 0, done.stderr
    return target / "bin" / "qaztech"


@pytest.mark.slow
def test_the_sbom_names_every_wheel_with_hash_and_licence(bundle: Path) -> None:
    """And what needs what, so that nothing in the archive hangs in the air."""
    sbom = json.loads((bundle / "sbom.cdx.json").read_text())
    parts = [sbom["metadata"]["component"], *sbom["components"]]
    told = {p["properties"][0]["value"]: p["hashes"][0]["content"] for p in parts}
    there = {w.name: hashlib.sha256(w.read_bytes()).hexdigest() for w in (bundle / "wheels").iterdir()}
    assert told == there
    assert all(part["licenses"][0]["expression"] for part in parts)
    own = next(d for d in sbom["dependencies"] if d["ref"].startswith("pkg:pypi/qaztech@"))
    assert any(ref.startswith("pkg:pypi/cryptography@") for ref in own["dependsOn"])
    assert {d["ref"] for d in sbom["dependencies"]} == {p["bom-ref"] for p in parts}


@pytest.mark.slow
def test_the_licences_are_in_it(bundle: Path) -> None:
    """For every package whose wheel brings its licence there is a folder with the text."""
    assert len(list((bundle / "licences").iterdir())) > 45
    assert all(file.stat().st_size for file in (bundle / "licences").rglob("*") if file.is_file())


@pytest.mark.slow
def test_a_changed_file_is_not_installed(bundle: Path, tmp_path: Path) -> None:
    """One byte is enough, and nothing is left behind."""
    changed = shutil.copytree(bundle, tmp_path / "changed")
    wheel = next((changed / "wheels").glob("qaztech-*.whl"))
    wheel.write_bytes(wheel.read_bytes() + b"x")
    done = install(changed, tmp_path / "target")
    assert done.returncode != 0
    assert "nothing was installed" in done.stderr
    assert not (tmp_path / "target").exists()


@pytest.fixture
def home(installed: Path, tmp_path: Path) -> Iterator[Path]:
    """A folder for a country; what runs there is ended."""
    yield tmp_path / "home"
    subprocess.run([installed, "down", "--home", tmp_path / "home"], capture_output=True, timeout=120)


@pytest.mark.slow
def test_what_is_installed_runs_a_country(installed: Path, home: Path) -> None:
    """Help, the country up, a call, down again: all from the folder that was installed, none from the checkout."""
    shown = subprocess.run([installed, "--help"], capture_output=True, text=True, timeout=60, env=OFFLINE)
    assert "qaztech up" in shown.stdout
    # Below the ports that outgoing connections are given.
    base = next(base for base in range(20_000, 32_000, 50) if not Ports.at(base).taken())
    up = subprocess.run(
        [installed, "up", "--home", home, "--base-port", str(base)], capture_output=True, text=True, timeout=120,
        env=OFFLINE,
    )  # fmt: skip
    assert up.returncode == 0, up.stdout + up.stderr
    country = read_country(home)
    ministry = next(node for node in country["nodes"] if node["name"] == "ministry")
    target = f"/r1/{country['systems'][0]['service']}/countries/KZ.json?_shape=object"
    answer = request(ministry["edge"], "GET", target, headers={"X-Road-Client": ministry["system"]})
    assert answer.status == 200
    assert b"Kazakhstan" in answer.body
