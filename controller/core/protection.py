"""Whether the cluster knows who its clients are."""

from __future__ import annotations

from typing import Final

ANONYMOUS: Final = ("plaintext", "tls")  # tls here proves the brokers to us, never us to them


def unprotected(security: str, line: str | None) -> str | None:
    """Warn of a cluster that asks nobody who they are; one on this machine is nobody else's."""
    if security not in ANONYMOUS or line is None:
        return None
    hosts = {address.strip().rsplit(":", 1)[0].strip("[]") for address in line.split(",")}
    if all(host in {"localhost", "::1"} or host.startswith("127.") for host in hosts):
        return None
    return (
        f"ClusterUnprotected: the brokers ask for no identity ({security}), so IAM says nothing: "
        "whoever reaches them can delete any topic of any stage; only IAM or SCRAM authentication "
        "with ACLs on the cluster change that"
    )
