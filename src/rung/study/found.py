"""Why a search found nothing, and how its trials failed: in words, from the trials' records."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rung.study.records import named, unsound
from rung.trials.states import TrialState

if TYPE_CHECKING:
    from rung.study.records import TrialRecord
    from rung.trials.events import Identity


def nothing_found(records: Sequence[TrialRecord], identity: Identity) -> str:
    """Why there is no best trial, as a part of a sentence."""
    if identity.constraints and any(record.value is not None for record in records):
        told = {name for record in records for one in record.observations for name in one.metrics}
        missing = [each.metric for each in identity.constraints if each.metric not in told]
        if missing:
            return f"no trial told {missing[0]!r}, which a constraint is about"
        return f"no trial keeps the constraints ({', '.join(map(str, identity.constraints))})"
    return f"no trial has a value: {failures(records, named(identity)) or 'none ended'}"


def failures(records: Sequence[TrialRecord], metric: str) -> str:
    """How many trials failed and the commonest reason, as a part of a sentence; "" if none did."""
    failed = [r for r in records if r.state in (TrialState.FAILED, TrialState.INFEASIBLE)]
    if not failed:
        return ""
    reasons = Counter(record.timing.message or unsound(metric) for record in failed)
    reason, count = reasons.most_common(1)[0]
    how = "" if count == len(failed) else f", {count} of them"
    return f"{len(failed)} of {len(records)} failed{how} with: {reason}"
