"""Judging in a process of its own says the same, and outlives what the file's reader does not."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from operational_logs import Pair
from qaztech.core.errors import Malformed
from qaztech.hub.delivery import Contradicted, HeldLog
from qaztech.hub.judging import JudgeApart, judge_here
from qaztech.node.operational_parquet import write_part

pytest.importorskip("duckdb")


def test_a_process_apart_says_the_same_and_is_begun_anew(tmp_path: Path) -> None:
    """The same held log, the same contradiction, the same malformed file; killed, it comes back for the next one."""
    pair = Pair()
    pair.answered()
    log = pair.consumer
    claim, held = log.claim(0, 2), HeldLog(origin=log.origin)
    good, forged, junk = tmp_path / "good", tmp_path / "forged", tmp_path / "junk"
    write_part(good, log.rows())
    write_part(forged, [log.rows()[0], log.rows()[1]._replace(status=500)])
    junk.write_bytes(b"PAR1" + bytes(64))
    apart = JudgeApart()
    try:
        assert apart(claim, held, [good]) == judge_here(claim, held, [good])
        with pytest.raises(Contradicted) as caught:
            apart(claim, held, [forged])
        assert caught.value.code == "operational.forged-row"
        os.kill(apart.pid, signal.SIGKILL)
        with pytest.raises(Malformed):
            apart(claim, held, [junk])
        with pytest.raises(Malformed) as caught:
            apart(claim, held, [junk])
        assert caught.value.code == "operational.file"
        assert apart.pid is not None
        apart.rest(60.0)
        assert apart.pid is not None, "it has been used just now"
        apart.rest(0.0)
        assert apart.pid is None
        assert apart(claim, held, [good]) == judge_here(claim, held, [good])
    finally:
        apart.close()


def test_a_process_that_does_not_answer_is_ended(tmp_path: Path) -> None:
    """One that waits uses no processor time, so its wait is limited too; the next delivery is judged."""
    pair = Pair()
    pair.answered()
    log = pair.consumer
    claim, held, good = log.claim(0, 2), HeldLog(origin=log.origin), tmp_path / "good"
    write_part(good, log.rows())
    apart = JudgeApart(wait_seconds=20.0)
    try:
        found = apart(claim, held, [good])
        stopped = apart.pid
        os.kill(stopped, signal.SIGSTOP)
        apart._wait_seconds = 0.05
        with pytest.raises(Malformed):
            apart(claim, held, [good])
        apart._wait_seconds = 20.0
        assert apart(claim, held, [good]) == found
        assert apart.pid != stopped
    finally:
        apart.close()
