"""`python -m devstack.images`: build both images, run them, prove what is claimed of them.

They run against the local stack as ECS would run them: read-only root, no capability, volumes with
the task's own rights. What it saw is printed and left in build/images.json.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from devstack.environment import REPOSITORY, StackError, wait_until
from devstack.image_engine import Engine, Run, find_engine
from devstack.image_proof import USER, VOLUMES, inspect, shorten
from devstack.port import LOOPBACK, free_port
from devstack.process import Child, Command, base_env
from devstack.rows import read_rows
from devstack.scene import CONNECTOR
from devstack.shell import call
from devstack.stack import Stack
from infra_cdk import container as task

TARGETS: Final = ("controller", "connect")
FOLDER: Final = REPOSITORY / "build" / "images"
REPORT: Final = REPOSITORY / "build" / "images.json"
PLUGINS: Final = frozenset(
    {
        "io.debezium.connector.oracle.OracleConnector",
        "io.debezium.connector.postgresql.PostgresConnector",
    }
)
TOPIC: Final = "wms.WMS.PLAN_BASE_WVR_TBL"
_START_SECONDS: Final = 180.0
_STOP_SECONDS: Final = 30.0
_HEAP: Final = "-Xms128m -Xmx768m"
_SECRET_VARIABLE: Final = re.compile(r"PASSWORD|SECRET(?!S_ROOT)|TOKEN|CREDENTIAL|ACCESS_KEY")
# Tries to write where a program would try first, then says who it is and what it may do.
_LOOK: Final = """
for folder in / /etc /opt /usr /var /var/tmp /run /root /home /dev /dev/shm; do
    touch "$folder/x" 2>/dev/null && echo "wrote $folder"
done
for folder in "$@"; do touch "$folder/x" && rm "$folder/x" && echo "volume $folder"; done
echo "user $(id -u):$(id -G)"
grep -E '^(Cap(Prm|Eff|Bnd|Amb)|NoNewPrivs):' /proc/self/status
"""
_EMPTY: Final = 'for folder in "$@"; do rm -rf "$folder"/* "$folder"/.[!.]*; done 2>&1; true'


@dataclass(slots=True)
class Image:
    """One built image and what was seen of it."""

    target: str
    id: str
    seconds: float
    size: int = 0
    proved: list[str] = field(default_factory=list)
    refuted: list[str] = field(default_factory=list)

    def claim(self, sentence: str, contradiction: str = "") -> None:
        if contradiction:
            self.refuted.append(f"{sentence}: {contradiction}")
            print(f"  NO  {self.target:10}  {sentence}: {contradiction}", flush=True)
        else:
            self.proved.append(sentence)
            print(f"  ok  {self.target:10}  {sentence}", flush=True)

    def __str__(self) -> str:
        return f"{self.target}: {self.size / 1e6:.0f} MB unpacked, built in {self.seconds:.0f} s"


def main() -> int:
    try:
        images = build_and_prove()
    except StackError as error:
        print(f"images: {error}", file=sys.stderr)
        return 1
    refuted = [f"{image.target}: {one}" for image in images for one in image.refuted]
    for one in refuted:
        print(f"images: not so: {one}", file=sys.stderr)
    return 1 if refuted else 0


def build_and_prove() -> list[Image]:
    """Build, look into, then run both; every claim ends as proved or refuted."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with closing(find_engine(FOLDER)) as engine:
        print(f"images: {engine.name}; bases {engine.bases}", flush=True)
        with _planted() as canary:
            images = {target: _build(engine, target) for target in TARGETS}
        for image in images.values():
            print(f"looking into {image.target} ...", flush=True)
            _look_inside(engine, image, canary)
        with Stack((), ready=False, logs=FOLDER / "logs") as stack:
            folders = _Task.make(stack.folder / "task")
            try:
                _run(engine, stack, images, folders)
            finally:
                folders.empty(engine, images["controller"].id)
        _report(engine, images)
        for image in images.values():
            print(image, flush=True)
    return list(images.values())


