"""The commands of the runbooks are valid in every mode that they name; none is sent to a cluster here."""

import ast
import os
import re
import shlex
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from support.chassis import migrated
from support.documented import commands, parse, words

from oms_contracts.topics import SERVICES
from oms_order.repository import stuck

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs" / "runbooks").glob("*.md"))
CODE = [*ROOT.glob("packages/*/oms_*/**/*.py"), *ROOT.glob("services/*/oms_*/**/*.py")]
# Names that depend on the mode, and the words by which a line or a row names the mode.
BY_MODE = re.compile(
    r"oms-kafka-0|component=kafka|strimzi\.io|kafkatopic|kafkauser|component=topics|-postgres-0|cnpg\.io"
)
SAYS_WHICH = re.compile(r"kafka\.mode|database\.mode|other modes")
UNREACHABLE = ("--kubeconfig=/dev/null", "--server=http://127.0.0.1:1", "--request-timeout=1")


def each(program: str) -> list[Any]:
    found = {command: page.stem for page in PAGES for command in commands(page.read_text(), program)}
    return [pytest.param(words(command), id=f"{page}: {command[:60]}") for command, page in found.items()]


@pytest.mark.parametrize("command", each("oms"))
def test_oms_has_the_command_and_its_options(command: list[str]) -> None:
    parse(command)


@pytest.mark.parametrize(
    "command",
    [one for one in each("kubectl") if "oms" in one.values[0]],  # `kubectl patch pvc` and its like are named in passing
)
def test_kubectl_accepts_the_command(tool: Callable[[str], str], command: list[str]) -> None:
    """It gets as far as the network, which it would not if an argument was missing or an option unknown."""
    command = [word.replace("$replicas", "1") for word in command]
    done = subprocess.run(
        [tool("kubectl"), *UNREACHABLE, *command[1:]], capture_output=True, text=True, timeout=60, check=False
    )
    assert re.search(r"refused|unreachable", done.stdout + done.stderr), done.stderr


EXTERNAL = {
    "kafka.external": {"bootstrapServers": "k:9092", "existingSecret": "k"},
    **{f"services.{one}.database.existingSecret": f"{one}-db" for one in SERVICES},
}
MODES = {
    "embedded": {"database.mode": "embedded", "kafka.mode": "embedded", "database.embedded.backup.enabled": True},
    "operators": {"database.mode": "cnpg", "kafka.mode": "strimzi"},
    "external": {"database.mode": "external", "kafka.mode": "external", **EXTERNAL},
}


@pytest.fixture(params=MODES)
def mode(request: pytest.FixtureRequest, render: Any) -> Any:
    """Return the chart rendered in each of its modes."""
    return render(MODES[request.param])


def test_the_named_deployments_exist(mode: Any) -> None:
    named = {one for page in PAGES for one in re.findall(r"deployment/(oms-\w+)", page.read_text())}
    assert {one.replace("SERVICE", "order") for one in named} <= set(mode.of("Deployment"))


def test_the_labels_in_selectors_exist_in_some_mode(render: Any) -> None:
    rendered = [render(values) for values in MODES.values()]
    labels = [one["metadata"]["labels"] for each_mode in rendered for one in each_mode.all]
    pods = {one["app.kubernetes.io/component"] for one in labels}
    named = {one for page in PAGES for one in re.findall(r"kubernetes\.io/component=(\w+)", page.read_text())}
    assert named <= {*pods, "SERVICE"}
    clusters = {one for page in PAGES for one in re.findall(r"strimzi\.io/cluster=([\w-]+)", page.read_text())}
    assert clusters == {one["strimzi.io/cluster"] for one in labels if "strimzi.io/cluster" in one}


@pytest.mark.parametrize("command", each("kubectl"))
def test_no_command_selects_by_an_operator_s_label_and_by_the_chart_s(command: list[str]) -> None:
    """Operators label what they make, and do not pass on the labels of their resource unless configured to."""
    line = " ".join(command)
    assert not (re.search(r"(cnpg|strimzi)\.io/", line) and "app.kubernetes.io/" in line)


