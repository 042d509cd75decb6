"""Writing the page at the end of a long measurement must not fail."""

from pathlib import Path

import pytest

from benchmarks import footprint, memory, report
from benchmarks.load import Outcome
from benchmarks.rates import AtRate
from benchmarks.runs import Result
from benchmarks.scale import page
from benchmarks.scale.figures import Figure, worst


def result(build: str, per_second: float, *violations: str, cpu: float = 0.5) -> Result:
    return Result(build, 100, per_second, 200.0, per_second / 2, list(violations), {"order": 90.4}, {"order": cpu})


OMS = [result("oms", 500.0), result("oms", 700.0), result("oms", 600.0, "order 1 has two charges")]
OTHERS = [result("faststream", 300.0, cpu=1.0), result("naive", 50.0), result("naive", 70.0), result("naive", 60.0)]


REST = {"order": 0.02, "sms": 0.01, "kafka": 0.05, "order-database": 0.01}


def at(accepted: int, refused: int, seconds: list[float]) -> AtRate:
    return AtRate(Outcome(accepted, refused, 1.0, seconds), Outcome(2, 0, 1.0, [0.001, 0.0005]), {"order": 5.0})


def test_the_page_compares_medians_and_counts_what_was_violated() -> None:
    page = report.page(
        [*OMS, *OTHERS], {150.0: at(99, 1, [0.001] * 98 + [0.5])}, REST, [0.05, 0.07], 67.6, "scripts/bench.sh"
    )
    assert (
        "**OMS next to FastStream, medians: 2.0 times the orders/s until notified, 2.0 times until terminal, 0.50"
        in page
    )
    assert "**OMS next to naive, medians: 10.0 times the orders/s until notified" in page
    assert "Violated invariants in the counted runs of OMS: 1." in page
    assert "| OMS | 100 | 3 | 300 (250 to 350) | 600 (500 to 700) | 200 (200 to 200) |" in page
    assert "| order | 0.50 | 1.00 | 0.50 |" in page
    assert "| 150 | 99 of 100 | 1.0 | 1.0 | 500.0 | 500.0 | 1.0 | 500.0 |" in page
    assert "| 150 | 5.0 | 0.75 |" in page
    assert "all programs together need 0.09 of a core: the services 0.03, Kafka 0.05." in page
    assert "until CONFIRMED, by its timeline: 60 ms (median of 2; 70 ms the slowest)" in page


def test_no_table_has_a_build_that_was_not_run() -> None:
    page = report.page(OMS, {}, REST, [0.05], 67.6, "scripts/bench.sh --builds oms")
    assert "| program, ms | OMS |" in page
    assert "next to" not in page


def test_latencies_can_be_measured_without_the_long_runs() -> None:
    page = report.page([], {150.0: at(2, 0, [0.001, 0.002])}, REST, [0.05], 67.6, "scripts/bench.sh --repeats 0")
    assert "| 150 | 2 of 2 |" in page
    assert "Orders a second" not in page


def test_a_load_without_accepted_orders_has_no_latencies() -> None:
    assert "| 50 | 0 of 3 | nan | nan | nan | nan | 1.0 | nan |" in report.latency_table({50.0: at(0, 3, [])})


def test_memory_is_shown_by_component_and_together() -> None:
    table = footprint.memory_table({"order": 70, "kafka": 300}, {"order": 90}, 30.0)
    assert table.splitlines()[-3:] == ["| kafka | 300 | 0 |", "| order | 70 | 90 |", "| together | 370 | 90 |"]


def test_the_figures_of_a_large_database_replace_earlier_ones(tmp_path: Path) -> None:
    written = tmp_path / "scaling.md"
    written.write_text(f"# Scaling\n\n{page.BEGIN}\n{page.END}\n\nAfter.\n")
    for value in (7.0, 8.0):
        page.write(written, [Figure("a page of orders", value, 100.0)])
    assert "| a page of orders | 8.0 ms | 100 ms |" in written.read_text()
    assert "7.0" not in written.read_text()
    assert written.read_text().endswith("After.\n")


def test_a_page_without_a_place_for_figures_is_not_written(tmp_path: Path) -> None:
    written = tmp_path / "scaling.md"
    written.write_text("# Scaling\n")
    with pytest.raises(ValueError, match="needs the lines"):
        page.write(written, [])


def test_the_highest_of_many_figures_is_shown_with_its_name() -> None:
    some = [Figure("first page", 1.0, 100.0), Figure("last page", 101.0, 100.0), Figure("middle", 2.0, 100.0)]
    found = worst("orders", some)
    assert (found.what, found.value, found.holds) == ("orders: the slowest of 3 (last page)", 101.0, False)


def test_the_idle_memory_of_programs_is_next_to_that_after_the_run() -> None:
    loaded, idle = {"order": 110.0, "sms": 100.0, "kafka": 214.0}, {"order": 94.0, "sms": 92.0, "kafka": 200.0}
    other = Result("naive", 100, 1.0, 1.0, 1.0, memory={"order": 81.0, "kafka": 300.0}, idle={"order": 80.0})
    table = report.memory_table([Result("oms", 100, 1.0, 1.0, 1.0, memory=loaded, idle=idle), other])
    assert table.splitlines()[2] == "| order | 94 | 110 |"
    assert table.splitlines()[-3:] == [
        "| the services, OMS | 186 | 210 |",
        "| the services, naive | 80 | 81 |",
        "| all programs, OMS | 386 | 424 |",
    ]


def test_the_libraries_of_a_service_need_more_memory_than_a_bare_interpreter() -> None:
    assert memory.of_libraries() > 20