@contextmanager
def _planted() -> Iterator[bytes]:
    """Something that stands beside the sources and must not get into an image."""
    canary = secrets.token_hex(16).encode()
    path = FOLDER / "canary"
    path.write_bytes(canary)
    try:
        yield canary
    finally:
        path.unlink()


def _build(engine: Engine, target: str) -> Image:
    print(f"building {target} ...", flush=True)
    began = time.monotonic()
    return Image(target, engine.build(target), time.monotonic() - began)


# --- as it lies there ---------------------------------------------------------------------------


def _look_inside(engine: Engine, image: Image, canary: bytes) -> None:
    config = engine.config(image.id)
    image.claim(
        f"it runs as {task.USER}", "" if config.user == task.USER else config.user or "as root"
    )
    image.claim(
        "its volumes are the task's",
        "" if config.volumes == VOLUMES else f"it declares {sorted(config.volumes)}",
    )
    telling = sorted(name for name in config.environment if _SECRET_VARIABLE.search(name))
    image.claim("no variable of it names a secret", ", ".join(telling))
    with engine.files(image.id) as stream:
        found = inspect(stream, canary)
    image.size = found.size
    for claim, contradictions in found.claims():
        image.claim(claim, shorten(contradictions))


# --- running ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Task:
    """Folders behind the volumes of both containers, as ECS shares them."""

    secrets: Path
    evidence: Path
    connect_tmp: Path
    controller_tmp: Path

    @classmethod
    def make(cls, folder: Path) -> _Task:
        paths = [folder / name for name in ("secrets", "evidence", "connect-tmp", "controller-tmp")]
        for path in paths:
            path.mkdir(parents=True)
            if os.geteuid() == 0:
                os.chown(path, USER, USER)
            else:
                path.chmod(0o777)  # docker's daemon does not make the folder the user's own
        return cls(*paths)

    def connect(self, image: str, environment: Mapping[str, str] | None = None) -> Run:
        return Run(
            image,
            volumes={task.EVIDENCE_ROOT: self.evidence, task.TMP: self.connect_tmp},
            read_only={task.SECRETS_ROOT: self.secrets},
            environment=environment or {},
        )

    def controller(self, image: str, environment: Mapping[str, str] | None = None) -> Run:
        return Run(
            image,
            volumes={task.SECRETS_ROOT: self.secrets, task.TMP: self.controller_tmp},
            read_only={task.EVIDENCE_ROOT: self.evidence},
            environment=environment or {},
        )

    def empty(self, engine: Engine, image: str) -> None:
        """As the images' user: where docker's daemon is root, nobody else may remove its files."""
        shared = {task.SECRETS_ROOT: self.secrets, task.EVIDENCE_ROOT: self.evidence}
        for tmp in (self.connect_tmp, self.controller_tmp):
            run = Run(image, volumes={**shared, task.TMP: tmp}, environment={}, read_only={})
            _ask(engine, run, "sh", "-c", _EMPTY, "empty", *run.volumes)


