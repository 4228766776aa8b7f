"""Leadership among the sidecars of one stage: who leads acts, all others only observe."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final, Protocol

from controller.core.faults import Conflict, Fault
from controller.core.lease import (
    LEASE_RECORD,
    Leave,
    Tenure,
    Terms,
    look,
    lost,
    may_write,
    released_value,
    renewal,
    seconds_left,
    won,
)
from controller.core.model import Json
from controller.ports import Clock, StateStore

RETRY_SECONDS: Final = 2.0  # between two tries while the store does not answer


class Leadership(Protocol):
    """Whether this process may change anything, asked before each change."""

    @property
    def place(self) -> str | None:
        """Name this sidecar's place among several, also after a restart; None where it is alone."""
        ...

    def why_not(self) -> str | None:
        """Say why nothing may be written now; None while it may, for as long as a write takes."""
        ...

    def keep(self) -> None:
        """Must take or renew what is due, and never raise."""
        ...

    def release(self) -> None:
        """Must let go at once, so that the next need not wait; never raises."""
        ...

    def describe(self) -> dict[str, Json]: ...


class Always:
    """The only controller of its stage."""

    place = None

    def why_not(self) -> str | None:
        return None

    def keep(self) -> None: ...

    def release(self) -> None: ...

    def describe(self) -> dict[str, Json]:
        return {"role": "always"}


class Leased:
    """Leads while the lease is ours with time left on it, counted from before it was asked for."""

    def __init__(
        self,
        store: StateStore,
        clock: Clock,
        *,
        holder: str,
        place: str | None = None,
        terms: Terms | None = None,
        told: Callable[[str, int], None] = lambda _event, _epoch: None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._terms = terms if terms is not None else Terms()
        self._told = told
        self._tenure = Tenure(holder)
        self._place = place or holder
        self._lock = threading.RLock()  # the loop and the thread that renews both come here
        self._next = clock.monotonic()  # when to ask again
        self._fault: Fault | None = None
        self._released = False

    @property
    def place(self) -> str | None:
        return self._place

    def why_not(self) -> str | None:
        self.keep()
        with self._lock:
            if may_write(self._tenure, self._terms, self._clock.monotonic()):
                return None
            if self._fault is not None:
                return f"the lease cannot be kept: {self._fault.message}"
            if self._tenure.mine:
                return "the lease is about to end"
            return f"{self._tenure.leader or 'nobody yet'} leads this stage; this one stands by"

    def keep(self) -> None:
        with self._lock:
            if self._released or self._clock.monotonic() < self._next:
                return
            led = self._leads()
            try:
                self._ask()
                self._fault = None
                self._next = self._clock.monotonic() + self._terms.renew
            except Conflict:
                self._tenure = lost(self._tenure)
                self._next = self._clock.monotonic() + RETRY_SECONDS
            except Fault as fault:
                self._fault = fault
                self._next = self._clock.monotonic() + RETRY_SECONDS
            if self._leads() != led:
                self._told("leading" if not led else "not leading", self._tenure.epoch)

    def release(self) -> None:
        with self._lock:
            self._released = True
            if not self._tenure.mine:
                return
            tenure, self._tenure = self._tenure, lost(self._tenure)
            try:
                self._store.put(LEASE_RECORD, released_value(tenure), expected=tenure.revision)
            except Fault:
                return  # it ends by itself

    def describe(self) -> dict[str, Json]:
        with self._lock:
            tenure, leads = self._tenure, self._leads()
            return {
                "role": "leader" if leads else "standby",
                "holder": tenure.holder,
                "leader": tenure.leader or None,
                "epoch": tenure.epoch,
                "left": round(seconds_left(tenure, self._terms, self._clock.monotonic()), 1),
            }

    def _leads(self) -> bool:
        return seconds_left(self._tenure, self._terms, self._clock.monotonic()) > 0

    def _ask(self) -> None:
        """Renew what is ours; else look who holds it, and bid when nobody does."""
        begun, now = self._clock.monotonic(), self._clock.now()
        if self._leads():
            try:
                bid = renewal(self._tenure, self._terms, now)
                revision = self._store.put(LEASE_RECORD, bid.value, expected=bid.expected)
            except Conflict:
                self._tenure = lost(self._tenure)  # or our own last write, whose answer was lost
            else:
                self._tenure = won(self._tenure, bid, revision, begun)
                return
        self._look(begun, now)

    def _look(self, begun: float, now: float) -> None:
        record = self._store.load().get(LEASE_RECORD)
        self._tenure, move = look(self._tenure, record, self._terms, mono=begun, now=now)
        if isinstance(move, Leave):
            return
        revision = self._store.put(LEASE_RECORD, move.value, expected=move.expected)
        self._tenure = won(self._tenure, move, revision, begun)
