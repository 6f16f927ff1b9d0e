"""The benchmark's own rules: what voids a window, a row and a run, and what is written on the page."""

import dataclasses
import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
sys.path.insert(0, str(ROOT))  # the benchmark is not part of the package

from bench import exchange, gateway, gateway_report, instance, processes, report, targets  # noqa: E402 - needs the path above
from bench.__main__ import main as bench_main  # noqa: E402
from bench.embedded import Up  # noqa: E402
from bench.load import Load, parse  # noqa: E402
from bench.memory import Passage, Soaked  # noqa: E402
from bench.receipts import Verified  # noqa: E402
from bench.side import Counters  # noqa: E402


def window(
    *,
    side="nginx pair",
    connections=32,
    exchanges=10_000,
    called=None,
    size=1200,
    all_cpu=2.0,
    entries_each=4,
    **errors,
):
    """A window of one second."""
    kinds = dict.fromkeys(("connect", "read", "write", "status", "timeout"), 0)
    load = Load(
        exchanges=exchanges,
        seconds=1.0,
        bytes=exchanges * size,
        p50=900,
        p95=1500,
        p99=2000,
        errors=kinds | errors,
        cpu=0.2,
    )
    return exchange.Window(
        side=side,
        connections=connections,
        load=load,
        node_cpu=1.0,
        all_cpu=all_cpu,
        idle_cpu=0.01,
        elsewhere=0.0,
        peak_rss=20 * 2**20,
        called=exchanges if called is None else called,
        counted=Counters(
            exchanges=exchanges, entries=entries_each * exchanges, fsyncs=exchanges, signatures=exchanges // 2
        ),
    )


def test_a_clean_window_has_no_faults():
    """Calls that the client had in flight when it stopped are no fault."""
    assert window(called=10_032).faults == []


@pytest.mark.parametrize(
    "bad",
    [
        window(status=1),
        window(timeout=3),
        window(size=1000),
        window(called=9_999),
        window(called=10_065),
        window(entries_each=3),
        window(exchanges=0),
    ],
)
def test_one_wrong_answer_voids_row_and_run(bad):
    """An error, a short answer, a service called too seldom or too often, an entry missing: nothing of it counts."""
    rows = exchange.rows([window(), bad, window()])
    assert len(rows) == 1
    assert rows[0].faults
    assert exchange.void(rows, "nginx pair")


def test_a_row_holds_medians():
    """One slow round of three does not move the row."""
    (row,) = exchange.rows([window(exchanges=10_000), window(exchanges=2_000), window(exchanges=11_000)])
    assert (row.rate, row.all_cpu, row.node_cpu) == (10_000, 200, 100)
    assert (row.fsyncs, row.messages_per_signature) == (1, 8)


@pytest.mark.parametrize(("at_128", "void"), [(8_501, False), (8_499, True)])
def test_a_pair_that_slows_is_not_an_honest_pair(at_128, void):
    """More than 15 % slower at 128 connections than at 32 voids the run."""
    rows = exchange.rows([window(), window(connections=128, exchanges=at_128)])
    assert bool(exchange.void(rows, "nginx pair")) is void


def test_targets_are_judged_against_the_pair():
    """Met, missed and not measured are told apart."""
    rows = exchange.rows([window(), window(side="our nodes", exchanges=3_000, all_cpu=2.1)])
    passages = [
        Passage(side=side, way="to the service", length=100 * 2**20, rate=rate, growth=2**20)
        for side, rate in (("nginx pair", 1000.0), ("our nodes", 349.9))
    ]
    lines = {line[0]: line[2:] for line in targets.judged(targets.Found(rows=rows, passages=passages))}
    assert lines["CPU of all, × the pair's, 32 connections"] == ["3.50", "**missed**"]
    assert lines["exchanges/s, of the pair's, 32 connections"] == ["0.30", "met"]
    assert lines["exchanges/s, of the pair's, 128 connections"] == ["–", "not measured"]
    assert lines["MB/s of a large body, of the pair's"] == ["0.35", "**missed**"]
    assert lines["RSS growth while 100 MiB pass, MiB"] == ["1.0", "met"]


