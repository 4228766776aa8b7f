from __future__ import annotations

import json

import pytest

from controller.core.faults import (
    Conflict,
    Denied,
    Fault,
    OutcomeUnknown,
    Rejected,
    Transient,
    Unavailable,
)

SIBLINGS = (Transient, Conflict, OutcomeUnknown, Unavailable, Denied, Rejected)


@pytest.mark.parametrize("kind", SIBLINGS)
def test_no_fault_is_caught_as_another(kind: type[Fault]) -> None:
    others = tuple(other for other in SIBLINGS if other is not kind)
    assert issubclass(kind, Fault)
    assert not issubclass(kind, others)


@pytest.mark.parametrize("kind", SIBLINGS)
def test_a_fault_tells_its_reason_message_and_wait(kind: type[Fault]) -> None:
    fault = kind("Throttled", "too many requests", retry_after=1.5)
    assert (fault.reason, fault.message, fault.retry_after) == (
        "Throttled",
        "too many requests",
        1.5,
    )
    assert str(fault) == "Throttled: too many requests"
    assert repr(fault) == f"{kind.__name__}('Throttled', 'too many requests')"
    assert kind("Throttled", "too many requests").retry_after is None


def test_faults_are_equal_when_they_say_the_same() -> None:
    fault = Unavailable("NoAnswer", "no answer in 5 s")
    same = Unavailable("NoAnswer", "no answer in 5 s", retry_after=3)
    assert fault == same
    assert len({fault, same}) == 1


@pytest.mark.parametrize(
    "other",
    [
        Transient("NoAnswer", "no answer in 5 s"),
        Fault("NoAnswer", "no answer in 5 s"),
        Unavailable("Refused", "no answer in 5 s"),
        Unavailable("NoAnswer", "no answer in 6 s"),
        "NoAnswer: no answer in 5 s",
    ],
)
def test_faults_differ_by_kind_reason_or_message(other: object) -> None:
    assert Unavailable("NoAnswer", "no answer in 5 s") != other


def test_a_raised_fault_keeps_its_cause() -> None:
    def read() -> None:
        try:
            json.loads("<html>")
        except json.JSONDecodeError as error:
            raise Unavailable("NotJson", "the answer is no JSON") from error

    with pytest.raises(Unavailable) as caught:
        read()
    assert isinstance(caught.value.__cause__, json.JSONDecodeError)
