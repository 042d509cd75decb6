"""What the documentation and the workflows name exists: targets, scripts, files, modules, settings, metrics, routes."""

import importlib
import importlib.util
import re
from functools import cache
from pathlib import Path

import pytest
from starlette.routing import Route

from oms_contracts.topics import SERVICES

ROOT = Path(__file__).parents[2]
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("charts/oms/*.md")]
PLACES = sorted([*PAGES, *ROOT.glob(".github/**/*.*"), *ROOT.glob(".*.yaml")])
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
MAKE = re.compile(r"(?:^|`|run: |entry: )make ([a-z][a-z-]*)", re.MULTILINE)
FILE = re.compile(r"`((?:packages|services|charts|tests|docs|benchmarks|k8s)/[\w./-]+)`")
PLACEHOLDER = re.compile(r"\b[A-Z]+\b|NNNN")  # services/NAME
MODULE = re.compile(r"`(oms_\w+(?:\.\w+)+)`")
SCRIPT = re.compile(r"\bscripts/[\w-]+\.(?:sh|py)\b")
VARIABLE = re.compile(r"\bOMS_[A-Z_]+[A-Z]\b(?!_)")
METRIC = re.compile(r"\boms_[a-z_]+[a-z]\b(?![_.])")
GIVEN = re.compile(r"`OMS_(\w+)` \(([\d.,]+)\)|([\d.]+) (s|h), `OMS_(\w+)`")  # a setting, and its default
UNIT = {"": 1, "s": 1, "h": 3600}
ALERT = re.compile(r"\bOms[A-Z]\w+")
ROUTE = re.compile(r"`((?:GET|POST|PUT|DELETE)(?:\|[A-Z]+)*) (/[\w/{}|-]*)")
CODE = [*ROOT.glob("*/*/oms_*/**/*.py"), *ROOT.glob("scripts/*.*"), ROOT / "Dockerfile.base", ROOT / "compose.yaml"]

every_place = pytest.mark.parametrize("place", PLACES, ids=lambda place: place.relative_to(ROOT).as_posix())


@every_place
def test_a_target_of_make_that_is_named_exists(place: Path) -> None:
    assert set(MAKE.findall(place.read_text())) <= TARGETS


@every_place
def test_a_script_that_is_named_exists(place: Path) -> None:
    assert [name for name in SCRIPT.findall(place.read_text()) if not (ROOT / name).is_file()] == []


@every_place
def test_a_file_that_is_named_exists(place: Path) -> None:
    named = [name for name in FILE.findall(place.read_text()) if not PLACEHOLDER.search(name)]
    assert [name for name in named if not (ROOT / name).exists()] == []


@every_place
def test_a_module_that_is_named_exists_or_holds_the_name(place: Path) -> None:
    assert [name for name in MODULE.findall(place.read_text()) if not exists(name)] == []


@cache
def defaults() -> dict[str, object]:
    """What every setting is unless it is given, by its name without the prefix."""
    services = [importlib.import_module(f"oms_{service}.main").SERVICE for service in SERVICES]
    fields = [field for service in services for field in service.settings.model_fields.items()]
    return {name.upper(): field.default for name, field in fields}


@cache
def written() -> set[str]:
    """The words of the code, with the variables of every setting and of every service."""
    settings = {f"OMS_{name}" for name in defaults()}
    addresses = {f"OMS_ADMIN_URL_{service.upper()}" for service in SERVICES}
    return settings | addresses | {word for path in CODE for word in re.findall(r"\w+", path.read_text())}


@cache
def served() -> set[tuple[str, str]]:
    """Method and path of every route for customers: those of admin APIs are for `oms`."""
    modules = [path for path in ROOT.glob("services/*/oms_*/*.py") if path.stem != "admin"]
    named = [importlib.import_module(f"{path.parent.name}.{path.stem}") for path in modules if _has_router(path)]
    routes = [route for module in named for route in module.router.routes if isinstance(route, Route)]
    return {(method, re.sub(r"\{\w+}", "{id}", one.path)) for one in routes for method in one.methods or ()}


def _has_router(path: Path) -> bool:
    return "\nrouter = " in path.read_text()


