"""The picture of a run shows the end of the start and the output after it, and fetches nothing."""

import re

from support.scripts import ROOT, load

terminal_picture = load("terminal_picture")

UP = "\x1b[1A\x1b[2K"
OUTPUT = (
    "\x1b[?25lstarting OMS\r\norder  waiting\r\n"
    f"\r{UP}{UP}starting OMS\r\norder  \x1b[32mready\x1b[0m\r\n"
    f"\x1b[?25h\r{UP}{UP}ready after 9.1 s\r\nCONFIRMED\r\n"
)


def test_only_the_last_state_of_the_start_is_shown_and_then_everything_after_it() -> None:
    shown = terminal_picture.still(OUTPUT)
    assert shown.splitlines() == ["starting OMS", "order  \x1b[32mready\x1b[0m", "ready after 9.1 s", "CONFIRMED"]


def test_a_run_without_a_live_display_is_shown_unchanged() -> None:
    assert terminal_picture.still("order: ready\nCONFIRMED\n").splitlines() == ["order: ready", "CONFIRMED"]


def test_a_picture_is_the_same_for_the_same_output_and_fetches_nothing() -> None:
    picture = terminal_picture.draw(OUTPUT)
    assert picture == terminal_picture.draw(OUTPUT)
    assert "CONFIRMED" in picture
    assert not re.search(r"url\((?!#)|@font-face|@import", picture)


def test_the_picture_in_the_readme_shows_a_confirmed_order() -> None:
    picture = (ROOT / "docs/images/make-up.svg").read_text()
    assert "CONFIRMED" in picture
    assert not re.search(r"url\((?!#)|@font-face|@import", picture)
