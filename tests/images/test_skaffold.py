"""skaffold.yaml fits the repository, and the reference of its schema."""

import copy
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.dockerfiles import is_in_context, stages

from oms_chassis.settings import Settings
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
    "deploy": {
        *("helm", "statusCheck", "statusCheckDeadlineSeconds", "tolerateFailuresUntilDeadline", "kubeContext", "logs"),
    },
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
    """Return the configuration with these profiles; a patch adds a missing value, or replaces an existing one."""
    result = copy.deepcopy(config)
    for profile in (one for one in config["profiles"] if one["name"] in profiles):
        for patch in profile["patches"]:
            *way, last = patch["path"].strip("/").split("/")
            place: Any = result
            for step in way:
                place = place[int(step)] if isinstance(place, list) else place[step]
            assert patch["op"] == ("replace" if last in place else "add"), patch["path"]
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


def test_it_builds_the_base_with_the_simulators_and_the_images_on_it(config: Config, root: Path) -> None:
    base, *others = config["build"]["artifacts"]
    assert (base["image"], base["docker"]["target"]) == ("oms/base", "demo")
    assert [artifact["image"] for artifact in others] == [f"oms/{name}" for name in ("simulators", *SERVICES)]
    assert all(artifact["requires"] == [{"image": "oms/base", "alias": "BASE"}] for artifact in others)
    assert all((root / artifact["docker"]["dockerfile"]).is_file() for artifact in config["build"]["artifacts"])


def read_stages(artifact: Config, root: Path) -> list[tuple[str, ...]]:
    """Return the files that each stage of an artifact's Dockerfile copies from the build context."""
    images = {one["alias"]: one["image"] for one in artifact.get("requires", ())}
    text = (root / artifact["docker"]["dockerfile"]).read_text()
    return [stage.sources for stage in stages(text, images | artifact["docker"].get("buildArgs", {}))]


def test_every_stage_of_every_dockerfile_copies_existing_files(config: Config, root: Path) -> None:
    """Skaffold looks for the files of all stages, whichever it builds, and fails at the first that is missing."""
    for artifact in config["build"]["artifacts"]:
        wanted = [source for sources in read_stages(artifact, root) for source in sources]
        assert wanted or artifact["image"] == "oms/simulators"  # this is the base with another entry point
        assert [source for source in wanted if not is_in_context(root, source)] == []


def test_a_change_of_a_service_affects_only_its_own_image(config: Config, root: Path) -> None:
    """Otherwise each saved file would rebuild everything instead of being synchronised."""
    base, _, *others = config["build"]["artifacts"]
    assert not [source for sources in read_stages(base, root) for source in sources if source.startswith("services")]
    for service, artifact in zip(SERVICES, others, strict=True):
        assert read_stages(artifact, root) == [(f"services/{service}/oms_{service}",)]


def test_tags_are_made_without_asking_a_registry(config: Config) -> None:
    """`inputDigest` looks up the base of each image whose FROM is another artifact at Docker Hub."""
    assert config["build"]["tagPolicy"] == {"sha256": {}}


def test_images_are_pushed_if_the_cluster_is_remote(config: Config) -> None:
    """Skaffold does that by default, unless a value is set."""
    assert "push" not in config["build"]["local"]


def test_it_does_not_touch_what_helm_has_installed(config: Config, root: Path) -> None:
    """`skaffold dev` uninstalls its release at its end; make kind-up and the README install `oms` in `oms`."""
    namespace = release(config)["namespace"]
    assert namespace != "oms"
    assert [one["namespace"] for one in config["portForward"]] == [namespace]
    assert f"kubectl -n {namespace} " in (root / "README.md").read_text()


@pytest.mark.parametrize("profiles", [(), ("kind",), ("strimzi",), ("kind", "dev")], ids="-".join)
def test_its_ingress_does_not_compete_with_another_installation_s(config: Config, profiles: tuple[str, ...]) -> None:
    assert release(patched(config, *profiles))["setValues"]["ingress.enabled"] is False


def test_a_first_start_may_take_as_long_as_a_migration_waits(config: Config) -> None:
    """Kubernetes restarts a container that fails meanwhile, which is no reason to uninstall everything."""
    assert config["deploy"]["tolerateFailuresUntilDeadline"]
    assert config["deploy"]["statusCheckDeadlineSeconds"] > Settings.model_fields["migrate_patience_seconds"].default


@pytest.mark.parametrize("context", ["kind-oms", "kind-kind"])
def test_the_profile_of_kind_is_chosen_on_any_kind_cluster(config: Config, context: str) -> None:
    (profile,) = (one for one in config["profiles"] if one["name"] == "kind")
    (activation,) = profile["activation"]
    assert re.fullmatch(activation["kubeContext"], context)
    assert not re.fullmatch(activation["kubeContext"], "gke_project_zone_cluster")


def test_the_chart_uses_each_service_s_image(config: Config, root: Path) -> None:
    values = yaml.safe_load((root / "charts/oms/values.yaml").read_text())
    assert "image" in values["serviceDefaults"]
    assert set(values["services"]) == set(SERVICES)
    assert "image" in values["mailCatcher"]
    names = {f"services.{name}.image": name for name in SERVICES} | {"mailCatcher.image": "simulators"}
    wanted = {value: f"{{{{.IMAGE_FULLY_QUALIFIED_oms_{name}}}}}" for value, name in names.items()}
    assert release(config)["setValueTemplates"] == wanted


def test_the_files_of_the_profiles_exist(config: Config, root: Path) -> None:
    for profile in ("kind", "strimzi"):
        for path in release(patched(config, profile)).get("valuesFiles", ()):
            assert (root / path).is_file()


def test_the_profiles_choose_a_kafka(config: Config, root: Path) -> None:
    (path,) = release(patched(config, "kind"))["valuesFiles"]
    assert yaml.safe_load((root / path).read_text())["kafka"]["mode"] == "embedded"
    assert release(patched(config, "strimzi"))["setValues"]["kafka.mode"] == "strimzi"


def test_development_puts_changed_files_where_the_reloader_looks(config: Config, root: Path) -> None:
    base, _, *others = patched(config, "dev")["build"]["artifacts"]
    assert f"AS {base['docker']['target']}\n" in (root / "Dockerfile.base").read_text()
    for service, artifact in zip(SERVICES, others, strict=True):
        (rule,) = artifact["sync"]["manual"]
        assert f'"{rule["dest"]}"' in (root / "scripts/reload.py").read_text()
        assert rule["strip"] == f"services/{service}/"
        assert list(root.glob(rule["src"])), rule["src"]


def test_the_mission_s_port_is_forwarded(config: Config) -> None:
    (forward,) = config["portForward"]
    assert (forward["resourceName"], forward["port"], forward["localPort"]) == ("oms-order", 9090, 9090)
