"""The pages that tell people what to type are typed here, line by line, against a running country."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from qaztech.testing.instance import Instance

ROOT = Path(__file__).parents[2]
TUTORIAL = ROOT / "docs/tutorials/try-it.md"
HOWTO = ROOT / "docs/howto/connect-a-system.md"
WITHOUT_THE_PAGE = ["registry", "witness-archive", "system-codes", "node-ministry", "node-registers", "node-university"]
# JavaScript is run where Node.js happens to be; nothing else needs it.
LANGUAGES = {"python": ([sys.executable, "-"], True), "javascript": (["node", "--input-type=module", "-"], False)}


def blocks(page: Path, language: str) -> list[str]:
    """The code blocks of a page in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def lines(page: Path) -> list[str]:
    """What a reader types into a shell, without starting and stopping the country."""
    typed = [line for block in blocks(page, "sh") for line in block.splitlines()]
    return [line for line in typed if line and not line.startswith("make ")]


@pytest.fixture(scope="module")
def country(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    with Instance(tmp_path_factory.mktemp("country"), only=WITHOUT_THE_PAGE) as running:
        yield running


@pytest.fixture
def localise(country: Instance) -> Callable[[str], str]:
    """The text of a page, with the addresses and paths of this country."""

    def replace(text: str) -> str:
        text = text.replace("http://127.0.0.1:8404", country.node("ministry")["edge"])
        text = text.replace("http://127.0.0.1:8406", country.node("university")["edge"])
        text = text.replace("~/.qaztech/anchor.json", str(country.anchor))
        return text.replace(".venv/bin/", f"{Path(sys.executable).parent}/").replace("docs/", f"{ROOT}/docs/")

    return replace


@pytest.fixture
def shell(country: Instance, tmp_path: Path, localise: Callable[[str], str]) -> Callable[..., tuple[int, str]]:
    """Type one line; gives the exit status and what was printed."""

    def type_(line: str, **variables: str) -> tuple[int, str]:
        environment = {**os.environ, "QAZTECH_HOME": str(country.home), **variables}
        ran = subprocess.run(
            ["bash", "-c", localise(line)], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60
        )
        return ran.returncode, ran.stdout + ran.stderr

    return type_


def test_the_tutorial_goes_as_it_says(shell: Callable[..., tuple[int, str]], tmp_path: Path) -> None:
    """Every line, in order: the call, the receipt, both verifiers, two forgeries, a refusal, the page to give away."""
    printed = {}
    for line in lines(TUTORIAL):
        forged = "forged.json --anchor" in line or "other.json" in line.partition("--body")[2]
        status, printed[line] = shell(line)
        assert status == (1 if forged else 0), f"{line}\n{printed[line]}"
    said = list(printed.values())
    assert "x-road-request-id: " in said[0]
    assert "Қазақстан" in said[2]
    assert "X-Road-Error: server.serverproxy.access_denied" in "".join(said)
    assert (tmp_path / "receipt.html").read_text(encoding="utf-8").startswith("<!doctype html>")


def test_the_shell_examples_of_the_guide_work(country: Instance, shell: Callable[..., tuple[int, str]]) -> None:
    """Every `curl` of the page gives what it is there for."""
    message = country.call().message
    for line in lines(HOWTO):
        if "testing.echo" in line:
            continue  # runs until it is stopped; it has tests of its own
        status, printed = shell(line, MESSAGE_ID=message)
        assert status == 0, f"{line}\n{printed}"
        assert "X-Road-Error" not in printed
        assert '"type":"' not in printed, line


@pytest.mark.parametrize(
    "language", [name for name, (run, always) in LANGUAGES.items() if always or shutil.which(run[0])]
)
def test_the_programs_of_the_guide_work(country: Instance, localise: Callable[[str], str], language: str) -> None:
    """They find Kazakhstan by its Kazakh name, and tell the backbone's refusal from the service's."""
    (source,) = blocks(HOWTO, language)
    good, refused, not_there = (
        subprocess.run(
            LANGUAGES[language][0], input=localise(source.replace(*change)), capture_output=True, text=True, timeout=60
        ).stdout
        for change in (("", ""), ("permits", "nobody"), ("_search", "_sort"))
    )
    assert re.fullmatch(r"message [0-9a-f-]{36}\nKZ Қазақстан Казахстан\n", good)
    assert re.match(r"(?:400|500) from the backbone \{", refused)
    assert re.match(r"500 from the service .*Cannot sort table", not_there)
