"""skaffold.yaml against the repository, and against what the reference of its schema allows."""

import copy
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from oms_contracts.topics import SERVICES

Config = dict[str, Any]

# The keys of schema v4beta14 for the parts of a configuration that this one has.
KEYS = {
    "config": {"apiVersion", "kind", "metadata", "build", "deploy", "portForward", "profiles"},
    "build": {"artifacts", "tagPolicy", "local"},
    "local": {"push", "tryImportMissing", "useDockerCLI", "useBuildkit", "concurrency"},
    "artifact": {"image", "context", "sync", "requires", "hooks", "platforms", "runtimeType", "docker"},
    "docker": {"dockerfile", "target", "buildArgs", "network", "cacheFrom", "cliFlags", "pullParent", "noCache"},
    "manual": {"src", "dest", "strip"},
    "deploy": {"helm", "statusCheck", "statusCheckDeadlineSeconds", "kubeContext", "logs"},
    "release": {
        *("name", "chartPath", "valuesFiles", "namespace", "version", "setValues", "setValueTemplates", "setFiles"),
        *("createNamespace", "wait", "recreatePods", "skipBuildDependencies", "skipTests", "upgradeOnChange"),
    },
    "portForward": {"resourceType", "resourceName", "namespace", "port", "address", "localPort"},
    "profile": {"name", "activation", "requiresAllActivations", "patches", "build", "deploy", "portForward"},
    "activation": {"env", "kubeContext", "command"},
    "patch": {"op", "path", "from", "value"},
}


@pytest.fixture(scope="session")
def config(root: Path) -> Config:
    loaded: Config = yaml.safe_load((root / "skaffold.yaml").read_text())
    return loaded


def patched(config: Config, *profiles: str) -> Config:
    """The configuration as these profiles make it; each patch must find the place that it adds to."""
    result = copy.deepcopy(config)
    for profile in (one for one in config["profiles"] if one["name"] in profiles):
        for patch in profile["patches"]:
            assert patch["op"] == "add"
            *way, last = patch["path"].strip("/").split("/")
            place: Any = result
            for step in way:
                place = place[int(step)] if isinstance(place, list) else place[step]
            assert last not in place, patch["path"]
            place[last] = patch["value"]
    return result


def release(config: Config) -> Config:
    found: Config = config["deploy"]["helm"]["releases"][0]
    return found


@pytest.mark.parametrize("profiles", [(), ("kind",), ("strimzi",), ("kind", "dev")], ids="-".join)
def test_every_key_is_one_that_skaffold_knows(config: Config, profiles: tuple[str, ...]) -> None:
    whole = patched(config, *profiles)
    artifacts = whole["build"]["artifacts"]
    parts = [
        ("config", whole),
        ("build", whole["build"]),
        ("local", whole["build"]["local"]),
        *(("artifact", artifact) for artifact in artifacts),
        *(("docker", artifact["docker"]) for artifact in artifacts),
        *(("manual", rule) for artifact in artifacts for rule in artifact.get("sync", {}).get("manual", ())),
        ("deploy", whole["deploy"]),
        ("release", release(whole)),
        *(("portForward", one) for one in whole["portForward"]),
        *(("profile", profile) for profile in whole["profiles"]),
        *(("activation", one) for profile in whole["profiles"] for one in profile.get("activation", ())),
        *(("patch", patch) for profile in whole["profiles"] for patch in profile["patches"]),
    ]
    for kind, part in parts:
        assert part.keys() <= KEYS[kind], kind


def test_the_schema_is_a_current_one(config: Config) -> None:
    assert re.fullmatch(r"skaffold/v4beta1[34]", config["apiVersion"])


def test_it_builds_the_base_and_the_five_images_on_it(config: Config, root: Path) -> None:
    base, *others = config["build"]["artifacts"]
    assert base["image"] == "oms/base"
    assert [artifact["image"] for artifact in others] == [f"oms/{service}" for service in SERVICES]
    assert all(artifact["requires"] == [{"image": "oms/base", "alias": "BASE"}] for artifact in others)
    assert all((root / artifact["docker"]["dockerfile"]).is_file() for artifact in config["build"]["artifacts"])


def test_the_chart_takes_each_service_s_image(config: Config, root: Path) -> None:
    values = yaml.safe_load((root / "charts/oms/values.yaml").read_text())
    assert "image" in values["serviceDefaults"]
    assert set(values["services"]) == set(SERVICES)
    wanted = {f"services.{name}.image": f"{{{{.IMAGE_FULLY_QUALIFIED_oms_{name}}}}}" for name in SERVICES}
    assert release(config)["setValueTemplates"] == wanted


def test_the_files_of_the_profiles_exist(config: Config, root: Path) -> None:
    for profile in ("kind", "strimzi"):
        for path in release(patched(config, profile)).get("valuesFiles", ()):
            assert (root / path).is_file()


def test_the_profiles_choose_a_kafka(config: Config, root: Path) -> None:
    (path,) = release(patched(config, "kind"))["valuesFiles"]
    assert yaml.safe_load((root / path).read_text())["kafka"]["mode"] == "embedded"
    assert release(patched(config, "strimzi"))["setValues"] == {"kafka.mode": "strimzi"}


def test_development_puts_changed_files_where_the_reloader_looks(config: Config, root: Path) -> None:
    base, *others = patched(config, "dev")["build"]["artifacts"]
    assert f"AS {base['docker']['target']}\n" in (root / "Dockerfile.base").read_text()
    for service, artifact in zip(SERVICES, others, strict=True):
        (rule,) = artifact["sync"]["manual"]
        assert f'"{rule["dest"]}"' in (root / "scripts/reload.py").read_text()
        assert rule["strip"] == f"services/{service}/"
        assert list(root.glob(rule["src"])), rule["src"]


def test_the_mission_s_port_is_forwarded(config: Config) -> None:
    (forward,) = config["portForward"]
    assert (forward["resourceName"], forward["port"], forward["localPort"]) == ("oms-order", 9090, 9090)