@every_place
def test_a_setting_and_a_metric_that_are_named_exist(place: Path) -> None:
    text = place.read_text()
    assert {*VARIABLE.findall(text), *METRIC.findall(text)} - written() == set()


@every_place
def test_a_default_that_is_given_is_the_setting_s(place: Path) -> None:
    given = [one.groups("") for one in GIVEN.finditer(place.read_text())]
    said = {(a or b): float((x or y).replace(",", "")) * UNIT[unit] for a, x, y, unit, b in given}
    assert said == {name: defaults()[name] for name in said}


@every_place
def test_an_alert_that_is_named_has_its_page(place: Path) -> None:
    runbooks = ROOT / "docs" / "runbooks"
    assert [name for name in ALERT.findall(place.read_text()) if not (runbooks / f"{name}.md").is_file()] == []


@every_place
def test_a_route_that_is_named_exists(place: Path) -> None:
    named = {(method, path) for methods, path in ROUTE.findall(place.read_text()) for method in methods.split("|")}
    assert named - served() == set()


def exists(name: str) -> bool:
    """Whether it is a module, or a name in one."""
    parent, _, last = name.rpartition(".")
    try:
        holder = importlib.import_module(parent)
        return hasattr(holder, last) or importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def test_the_figures_of_the_readme_are_those_that_were_measured() -> None:
    readme, page = (ROOT / "README.md").read_text(), (ROOT / "docs" / "performance.md").read_text()
    builds = re.findall(r"^\*\*OMS next to \w+, medians: ([\d.]+) times .* ([\d.]+) of the CPU", page, re.MULTILINE)
    assert len(builds) == 2
    assert [f"OMS does {times} times the orders/s, for {cpu} of the CPU" in readme for times, cpu in builds] == [
        True
    ] * 2
    (rate,) = re.findall(r"^\| OMS \| \d+ \| \d+ \| (\d+)", page, re.MULTILINE)
    (cost,) = re.findall(r"^\| together \| ([\d.]+) \|.*\|.*\|$", page, re.MULTILINE)
    (lone,) = re.findall(r"until CONFIRMED, by its timeline: (\d+) ms", page)
    (idle,) = re.findall(r"all programs together need ([\d.]+) of a core", page)
    assert f"{round(int(rate), -1)} orders/s until notified; {float(cost):.1f} ms of CPU" in readme
    assert f"{lone} ms (median)" in readme
    assert f"{idle} of a core" in readme


def test_make_lists_every_target_that_it_declares() -> None:
    phony = re.search(r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert phony
    assert set(phony[1].split()) == TARGETS


def test_the_patterns_find_what_they_are_for() -> None:
    text = "make up\nRun `make test-cluster`, then scripts/lint.sh.\n      - run: make lint\nThey make it slow.\n"
    assert MAKE.findall(text) == ["up", "test-cluster", "lint"]
    assert SCRIPT.findall(text) == ["scripts/lint.sh"]
    assert FILE.findall("`services/sms` and `charts/oms/values.yaml`") == ["services/sms", "charts/oms/values.yaml"]
    assert MODULE.findall("`oms_order.domain`") == ["oms_order.domain"]
    assert VARIABLE.findall("`OMS_DRAIN_SECONDS=3` and OMS_ADMIN_URL_<SERVICE>") == ["OMS_DRAIN_SECONDS"]
    assert METRIC.findall("`oms_jobs_dead{queue}`, `oms_outbox_*`, `oms_order.domain`") == ["oms_jobs_dead"]
    assert ROUTE.findall("`GET|PUT /items/{id}`") == [("GET|PUT", "/items/{id}")]
    assert (
        len(GIVEN.findall("`OMS_QUEUE_LIMIT` (4,096), 2 h, `OMS_STUCK_SECONDS`, `OMS_ORDER_DAYS` (31 at least)")) == 2
    )
    assert {"OMS_CANCEL_SECONDS", "oms_jobs_dead"} <= written()
    assert exists("oms_order.domain")
    assert exists("support.chassis.eventually")
    assert not exists("support.chassis.never")
    assert not exists("oms_nothing.at.all")
