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
def keys(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The release key, and the public halves of that one and of another, which signed nothing."""
    folder = tmp_path_factory.mktemp("keys")
    made = bundler()
    key, other = made.Ed25519Key.generate(), made.Ed25519Key.generate()
    key.save(folder / "release.pem")
    (folder / "right.vkey").write_text(f"{made.release_vkey(key)}\n")
    (folder / "wrong.vkey").write_text(f"{made.release_vkey(other)}\n")
    return {name: folder / name for name in ("release.pem", "right.vkey", "wrong.vkey")}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory, keys: dict[str, Path]) -> Path:
    """The archive, signed and unpacked; its wheels come from the package index that pip is set up with."""
    folder = tmp_path_factory.mktemp("bundle")
    command = [sys.executable, ROOT / "scripts/bundle.py", "--out", folder, "--key", keys["release.pem"]]
    subprocess.run(command, check=True, timeout=300)
    assert (folder / "qaztech-release.vkey").read_text() == keys["right.vkey"].read_text()
    archive = next(folder.glob("*.tar.gz"))
    digest = archive.with_name(f"{archive.name}.sha256").read_text().split()[0]
    assert hashlib.sha256(archive.read_bytes()).hexdigest() == digest
    with tarfile.open(archive) as file:
        file.extractall(folder, filter="data")
    return folder / archive.name.removesuffix(".tar.gz")


def install(bundle: Path, target: Path, key: Path | str = "") -> subprocess.CompletedProcess[str]:
    """Run install.sh where no index answers."""
    return subprocess.run(
        ["sh", bundle / "install.sh", target], capture_output=True, text=True, timeout=300,
        env={**OFFLINE, "PYTHON": sys.executable, "RELEASE_KEY": str(key)},
    )  # fmt: skip


@pytest.fixture(scope="module")
def installed(bundle: Path, keys: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its command."""
    target = tmp_path_factory.mktemp("installed") / "qaztech"
    done = install(bundle, target, keys["right.vkey"])
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


@pytest.mark.slow
def test_what_another_key_signed_or_nobody_is_not_installed(
    bundle: Path, keys: dict[str, Path], tmp_path: Path
) -> None:
    """Where a key is named it must have signed; where none is named, an archive that nobody signed says so loudly."""
    done = install(bundle, tmp_path / "target", keys["wrong.vkey"])
    assert done.returncode != 0
    assert "has not signed this folder: nothing was installed" in done.stderr
    bare = shutil.copytree(bundle, tmp_path / "bare")
    (bare / "SHA256SUMS.note").unlink()
    assert "has not signed" in install(bare, tmp_path / "target", keys["right.vkey"]).stderr
    assert not (tmp_path / "target").exists()
    assert "NOT SIGNED" in install(bare, tmp_path).stderr  # and ends, because that folder is there


@pytest.mark.slow
def test_the_running_release_checks_the_archive_before_it_is_installed(bundle: Path, keys: dict[str, Path]) -> None:
    """`qaztech upgrade-check` says which release it is, by a key that was told another way."""
    said = subprocess.run(
        [sys.executable, "-m", "qaztech.cli.main", "upgrade-check", "--json", "--bundle", bundle, "--release-key",
         keys["right.vkey"]],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert json.loads(said.stdout)["bundle"] == bundler().version(), said.stderr


@pytest.mark.slow
def test_postgresql_and_traces_need_nothing_more(installed: Path) -> None:
    """Their drivers are in the archive, so both settings work where there is no network."""
    asked = "import psycopg, opentelemetry.sdk.trace, opentelemetry.exporter.otlp.proto.http.trace_exporter"
    done = subprocess.run([installed.with_name("python"), "-c", asked], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


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