def _run(engine: Engine, stack: Stack, images: Mapping[str, Image], folders: _Task) -> None:
    connect, controller = images["connect"], images["controller"]
    ports = {name: free_port() for name in ("connect", "jmx", "http", "metrics")}
    print("running both beside the local stack ...", flush=True)
    _try_to_write(engine, connect, folders.connect(connect.id))
    _try_java(engine, connect, folders)
    run = folders.connect(connect.id, _connect_environment(ports))
    worker = _start(engine, stack, "image-connect", run)
    waits = wait_until(lambda: "waiting for" in worker.tail(), _START_SECONDS) and worker.alive
    connect.claim("it waits for the secrets of its task", "" if waits else worker.tail(5))
    healthy = _healthy(engine, folders.connect(connect.id), ports)
    connect.claim("it counts as healthy while it waits", "" if healthy else "its check fails")

    _try_to_write(engine, controller, folders.controller(controller.id))
    _copy_manifests(folders.controller_tmp)
    environment = _controller_environment(stack, ports)
    sidecar = _start(
        engine, stack, "image-controller", folders.controller(controller.id, environment)
    )
    url = f"http://{LOOPBACK}:{ports['http']}"
    _await(controller, "it becomes ready beside that worker", sidecar, lambda: _ok(f"{url}/readyz"))
    run = folders.controller(controller.id)
    healthy = _passes(engine, run, "python3", "-c", _at(task.CONTROLLER_HEALTH, ports))
    controller.claim("the task's health check passes in it", "" if healthy else "it fails")

    rest = f"http://{LOOPBACK}:{ports['connect']}"
    _await(connect, "its worker answers", worker, lambda: _ok(f"{rest}/health"))
    missing = PLUGINS - {plugin["class"] for plugin in _get(f"{rest}/connector-plugins")}
    connect.claim("both plugins are loaded", ", ".join(sorted(missing)))
    healthy = _healthy(engine, folders.connect(connect.id), ports)
    connect.claim("the task's health check passes in it", "" if healthy else "it fails")
    served = _ok(f"http://{LOOPBACK}:{ports['jmx']}/metrics")
    connect.claim("its JMX exporter answers", "" if served else "nothing answers")
    seen = _ok(f"http://{LOOPBACK}:{ports['metrics']}/metrics")
    controller.claim("its metrics answer", "" if seen else "nothing answers")
    _await(
        controller,
        "the connector that it declared runs in that worker",
        sidecar,
        lambda: _states(rest) == ["RUNNING", "RUNNING"],
    )
    stack.postgres.insert_waiver("WMS")
    rows = read_rows(stack.broker.bootstrap, TOPIC, until=bool)
    connect.claim("a row of the database is in Kafka", "" if rows else "none came")
    written = list(folders.evidence.glob("worker.json"))
    connect.claim("it leaves its evidence where the controller reads", "" if written else "no file")
    for image, child in ((controller, sidecar), (connect, worker)):
        stack.stop_child(child, _STOP_SECONDS)
        killed = child.returncode in (None, -9, 137)
        image.claim("it ends by itself when it is told to", "it had to be killed" if killed else "")


def _start(engine: Engine, stack: Stack, name: str, run: Run) -> Child:
    return stack.start_child(name, Command(engine.argv(run), base_env(), stack.folder))


def _await(image: Image, claim: str, child: Child, holds: Any) -> None:
    held = wait_until(lambda: not child.alive or holds(), _START_SECONDS, every=0.5)
    if held and child.alive:
        image.claim(claim)
        return
    how = "not in time" if child.alive else f"it ended with {child.returncode}"
    raise StackError(f"{image.target}: {claim}: {how}. The end of {child.log}:\n{child.tail()}")


def _ask(engine: Engine, run: Run, *inner: str) -> str:
    asked = Run(
        run.image, run.volumes, run.environment, run.read_only, (inner[0],), tuple(inner[1:])
    )
    return call(engine.argv(asked), 60.0)


def _passes(engine: Engine, run: Run, *inner: str) -> bool:
    try:
        _ask(engine, run, *inner)
    except StackError:
        return False
    return True


def _healthy(engine: Engine, run: Run, ports: Mapping[str, int]) -> bool:
    return _passes(engine, run, "bash", "-c", _at(task.WORKER_HEALTH, ports))


def _at(check: str, ports: Mapping[str, int]) -> str:
    """The task's own check, at the ports of here."""
    check = check.replace(f"/{task.CONNECT_PORT}", f"/{ports['connect']}")
    return check.replace(f":{task.HTTP_PORT}", f":{ports['http']}")


