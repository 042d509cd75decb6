"""The files of the build context that a Dockerfile needs, as the tests of skaffold.yaml determine them."""

from pathlib import Path

import pytest
from support.dockerfiles import Unresolved, is_in_context, stages


def test_files_from_other_stages_are_not_from_the_context() -> None:
    text = "FROM a AS b\nCOPY --chmod=755 one two/ \\\n  # a remark\n  three /x/\nFROM c\nCOPY --from=b /x /y\n"
    assert [(stage.base, stage.sources) for stage in stages(text, {})] == [("a", ("one", "two/", "three")), ("c", ())]


def test_a_build_argument_replaces_a_default() -> None:
    text = "ARG BASE=a\nFROM ${BASE}\nARG NAME=one\nCOPY $NAME/file /\n"
    (stage,) = stages(text, {"BASE": "b"})
    assert (stage.base, stage.sources) == ("b", ("one/file",))


def test_an_argument_before_the_first_stage_is_visible_where_it_is_declared_again() -> None:
    (stage,) = stages("ARG NAME=one\nFROM a\nARG NAME\nCOPY ${NAME} /\n", {})
    assert stage.sources == ("one",)
    with pytest.raises(Unresolved):
        stages("ARG NAME=one\nFROM a\nCOPY ${NAME} /\n", {})


def test_a_copy_that_depends_on_an_argument_without_a_value_is_found_in_any_stage() -> None:
    with pytest.raises(Unresolved, match=r"\$\{SERVICE\}"):
        stages("FROM a AS one\nARG SERVICE\nCOPY services/${SERVICE}/x /\nFROM a\n", {})


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("packages", True),
        ("packages/*/good.py", True),
        ("/packages/one/", True),
        ("packages/one/tests", False),
        ("packages/one/.ruff_cache", False),
        ("packages/two", False),
        ("other.txt", False),
        ("absent", False),
    ],
)
def test_the_context_excludes_what_dockerignore_lists(tmp_path: Path, source: str, found: bool) -> None:
    (tmp_path / ".dockerignore").write_text("# remark\n*\n!packages\n**/tests\n**/.*_cache\n")
    for name in ("packages/one/good.py", "packages/one/tests/test_it.py", "packages/one/.ruff_cache/x", "other.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "packages/two").mkdir()
    assert is_in_context(tmp_path, source) is found
