"""The benchmark runs: short rounds of both sides, without a fault, and the nodes count what the client counts."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_short_rounds_of_both_sides_have_no_faults(program, tmp_path):
    """Pair and nodes answer every exchange, pass large bodies both ways, and give receipts that verify."""
    program("nginx")
    program("wrk")
    raw = tmp_path / "raw.json"
    command = [sys.executable, "-m", "bench", "--rounds", "1", "--seconds", "1", "--connections", "4"]
    command += ["--parts", "exchange,bodies,verify", "--mib", "2", "--receipts", "20", "--witnessing", "0.25"]
    command += ["--json", str(raw)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stderr
    assert "nginx pair | 4 |" in done.stdout
    numbers = json.loads(raw.read_text())
    pair, ours = numbers["windows"]
    assert pair["load"]["exchanges"] > 100
    assert 0 <= ours["counted"]["exchanges"] - ours["load"]["exchanges"] <= 8
    assert ours["counted"]["entries"] >= 4 * ours["load"]["exchanges"] > 40
    assert {(passage["side"], passage["way"]) for passage in numbers["passages"]} == {
        (side, way) for side in ("nginx pair", "our nodes") for way in ("to the service", "from the service")
    }
    assert numbers["verified"]["receipts"] == 20