def test_the_table_shows_ratios_and_why_it_is_void():
    """Our row carries its share of the pair's; a void run says so above the table."""
    rows = exchange.rows([window(), window(side="our nodes", exchanges=5_000)])
    text = report.exchange(rows, ["a reason"], pair="nginx pair")
    assert text.startswith("- **Void:** a reason.")
    assert "| our nodes | 32 | 5,000 | 0.50 |" in text


def test_only_what_stands_between_the_marks_is_replaced(tmp_path):
    """Words by people stay; a section without marks is an error."""
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- measured x -->\nold\n<!-- end x -->\nafter\n")
    report.put(page, "x", "new")
    assert page.read_text() == "before\n<!-- measured x -->\n\nnew\n\n<!-- end x -->\nafter\n"
    with pytest.raises(ValueError, match="no marks"):
        report.put(page, "y", "new")


def everything():
    """A run in which every part was measured."""
    append = {"small": 10, "large": 10**7, "rounds": 3, "built_seconds": 9.0, "peak_rss": 50 * 2**20}
    append |= {"open_seconds": 0.01, "open_killed_seconds": 3.5}
    append["appends"] = [
        {"entries": entries, "in_flight": width, "cpu_us": cpu, "per_second": 1e5, "batch": width}
        for entries, width, cpu in ((10, 1, 100.0), (10, 32, 10.0), (10**7, 1, 500.0), (10**7, 32, 12.5))
    ]
    return targets.Found(
        machine={"processor": "one"},
        seconds=600.0,
        rows=exchange.rows([window(), window(side="our nodes")]),
        passages=[Passage(side="nginx pair", way="to the service", length=100, rate=1.0, growth=0)],
        soaked=[
            Soaked(
                side="our nodes",
                exchanges=100_000,
                failed=0,
                before={"a": 2**20, "b": 2**20},
                after={"a": 2**26, "b": 2**27},
            )
        ],
        verified=Verified(receipts=200, rounds=3, rate=199.9, first=0.04, size=50_000.0, made=0.001),
        up=Up(rounds=3, seconds=9.9, again=4.0, pss=501.0 * 2**20, processes=7),
        append=append,
        gateway=gateways(),
    )


def gateways(**changes):
    """The gateways as they were measured once."""
    rows = [
        gateway.Row(
            side=side, prompt="iin", rounds=3, cpu=cpu, rate=900.0, p50=9.0, p95=20.0, failed=0,
            parts={"": 1.0, "ministry": 0.5, "registers": 0.5} if "both" in side else {},
        )
        for side, cpu in (("our gateway", 1.0), ("LiteLLM 1", 9.99), ("our gateway and both nodes", 2.0))
    ]  # fmt: skip
    cost = 120 * 100 + 22 * 200
    burst = {"calls": 1000, "answered": 600, "refused": 400, "other": 0, "later": 9, "allowance": 10_000_000}
    burst |= {"settled": 609 * cost, "costs": 609 * cost, "reserved": 0, "needed": 118_900}
    return gateway.GatewayFound(
        rows=rows, peer="LiteLLM 1", first={"our gateway": 3.01}, direct=0.2, burst=gateway.Burst(**burst | changes),
        rss={"our gateway": (100_000, 2**25, 120 * 2**20)}, load_average=(0.5, 2.0),
    )  # fmt: skip


def test_the_gateways_targets_are_judged_before_rounding():
    """Just within is met, just beyond is missed, and what was not measured is neither."""
    lines = gateway_report.section(gateways()).splitlines()
    verdicts = {
        line.split(" | ")[0].strip("| "): line.rsplit(" | ", 1)[1].strip(" |*") for line in lines if " | " in line
    }
    assert verdicts["CPU of a call, ms"] == "met"
    assert verdicts["CPU of LiteLLM's, × ours"] == "missed"
    assert verdicts["RSS after 100,000 calls, MiB"] == "met"
    assert verdicts["first event of a stream, ms later than direct"] == "missed"
    assert verdicts["1,000 calls at once on one budget in two processes"] == "met"
    assert "not measured" in gateway_report.section(gateway.GatewayFound())


