"""`make bundle`: one archive with everything that QazTech runs on, to be installed without a network.

Inside: the wheels of requirements/run.lock for this platform and this Python, our own wheel, the lock, install.sh, the
systemd units, an SBOM (CycloneDX 1.6), all licences, SHA256SUMS, which a release key signs (SHA256SUMS.note, a C2SP
signed-note). Built twice from the same commit it is the same file.
The wheels come from the index that pip is set up with, or from a folder (--wheels); their hashes are those of the lock.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import importlib.util
import io
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import tomllib
import uuid
import zipfile
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import Message
from pathlib import Path
from types import ModuleType

from qaztech.evidence.note import ED25519, Note, SignatureLine, VerifierKey, format_note
from qaztech.trust.keys import Ed25519Key

ROOT = Path(__file__).parents[1]
LOCK = ROOT / "requirements" / "run.lock"
PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
RELEASE_NAME = "qaztech-release"
SOURCES = ("src", "pyproject.toml", "README.md", "LICENSE")
_LICENCE_FILE = re.compile(r"(licen[cs]e|copying|notice|copyright|authors)", re.IGNORECASE)


def _licences() -> ModuleType:
    spec = importlib.util.spec_from_file_location("licences", ROOT / "scripts" / "licences.py")
    if spec is None or spec.loader is None:
        raise SystemExit("scripts/licences.py is missing")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


LICENCES = _licences()


def version(root: Path = ROOT) -> str:
    """The project's version."""
    return str(tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"])


def platform() -> str:
    """What the wheels are for: interpreter and machine."""
    machine = sysconfig.get_platform().replace("-", "_").replace(".", "_")
    return f"cp{sys.version_info.major}{sys.version_info.minor}-{machine}"


def commit_time() -> int:
    """Seconds since 1970 of the commit, so that the same commit gives the same archive; 0 outside a checkout."""
    shown = subprocess.run(["git", "log", "-1", "--format=%ct"], cwd=ROOT, capture_output=True, text=True, check=False)
    return int(shown.stdout) if shown.returncode == 0 else 0


def build_own_wheel(to: Path, root: Path = ROOT) -> Path:
    """Build our wheel from a clean copy of the sources, so that nothing left over from another build gets in."""
    of = version(root)
    with tempfile.TemporaryDirectory() as folder:
        for name in SOURCES:
            source, target = root / name, Path(folder) / name
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
            else:
                shutil.copy(source, target)
        subprocess.run(
            [*PIP, "wheel", "--no-index", "--no-deps", "--no-build-isolation", "--wheel-dir", str(to), folder],
            check=True, env=_environment(),
        )  # fmt: skip
    return next(to.glob(f"qaztech-{of}-*.whl"))


def _environment() -> dict[str, str]:
    # A wheel holds the times of its files; 1980 is the first that a zip file can say.
    return {**os.environ, "SOURCE_DATE_EPOCH": str(max(commit_time(), 315_532_800))}  # noqa: TID251


def fetch_wheels(to: Path, wheels: Path | None) -> None:
    """The wheels of the lock; pip refuses one whose hash is not in it."""
    where = ["--no-index", "--find-links", str(wheels)] if wheels is not None else []
    wanted = ["--require-hashes", "--only-binary", ":all:", "-r", str(LOCK), "--dest", str(to)]
    subprocess.run([*PIP, "download", *where, *wanted], check=True)


def metadata_of(wheel: Path) -> Message:
    """The METADATA of a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        name = next(n for n in archive.namelist() if re.fullmatch(r"[^/]+\.dist-info/METADATA", n))
        return message_from_bytes(archive.read(name))


def collect_licences(wheel: Path, to: Path) -> list[str]:
    """Copy the licence files of a wheel to a folder of its own; gives their names."""
    metadata = metadata_of(wheel)
    folder = to / f"{LICENCES.canonical(metadata['Name'])}-{metadata['Version']}"
    found = []
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            inside = re.fullmatch(r"[^/]+\.dist-info/(?:licenses/)?(.+)", name)
            if inside is None or name.endswith("/") or not _LICENCE_FILE.search(Path(name).name):
                continue
            flat = re.sub(r"[^\w.-]+", "_", inside[1])
            folder.mkdir(parents=True, exist_ok=True)
            (folder / flat).write_bytes(archive.read(name))
            found.append(flat)
    return found


def component(wheel: Path) -> dict[str, object]:
    """One package of the SBOM."""
    metadata = metadata_of(wheel)
    name = LICENCES.canonical(metadata["Name"])
    return {
        "type": "library",
        "bom-ref": f"pkg:pypi/{name}@{metadata['Version']}",
        "name": name,
        "version": metadata["Version"],
        "purl": f"pkg:pypi/{name}@{metadata['Version']}",
        "hashes": [{"alg": "SHA-256", "content": hashlib.sha256(wheel.read_bytes()).hexdigest()}],
        "licenses": [{"expression": LICENCES.licence_of(metadata)}],
        "properties": [{"name": "file", "value": wheel.name}],
    }


def sbom(own: Path, wheels: list[Path], time: int) -> dict[str, object]:
    """What is in the bundle, as CycloneDX 1.6. What needs what is read from the wheels' own requirements."""
    components = {str(c["bom-ref"]): c for c in map(component, wheels)}
    by_name = {str(c["name"]): ref for ref, c in components.items()}
    itself = component(own) | {"type": "application"}
    needs = []
    for wheel in [own, *wheels]:
        ref = f"pkg:pypi/{LICENCES.canonical(metadata_of(wheel)['Name'])}@{metadata_of(wheel)['Version']}"
        asked = [
            LICENCES.canonical(re.match(r"[\w.-]+", r)[0])  # type: ignore[index]
            for r in metadata_of(wheel).get_all("Requires-Dist") or []
            if "extra ==" not in r or wheel == own
        ]
        needs.append({"ref": ref, "dependsOn": sorted({by_name[name] for name in asked if name in by_name})})
    text = json.dumps([itself, components], sort_keys=True)
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, text)}",
        "version": 1,
        "metadata": {"timestamp": datetime.fromtimestamp(time, UTC).isoformat(), "component": itself},
        "components": list(components.values()),
        "dependencies": needs,
    }


