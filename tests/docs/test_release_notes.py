"""A release checks its notes and versions before it publishes anything."""

from pathlib import Path

import pytest
from support.scripts import ROOT, load

CHANGELOG = """# Changelog

## [Unreleased]

Soon.

## [0.2.0] - 2027-01-01

- New.

## [0.1.0] - 2026-12-01

- First.
"""


release_notes = load("release_notes")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Return a repository that is ready for 0.2.0."""
    (tmp_path / "charts/oms").mkdir(parents=True)
    (tmp_path / "charts/oms/Chart.yaml").write_text('version: 0.2.0\nappVersion: "0.2.0"\n')
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "0.2.0"\n')
    (tmp_path / "CHANGELOG.md").write_text(CHANGELOG)
    return tmp_path


@pytest.mark.parametrize(
    ("version", "text"), [("0.2.0", "- New."), ("0.1.0", "- First."), ("0.3.0", None), ("0", None)]
)
def test_the_notes_of_a_version_are_its_section(version: str, text: str | None) -> None:
    assert release_notes.notes(CHANGELOG, version) == text


def test_a_release_prints_its_notes(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert release_notes.main("0.2.0", repository) == 0
    assert capsys.readouterr().out == "- New.\n"


def test_a_release_that_is_not_prepared_is_refused_with_every_reason(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert release_notes.main("0.3.0", repository) == 1
    said = capsys.readouterr().err
    assert "pyproject.toml says 0.2.0, not 0.3.0" in said
    assert "Chart.yaml, appVersion says 0.2.0, not 0.3.0" in said
    assert "CHANGELOG.md has no section [0.3.0]" in said


def test_the_versions_that_this_repository_declares_agree() -> None:
    assert len(set(release_notes.declared(ROOT).values())) == 1
