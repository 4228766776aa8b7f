"""What is remembered of a connector after a cycle, and what its newest restart came to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

from controller.core.action import Forget, Remember
from controller.core.model import Records
from controller.core.restart import Case, Symptom
from controller.core.tries import PENDING, WINDOW, Tries, pause, put_tries, restarts_record

LOST_COUNT: Final = 8  # of tries, where the store was lost: the longest pause
VERIFIED_AFTER: Final = 15.0  # seconds; a loop tries again each ten
RESULTS: Final = ("healed", "unhealed")


def keep_tries(case: Case, *, lost: bool) -> Iterator[Remember | Forget]:
    """List what the store must be told of one connector; nothing when it knows it all."""
    tries, symptom = case.tries, case.symptom
    if symptom is Symptom.MOVING or (symptom is Symptom.LOOPING and tries is None):
        return
    if symptom is Symptom.WELL:
        yield from _keep_well(case)
    elif tries is None:
        count, at = (LOST_COUNT, (case.now,)) if lost else (0, ())
        first = Tries(case.failure_id, case.now, count, at, generation=case.generation)
        yield put_tries(case.name, first, case.now)
    else:
        outcome = "unhealed" if _verdict_due(case, tries) else tries.outcome
        ill = replace(tries, well_since=None, outcome=outcome, ahead=False)
        if case.ill_before is None:
            ill = replace(ill, since=case.now, generation=case.generation)
        if ill != tries:
            yield put_tries(case.name, ill, case.now)


def _keep_well(case: Case) -> Iterator[Remember | Forget]:
    tries = case.tries
    if tries is None:
        return
    since = case.now if tries.well_since is None else tries.well_since
    if not tries.times or case.now - max(since, tries.times[-1]) > max(pause(tries.count), WINDOW):
        yield Forget(restarts_record(case.name))
        return
    outcome = "healed" if _verdict_due(case, tries) else tries.outcome
    well = replace(tries, well_since=since, outcome=outcome, ahead=False)
    if well != tries:
        yield put_tries(case.name, well, case.now)


def _verdict_due(case: Case, tries: Tries) -> bool:
    """A restart is judged by what is seen after it, never by Connect's answer to it."""
    if tries.outcome != PENDING or not tries.times:
        return False
    return case.now - tries.times[-1] >= VERIFIED_AFTER


def verdicts(before: Records, told: Iterable[Remember | Forget]) -> Iterator[tuple[str, str]]:
    """List (failure, result) of the tries that this cycle came to a judgement of."""
    for action in told:
        if not isinstance(action, Remember) or not action.key.startswith("restart/"):
            continue
        old, result = before.get(action.key), action.value.get("outcome")
        if old is not None and old.value.get("outcome") == PENDING and result in RESULTS:
            yield str(action.value.get("failure")), str(result)
