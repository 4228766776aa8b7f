"""What one connector suffers from now, found without a running controller: for `wmsctl explain`."""

from __future__ import annotations

from controller.bootstrap import Parts
from controller.core.ailment import Ailment, AilmentSource, ailment_of, failed_traces
from controller.core.evidence import Found
from controller.core.examination import Examination, explain_evidence, symptom_of, tell_state
from controller.core.explain import Explanation, explain_text
from controller.core.model import ObservedConnector, ResourceKey, Unknown
from controller.settings import BadSetting
from controller.witness import Witness


def examine(parts: Parts, key: ResourceKey) -> Examination:
    """Look at its status and at the worker's log, where that is at hand."""
    seen = parts.connect.observe([key.name]).get(key)
    if isinstance(seen, Unknown):
        raise seen.fault
    if not isinstance(seen, ObservedConnector):
        raise BadSetting(f"{key} is not there: Connect knows no connector of that name")
    witness = Witness(parts.evidence, parts.clock)
    found = witness.observe([key.name], {}).of(key.name)
    ailment = ailment_of(seen, found, parts.clock.now())
    explanation = _explain(parts, seen, ailment, found)
    return Examination(tell_state(seen), explanation, symptom_of(ailment), witness.unseen)


def _explain(
    parts: Parts, seen: ObservedConnector, ailment: Ailment | None, found: Found
) -> Explanation:
    if ailment is None or ailment.source is AilmentSource.TRACE:
        text = "\n".join(trace for trace in failed_traces(seen) if trace)
        return explain_text(text, parts.scrubber.scrub)
    one = next(e for e in found if (e.failure, e.system) == (ailment.failure, ailment.system))
    return explain_evidence(one)
