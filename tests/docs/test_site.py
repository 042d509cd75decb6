"""The site is not built from pages that are broken."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
Build = Callable[[], "subprocess.CompletedProcess[str]"]


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    """Return a copy of the documentation, which tests break."""
    for name in ("docs", "scripts"):
        shutil.copytree(ROOT / name, tmp_path / name)
    shutil.copy(ROOT / "mkdocs.yml", tmp_path)
    (tmp_path / ".venv").symlink_to(sys.prefix)
    (tmp_path / "scripts" / "setup.sh").write_text("#!/bin/sh\n")  # the current environment is used
    return tmp_path / "docs"


@pytest.fixture
def build(docs: Path) -> Build:
    script = docs.parent / "scripts" / "docs.sh"
    return lambda: subprocess.run([script], capture_output=True, text=True, timeout=120, check=False)


def test_the_documentation_makes_a_site_with_every_runbook_in_its_menu(docs: Path, build: Build) -> None:
    done = build()
    assert done.returncode == 0, done.stderr
    menu = (docs.parent / "build" / "site" / "index.html").read_text()
    assert [page.stem for page in docs.glob("runbooks/*.md") if f"runbooks/{page.stem}/" not in menu] == []


def test_a_link_to_the_code_is_only_its_text_in_the_site(docs: Path, build: Build) -> None:
    (docs / "when-not.md").write_text("# When not\n\n[`relay`](../packages/relay.py), [backup](backup.md)\n")
    (docs / "adr" / "0001-outbox-and-inbox.md").write_text("# 1\n\n[when](../when-not.md), [code](../../packages)\n")
    done = build()
    assert done.returncode == 0, done.stderr
    site = docs.parent / "build" / "site"
    assert "<p><code>relay</code>, <a href=" in (site / "when-not" / "index.html").read_text()
    assert "when</a>, code</p>" in (site / "adr" / "0001-outbox-and-inbox" / "index.html").read_text()


def test_a_broken_link_fails_the_build_and_is_named(docs: Path, build: Build) -> None:
    (docs / "when-not.md").write_text("# When not\n\n[gone](gone.md)\n")
    done = build()
    assert done.returncode == 1
    assert "gone.md" in done.stderr


def test_a_page_in_no_menu_fails_the_build_and_is_named(docs: Path, build: Build) -> None:
    (docs / "orphan.md").write_text("# Orphan\n")
    done = build()
    assert done.returncode == 1
    assert "orphan.md" in done.stderr