def test_the_databases_have_the_names_that_the_functions_make(render: Any) -> None:
    for where, kind in (("embedded", "StatefulSet"), ("operators", "Cluster")):
        assert {f"oms-{one}-postgres" for one in SERVICES} <= set(render(MODES[where]).of(kind))
    env = render(MODES["external"]).pods()["Deployment/oms-order"]["initContainers"][0]["env"]
    assert env[0]["name"] == "OMS_DATABASE_URL"
    assert env[0]["valueFrom"]["secretKeyRef"] == {"name": "order-db", "key": "uri"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_text_that_applies_to_one_mode_names_it(page: Path) -> None:
    before = ""
    for line in page.read_text().splitlines():
        if BY_MODE.search(line) and page.stem != "Modes":
            assert SAYS_WHICH.search(before + line), line
        before = line if line.startswith("#") else ""


def test_each_way_to_a_database_is_a_function_of_the_shell() -> None:
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "docs" / "runbooks" / "Modes.md").read_text(), re.DOTALL)
    functions = [block for block in blocks if "sql() {" in block]
    assert [re.findall(r"# (\w+)", block)[0] for block in functions] == ["embedded", "cnpg", "external"]
    shell = 'kubectl() { printf \'%s|\' "$@" >&2; echo Zm91bmQ=; }; psql() { kubectl psql "$@"; }; set -eu; '
    for block in functions:
        done = subprocess.run(
            ["bash", "-c", f"{shell}{block}\nsql loyalty-points 'SELECT 1'"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert "SELECT 1" in done.stderr
        assert "loyalty_points" in done.stderr or "psql|" in done.stderr
        assert "oms-loyalty-points" in done.stderr


def test_the_commands_for_the_admin_apis_lead_to_that_of_each_service(tmp_path: Path) -> None:
    page = (ROOT / "charts" / "oms" / "README.md").read_text().partition("## Repairing")[2]
    (block,) = re.findall(r"```bash\n(.*?)```", page, re.DOTALL)[:1]
    forwarded = tmp_path / "forwarded"
    kubectl = f'kubectl() {{ case "$*" in *secret*) echo b3VycyA=;; *) echo "$@" >>{forwarded};; esac; }}'
    done = subprocess.run(
        ["bash", "-c", f"set -eu; {kubectl}; oms() {{ env; }}; {block}\nwait"],
        env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    ports = dict(re.findall(r"deploy/oms-(\S+) (\d+):9100", forwarded.read_text()))
    assert sorted(ports) == sorted(SERVICES)
    assert len({*ports.values()}) == len(SERVICES)
    for service, port in ports.items():
        assert f"OMS_ADMIN_URL_{service.upper()}=http://localhost:{port}\n" in done.stdout
    assert "OMS_ADMIN_TOKEN=ours \n" in done.stdout


def test_every_command_names_the_namespace() -> None:
    """Otherwise helm finds no release and kubectl looks elsewhere. A verb alone is only mentioned."""
    given = [
        words(one) for page in PAGES for program in ("kubectl", "helm") for one in commands(page.read_text(), program)
    ]
    assert [command for command in given if len(command) > 2 and command[1:3] != ["-n", "oms"]] == []


@pytest.mark.parametrize("command", [one for one in each("kubectl") if "logs" in one.values[0]])
def test_logs_are_those_of_every_pod_and_as_far_back_as_they_go(command: list[str]) -> None:
    """For a Deployment, kubectl reads only one pod; for a label, only the last ten lines of each."""
    assert not [word for word in command if word.startswith("deploy")]
    assert "-l" not in command or [word for word in command if word.startswith("--tail=")]


def test_no_page_forwards_a_port_that_is_used_for_the_admin_apis() -> None:
    """The second forward would fail, and requests to the port would reach the first one's service."""
    taken = {str(9100 + place) for place in range(len(SERVICES))}
    for page in PAGES:
        text = page.read_text()
        forwarded = re.findall(r"port-forward \S+ (\d+):\d+", text)
        assert not taken & {*forwarded}, page.stem
        assert {*re.findall(r"http://localhost:(\d+)", text)} <= {*forwarded}, page.stem


@pytest.mark.parametrize("page", ["docs/backup.md", "docs/runbooks/OmsBackupOverdue.md"])
def test_each_manual_backup_is_a_new_one(page: str, tmp_path: Path) -> None:
    """Otherwise the previous job would be found complete at once."""
    (block,) = [
        one for one in re.findall(r"```sh\n(.*?)```", (ROOT / page).read_text(), re.DOTALL) if "create job" in one
    ]
    shell = """
    date() { echo >>calls; wc -l <calls; }
    kubectl() { case $3 in create) mkdir "${@: -1}" ;; wait) ls "$(basename "$5")" ;; esac; }
    """
    command = ["bash", "-ec", f"{shell}{block}{block}"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@cache
def tasks() -> set[str]:
    """Return the names of the services' periodic tasks."""
    calls = [one for path in CODE for one in ast.walk(ast.parse(path.read_text())) if isinstance(one, ast.Call)]
    named = [one.args[0] for one in calls if isinstance(one.func, ast.Name) and one.func.id == "Task"]
    return {one.value for one in named if isinstance(one, ast.Constant) and isinstance(one.value, str)}


def test_each_task_that_may_fail_is_on_the_page_about_failing_tasks() -> None:
    page = (ROOT / "docs" / "runbooks" / "OmsTasksFailing.md").read_text()
    assert len(tasks()) > 10
    assert {one for one in tasks() if f"`{one}`" not in page} == set()


def test_each_step_at_which_orders_may_be_stuck_is_on_the_page_about_them() -> None:
    page = (ROOT / "docs" / "runbooks" / "OmsOrdersStuck.md").read_text()
    assert [step for step in stuck.STEPS if f"| step `{step}`" not in page] == []


def test_the_database_understands_every_statement(database_url: str) -> None:
    database = migrated(database_url, "oms_payment")
    pages = [page.read_text() for page in PAGES if page.name.startswith("Oms")]
    asked = [words(command)[2] for page in pages for command in commands(page, "sql")]
    quoted = [one for page in pages for one in re.findall(r"`((?:SELECT|SHOW) [^`]+)`", page)]
    assert len(asked) >= 9
    with database.engine.connect() as connection:
        for statement in (*asked, *quoted):
            if not re.search("pg_(terminate|drop)", statement):  # those would end sessions or remove data
                connection.execute(sa.text(statement.replace(":", r"\:")))
                connection.rollback()
    database.dispose()


@cache
def events() -> set[str]:
    """Return the events that the services log."""
    found = set()
    for path in CODE:
        tree = ast.parse(path.read_text())
        calls = [
            call.args[0]
            for call in ast.walk(tree)
            if isinstance(call, ast.Call)
            and isinstance(call.func, ast.Attribute)
            and call.func.attr in {"debug", "info", "warning", "error", "exception", "critical"}
            and call.args
        ]
        found |= {one.value for one in calls if isinstance(one, ast.Constant) and isinstance(one.value, str)}
        if any(not isinstance(one, ast.Constant) for one in calls):  # a variable with one of several names
            texts = (one.value for one in ast.walk(tree) if isinstance(one, ast.Constant))
            found |= {one for one in texts if isinstance(one, str) and re.fullmatch(r"[a-z]+(_[a-z]+)+", one)}
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_log_events_that_pages_search_for_are_written_by_services(page: Path) -> None:
    said = events()
    for command in commands(page.read_text(), "kubectl"):
        tokens = shlex.split(command, comments=True)
        if " logs " not in command or "grep" not in tokens:
            continue
        given = [one for one in tokens[tokens.index("grep") + 1 :] if not re.fullmatch("-[A-Za-z]", one)]
        for pattern in given:
            for one in re.sub(
                r"(\w+)\(([\w|]+)\)", lambda m: "|".join(m[1] + x for x in m[2].split("|")), pattern
            ).split("|"):
                assert any(re.search(one, event) for event in said), f"nothing is logged as {one}"
