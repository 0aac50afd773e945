"""Notices a training that goes on beyond the resource that its job was given, and says so."""

from __future__ import annotations

import warnings

from rung.trials.events import Event, Reported
from rung.trials.history import History


class Beyond:
    """Looks at the reports of a session, as they come and before they are folded; warns once.

    Such a report is taken as of the job's resource, so that rungs compare what they hold; but then a trial
    that trained longer is compared with others that did not.
    """

    def __init__(self, history: History) -> None:
        self._history = history
        self._told = history.identity.resource is None

    def note(self, event: Event) -> None:
        """Warn if this is the first report beyond its job's resource."""
        if self._told or not isinstance(event, Reported):
            return
        running, resource = self._history.running.get(event.trial), self._history.identity.resource
        if running is None or resource is None or event.resource <= running.job.until:
            return
        if self._history.reached[event.trial] >= running.job.until:  # its result is there: this one is none
            return
        self._told = True
        warnings.warn(
            f"trial {event.trial} reported at {resource.name} {event.resource}, but was to train to "
            f"{running.job.until}: what it reported is taken as of {running.job.until}, beside trials that "
            "stopped there; train no further than trial.resource (a program: RUNG_RESOURCE)",
            stacklevel=4,
        )
