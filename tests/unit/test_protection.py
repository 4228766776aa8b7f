from __future__ import annotations

import pytest

from controller.core.protection import unprotected

FAR = "b-1.example.com:9094,b-2.example.com:9094"


@pytest.mark.parametrize("security", ["tls", "plaintext"])
def test_brokers_that_ask_for_no_identity_are_warned_of(security: str) -> None:
    assert (unprotected(security, FAR) or "").startswith("ClusterUnprotected: ")


@pytest.mark.parametrize("security", ["iam", "scram"])
def test_brokers_that_know_their_clients_are_not(security: str) -> None:
    assert unprotected(security, FAR) is None


@pytest.mark.parametrize("line", ["127.0.0.1:9092", "localhost:1,127.0.0.2:2", "[::1]:9092", None])
def test_brokers_of_this_machine_or_of_none_are_not(line: str | None) -> None:
    assert unprotected("plaintext", line) is None


def test_one_far_broker_among_near_ones_is_enough() -> None:
    assert unprotected("plaintext", "127.0.0.1:9092,b-1.example.com:9092")
