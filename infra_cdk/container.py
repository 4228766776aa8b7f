"""What the task and the images agree on: who runs in a container, where, and how it is asked."""

from __future__ import annotations

from typing import Final

USER: Final = "10001:10001"  # both images have it: one writes secret files, the other reads them
SECRETS_ROOT: Final = "/run/wms-secrets"
EVIDENCE_ROOT: Final = "/run/wms-evidence"
TMP: Final = "/tmp"  # noqa: S108 - a volume of its own
CONNECT_PORT: Final = 8083
HTTP_PORT: Final = 8080
METRICS_PORT: Final = 9090
JMX_PORT: Final = 9404

# A worker that waits for its secrets is as it should be: replacing it would not bring them. After
# that its REST API must answer 200, which it does not while it starts or has lost its group.
WORKER_HEALTH: Final = (
    f"[ -s {SECRETS_ROOT}/ready ] || exit 0; "
    f"exec 3<>/dev/tcp/127.0.0.1/{CONNECT_PORT} || exit 1; "
    r"printf 'GET /health HTTP/1.0\r\n\r\n' >&3; "
    'read -r -t 5 _ status _ <&3; [ "$status" = 200 ]'
)
CONTROLLER_HEALTH: Final = (
    "import urllib.request as r; "
    f"r.urlopen('http://127.0.0.1:{HTTP_PORT}/healthz', timeout=3)"  # raises unless it is 2xx
)
