"""The benchmark runs: one short round of the nginx pair, and nothing of it is left behind."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_one_round_of_the_pair_has_no_faults(program, tmp_path):
    """A pair of nginx over mutual TLS 1.3 answers every exchange, and both ways of a large body pass."""
    program("nginx")
    program("wrk")
    raw = tmp_path / "raw.json"
    command = [sys.executable, "-m", "bench", "--only-pair", "--rounds", "1", "--seconds", "1", "--connections", "4"]
    command += ["--parts", "exchange,bodies", "--mib", "2", "--json", str(raw)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "nginx pair | 4 |" in done.stdout
    numbers = json.loads(raw.read_text())
    assert numbers["windows"][0]["load"]["exchanges"] > 100
    assert {passage["way"] for passage in numbers["bodies"]} == {"to the service", "from the service"}