def test_a_gateway_with_a_failed_call_is_void():
    """What failed is cheap: it is no measurement."""
    found = gateways()
    found.rows = [dataclasses.replace(row, failed=1) for row in found.rows]
    assert found.row("our gateway", "iin") is None
    assert "**void**: 1 failed" in gateway_report.section(found)
    assert "| CPU of a call, ms | ≤ 1.0 | – | not measured |" in gateway_report.section(found)


@pytest.mark.parametrize(
    "changes",
    [{"settled": 609 * 16_400 - 1}, {"costs": 608 * 16_400}, {"reserved": 1}, {"other": 1}, {"needed": 12_000},
     {"allowance": 9_987_599}, {"answered": 601}],
)  # fmt: skip
def test_a_burst_is_exact_to_the_micro_tenge_or_not_at_all(changes):
    """One micro-tenge too few, a reservation left, an end that is none, a refusal of what fits: none of it passes."""
    assert gateways().burst.is_exact
    assert not gateways(**changes).burst.is_exact


def test_every_section_has_its_place_on_the_page(tmp_path):
    """Whatever the benchmark writes can be put on docs/performance.md, and nothing on it is left unwritten."""
    text = (ROOT / "docs/performance.md").read_text()
    page = tmp_path / "page.md"
    page.write_text(text)
    sections = report.sections(everything(), [])
    for name, section in sections.items():
        report.put(page, name, section)
    assert text.count("<!-- measured ") == len(sections)


def test_what_is_just_beyond_a_target_is_missed():
    """Targets are judged before rounding, each by its own direction."""
    lines = {line[0]: line[2:] for line in targets.judged(everything())}
    assert lines["receipts verified a second"] == ["200", "**missed**"]
    assert lines["CPU of an append at 10⁷ entries, × that at 10⁴"] == ["1.25", "**missed**"]
    assert lines["start-up on 10⁷ entries, seconds"] == ["3.50", "**missed**"]
    assert lines["RSS after 100,000 exchanges, MiB"] == ["128.0", "**missed**"]
    assert lines["`qaztech up` ready, seconds"] == ["9.9", "met"]
    assert lines["all processes of `qaztech up`, MiB PSS"] == ["501", "**missed**"]


def test_a_void_run_meets_no_target():
    """What was measured stands there; neither met nor missed."""
    text = report.sections(everything(), ["a reason"])["targets"]
    assert "| 9.9 | void |" in text
    assert "met |" not in text
    assert "missed" not in text


def test_the_page_holds_only_whole_runs(capsys):
    """Neither a part of the run nor two rounds may be written to the page."""
    for few in (["--rounds", "2"], ["--parts", "exchange"], ["--only-pair"]):
        with pytest.raises(SystemExit):
            bench_main(["--output", "page.md", *few])
    assert "one whole run" in capsys.readouterr().err


def test_the_client_reports_in_one_line():
    """Everything else wrk prints is passed over."""
    line = 'RESULT {"exchanges": 7, "microseconds": 2000000, "bytes": 9, "p50": 1, "p95": 1, "p99": 2, '
    line += '"connect": 0, "read": 1, "write": 0, "status": 2, "timeout": 0}'
    load = parse(f"Running 1s test\n{line}\n", cpu=0.5)
    assert (load.exchanges, load.seconds, load.failed, load.cpu) == (7, 2.0, 3, 0.5)


def test_metrics_are_told_apart_by_their_labels():
    """A Prometheus page becomes one number for each name and label."""
    assert instance.metrics('# HELP a b\na{x="1 2"} 3\na{x="2"} 4\nc 1.5\n') == {
        'a{x="1 2"}': 3,
        'a{x="2"}': 4,
        "c": 1.5,
    }


def test_the_kernel_knows_this_process():
    """CPU, memory and descent of a living process; nothing of one that is gone."""
    me = os.getpid()
    assert me in processes.tree([me])
    assert processes.cpu([me]) > 0
    assert processes.rss(me) > 0
    assert processes.peak_rss(me) > 0.9 * processes.rss(me)  # the kernel counts each a little behind
    assert processes.pss([me]) > 0
    assert processes.cpu([2**22 + 1]) == processes.rss(2**22 + 1) == 0
