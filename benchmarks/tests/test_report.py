"""A page that is written at the end of a long measurement must not fail then."""

from benchmarks import footprint, report
from benchmarks.load import Outcome
from benchmarks.runs import Result


def result(build: str, per_second: float, *violations: str) -> Result:
    return Result(build, 100, per_second, 200.0, 50.0, list(violations), {"order": 90.4}, {"order": 0.712})


RESULTS = [result("oms", 500.0), result("oms", 700.0), result("oms", 600.0, "order 1 has two charges")]
NAIVE = [result("naive", 50.0), result("naive", 70.0), result("naive", 60.0)]


def test_the_page_compares_medians_and_counts_what_was_violated() -> None:
    page = report.page([*RESULTS, *NAIVE], {150.0: Outcome(99, 1, 1.0, [0.001] * 98 + [0.5])}, "scripts/bench.sh")
    assert "**Ratio of the medians: 10.0.** Violated invariants in the counted runs: 1." in page
    assert "| OMS | 100 | 3 | 600 | 500 | 700 | 50 |" in page
    assert "| 150 | 99 of 100 | 1.0 | 1.0 | 500.0 | 500.0 |" in page
    assert "| order | 0.71 | 90 |" in page


def test_latencies_can_be_had_without_the_long_runs() -> None:
    page = report.page([], {150.0: Outcome(2, 0, 1.0, [0.001, 0.002])}, "scripts/bench.sh --repeats 0")
    assert "| 150 | 2 of 2 |" in page
    assert "Ratio" not in page


def test_a_load_of_which_nothing_was_accepted_has_no_latencies() -> None:
    assert "| 50 | 0 of 3 | nan | nan | nan | nan |" in report.latency_table({50.0: Outcome(0, 3)})


def test_memory_is_shown_by_component_and_together() -> None:
    table = footprint.memory_table({"order": 70, "kafka": 300}, {"order": 90}, 30.0)
    assert table.splitlines()[-3:] == ["| kafka | 300 | 0 |", "| order | 70 | 90 |", "| together | 370 | 90 |"]
