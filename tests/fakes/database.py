"""A database that can be logged in to, by our probe and by the worker."""

from __future__ import annotations

from collections import Counter

from controller.core.faults import Denied, OutcomeUnknown, Unavailable
from controller.core.model import Login, ProbeOutcome
from controller.core.preflight import Said, Scalar, Subject


class FakeDatabase:
    """Break it with `away` (no listener) or `mute` (its answers tell nothing)."""

    def __init__(self) -> None:
        self.passwords: dict[str, str] = {}  # user -> password
        self.away = False
        self.mute = False
        self.logins = 0
        self.failed: Counter[tuple[str, str]] = Counter()  # by user and password
        self.answers: dict[str, Scalar] = {}  # what it tells of how it was prepared

    def allow(self, user: str, password: str) -> None:
        self.passwords[user] = password

    def log_in(self, user: str, password: str) -> ProbeOutcome:
        if self.away:
            return ProbeOutcome.UNREACHABLE
        self.logins += 1
        if self.mute:
            self.failed[user, password] += 1
            return ProbeOutcome.DOUBTFUL
        if self.passwords.get(user) == password:
            return ProbeOutcome.ACCEPTED
        self.failed[user, password] += 1
        return ProbeOutcome.REFUSED

    # --- LoginProbe ---

    def probe(self, login: Login) -> tuple[ProbeOutcome, str]:
        outcome = self.log_in(login.user.reveal(), login.password.reveal())
        return outcome, f"the database says: {outcome}"

    # --- SourcePreflight ---

    def look(self, login: Login, _subject: Subject) -> Said:
        match self.log_in(login.user.reveal(), login.password.reveal()):
            case ProbeOutcome.ACCEPTED:
                return Said(dict(self.answers), {})
            case ProbeOutcome.REFUSED:
                raise Denied("LoginRefused", "the database says: refused")
            case ProbeOutcome.UNREACHABLE:
                raise Unavailable("SourceUnreachable", "nobody answers")
            case ProbeOutcome.DOUBTFUL:
                raise OutcomeUnknown("SourceSilent", "no answer")
