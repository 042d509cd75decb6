"""Blocks of commands can be run as a whole: each command waits for what the next one needs."""

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [*sorted(ROOT.glob("docs/**/*.md")), ROOT / "charts/oms/README.md", ROOT / "README.md"]
SKIP = ROOT / "docs" / "runbooks" / "OmsBatchDamaged.md"
# Commands that return before they are done, and the line that must follow.
WAITS = {
    r"kubectl .*\bscale .*--replicas=0": r"kubectl .*\bwait --for=delete pod",
    r".*\bkind: \"(Pod|Job)\".*\bapply -f -": r"kubectl .*\bwait --for=(jsonpath|condition)=",
    r"kubectl .*\bcreate job": r"kubectl .*\bwait --for=condition=",
    r"kubectl .*\bport-forward .*&$": r"curl .*--retry-connrefused|(?!curl)",
}
# A fake kubectl that records its calls, and knows one Deployment.
KUBECTL = """
kubectl() {
  echo "$*" >>"$FOLDER/asked"
  case $* in
    *jsonpath=*replicas*) echo 3 ;;
    *"get deployment"*) cat "$FOLDER/deployment" ;;
    *apply*) cat >"$FOLDER/pod" ;;
  esac
}
"""


def blocks(page: Path) -> Iterator[list[str]]:
    for block in re.findall(r"```(?:sh|bash)\n(.*?)```", page.read_text(), re.DOTALL):
        yield [line.strip() for line in block.splitlines() if line.strip()]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_no_command_is_followed_by_one_that_comes_too_early(page: Path) -> None:
    for block in blocks(page):
        for line, after in zip(block, [*block[1:], ""], strict=True):
            for early, wait in WAITS.items():
                assert not re.match(early, re.sub(r"\s+#.*", "", line)) or re.match(wait, after), line


def test_a_batch_is_skipped_by_a_pod_of_the_service_once_no_other_is_left(
    render: Any, tool: Callable[[str], str], tmp_path: Path
) -> None:
    tool("jq")
    deployment = render().of("Deployment")["oms-sms"]
    (tmp_path / "deployment").write_text(json.dumps(deployment))
    (block,) = [one for one in blocks(SKIP) if any("oms-skip" in line for line in one)]
    script = "\n".join(["set -eu", f"FOLDER={tmp_path}", KUBECTL, *block]).replace("SERVICE", "sms")
    subprocess.run(["bash", "-c", script], check=True, timeout=60)
    asked = (tmp_path / "asked").read_text().splitlines()
    order = [
        "--replicas=0",
        "wait --for=delete",
        "apply",
        "wait --for=jsonpath",
        "logs",
        "delete pod oms-skip",
        "--replicas=3",
    ]
    places = [next(place for place, line in enumerate(asked) if step in line) for step in order]
    assert places == sorted(places)
    pod = json.loads((tmp_path / "pod").read_text())
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert labels["app.kubernetes.io/component"] == "sms"
    assert pod["metadata"]["labels"] == labels  # by which the policies let it reach Kafka
    (container,) = pod["spec"]["containers"]
    assert container["command"] == ["python", "-m", "oms_sms.main", "skip", "--beyond", "TOPIC:PARTITION:BEYOND"]
    assert pod["spec"]["restartPolicy"] == "OnFailure"  # a member that died stays in the group for a while