def _try_to_write(engine: Engine, image: Image, run: Run) -> None:
    said = _ask(engine, run, "sh", "-c", _LOOK, "look", *run.volumes).splitlines()
    wrote = [line for line in said if line.startswith("wrote ")]
    image.claim("nothing but its volumes can be written while it runs", ", ".join(wrote))
    volumes = {line.removeprefix("volume ") for line in said if line.startswith("volume ")}
    image.claim("its volumes can be written", ", ".join(sorted(set(run.volumes) - volumes)))
    user = next((line for line in said if line.startswith("user ")), "user unknown")
    image.claim("it is nobody else", "" if user == f"user {USER}:{USER}" else user)
    rights = dict(line.split(":\t", 1) for line in said if ":\t" in line)
    held = sorted(name for name, bits in rights.items() if name.startswith("Cap") and int(bits, 16))
    asked = len(rights) == 5 and rights["NoNewPrivs"] == "1"
    image.claim("it has no capability and can get none", ", ".join(held) if asked else str(rights))


def _try_java(engine: Engine, image: Image, folders: _Task) -> None:
    modules = _ask(engine, folders.connect(image.id), "java", "--list-modules")
    image.claim("its Java has no compiler", "jdk.compiler" if "jdk.compiler@" in modules else "")


def _connect_environment(ports: Mapping[str, int]) -> dict[str, str]:
    """The task's own settings, but for one broker without TLS and the ports of here."""
    return {
        "WMS_STAGE": "main",
        "WMS_KAFKA_SECURITY": "plaintext",
        "WMS_SECRETS_ROOT": task.SECRETS_ROOT,
        "WMS_CONNECT_EVIDENCE": f"{task.EVIDENCE_ROOT}/worker.json",
        "WMS_CONNECT_LISTEN": LOOPBACK,
        "WMS_CONNECT_PORT": str(ports["connect"]),
        "WMS_CONNECT_REPLICATION": "1",
        "WMS_CONNECT_REBALANCE_DELAY_MS": "0",
        "WMS_CONNECT_HEAP": _HEAP,
        "WMS_CONNECT_METRICS": f"{LOOPBACK}:{ports['jmx']}",
    }


def _controller_environment(stack: Stack, ports: Mapping[str, int]) -> dict[str, str]:
    return stack.aws.environment() | {
        "WMS_STAGE": "main",
        "WMS_OVERLAY": "local",
        "WMS_MANIFESTS": f"{task.TMP}/manifests",
        "WMS_STATE_FILE": f"{task.TMP}/state.json",
        "WMS_SECRETS_ROOT": task.SECRETS_ROOT,
        "WMS_EVIDENCE_FILE": f"{task.EVIDENCE_ROOT}/worker.json",
        "WMS_KAFKA_SECURITY": "plaintext",
        "WMS_CONNECT_URL": f"http://{LOOPBACK}:{ports['connect']}",
        "WMS_AWS_ENDPOINT_URL": stack.aws.url,
        "WMS_LOG_FORMAT": "json",
        "WMS_HTTP_PORT": str(ports["http"]),
        "WMS_METRICS_PORT": str(ports["metrics"]),
    }


def _copy_manifests(tmp: Path) -> None:
    """Of the local overlay, without the login probe: the image has no driver for PostgreSQL."""
    folder = tmp / "manifests"
    shutil.copytree(REPOSITORY / "manifests", folder)
    policy = folder / "stages" / "local" / "policy.yaml"
    text = policy.read_text(encoding="utf-8")
    policy.write_text(text.replace("\nspec:\n", '\nspec:\n  probe: "off"\n', 1), encoding="utf-8")


def _get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.loads(answer.read())


def _ok(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _states(rest: str) -> list[str]:
    try:
        status = _get(f"{rest}/connectors/{CONNECTOR}/status")
    except (OSError, ValueError):
        return []
    return [status["connector"]["state"], *(one["state"] for one in status["tasks"])]


# --- the report ---------------------------------------------------------------------------------


def _report(engine: Engine, images: Mapping[str, Image]) -> None:
    told = {
        "engine": engine.name,
        "bases": str(engine.bases),
        "images": {
            image.target: {
                "id": image.id,
                "unpackedBytes": image.size,
                "buildSeconds": round(image.seconds, 1),
                "proved": image.proved,
                "refuted": image.refuted,
            }
            for image in images.values()
        },
    }
    REPORT.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    raise SystemExit(main())