def check_licences(wheels: list[Path]) -> None:
    """End where a package may not be carried."""
    refused = [
        f"{wheel.name}: {licence or 'it does not say'}"
        for wheel in wheels
        if not LICENCES.is_allowed(metadata_of(wheel)["Name"], licence := LICENCES.licence_of(metadata_of(wheel)))
    ]
    if refused:
        raise SystemExit("not bundled, by licence:\n" + "\n".join(refused))


def sign(sums: bytes, key: Ed25519Key) -> bytes:
    """The sums as a signed-note: its text is the file, so that anything that knows Ed25519 can check it."""
    signer = release_vkey(key)
    line = SignatureLine(signer.name, signer.key_id, key.sign(sums))
    return format_note(Note(sums, (line,)))


def release_vkey(key: Ed25519Key) -> VerifierKey:
    """The public half of a release key."""
    return VerifierKey.of(RELEASE_NAME, ED25519, key.public)


def fill(folder: Path, wheels: Path | None, key: Ed25519Key | None) -> None:
    """Put everything into the folder that becomes the archive."""
    (folder / "wheels").mkdir(parents=True)
    fetch_wheels(folder / "wheels", wheels)
    fetched = sorted((folder / "wheels").glob("*.whl"))
    check_licences(fetched)
    own = build_own_wheel(folder / "wheels")
    for wheel in [own, *fetched]:
        collect_licences(wheel, folder / "licences")
    shutil.copy(LOCK, folder / "run.lock")
    shutil.copy(ROOT / "LICENSE", folder / "LICENSE")
    shutil.copy(ROOT / "deploy" / "install.sh", folder / "install.sh")
    shutil.copytree(ROOT / "deploy" / "systemd", folder / "systemd")
    shutil.copytree(ROOT / "docs" / "howto", folder / "docs" / "howto")
    (folder / "VERSION").write_text(f"{version()}\n")
    (folder / "PLATFORM").write_text(f"{platform()}\n")
    (folder / "sbom.cdx.json").write_text(json.dumps(sbom(own, fetched, commit_time()), indent=1) + "\n")
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    sums = [f"{hashlib.sha256(p.read_bytes()).hexdigest()}  {p.relative_to(folder)}\n" for p in files]
    (folder / "SHA256SUMS").write_text("".join(sums))
    if key is not None:
        (folder / "SHA256SUMS.note").write_bytes(sign("".join(sums).encode(), key))


def pack(folder: Path, to: Path) -> Path:
    """The folder as a .tar.gz that does not depend on who made it, or when."""

    def plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
        member.uid = member.gid = 0
        member.uname = member.gname = ""
        member.mtime = commit_time()
        member.mode = 0o755 if member.isdir() or member.name.endswith(".sh") else 0o644
        return member

    plainly = io.BytesIO()
    with tarfile.open(fileobj=plainly, mode="w") as archive:
        archive.add(folder, arcname=folder.name, recursive=False, filter=plain)
        for path in sorted(folder.rglob("*")):
            archive.add(path, arcname=f"{folder.name}/{path.relative_to(folder)}", recursive=False, filter=plain)
    to.mkdir(parents=True, exist_ok=True)
    out = to / f"{folder.name}.tar.gz"
    with out.open("wb") as raw, gzip.GzipFile("", "wb", 6, raw, mtime=0) as file:
        file.write(plainly.getbuffer())
    out.with_name(f"{out.name}.sha256").write_text(f"{hashlib.sha256(out.read_bytes()).hexdigest()}  {out.name}\n")
    return out


def main() -> None:
    """Make the archive."""
    parser = argparse.ArgumentParser(description="make one archive that installs without a network")
    parser.add_argument("--out", type=Path, default=ROOT / "dist", metavar="DIR", help="where to put it (dist)")
    parser.add_argument("--wheels", type=Path, metavar="DIR", help="take the wheels from here, not from the index")
    parser.add_argument("--key", metavar="FILE", help="the release key that signs it, Ed25519 in PEM")
    args = parser.parse_args()
    key = Ed25519Key.load(Path(args.key)) if args.key else None
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / f"qaztech-{version()}-{platform()}"
        fill(folder, args.wheels, key)
        print(pack(folder, args.out))
    if key is None:
        print(
            "NOT SIGNED: nobody can tell who made this archive. make bundle RELEASE_KEY=FILE signs it.", file=sys.stderr
        )
        return
    public = args.out / f"{RELEASE_NAME}.vkey"
    public.write_text(f"{release_vkey(key)}\n")
    print(f"signed; the key's public half is {public}: tell it by another way than the archive")


if __name__ == "__main__":
    main()
