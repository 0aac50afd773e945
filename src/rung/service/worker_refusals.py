"""What a worker does not run: some studies at all, and no job just now."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Final

UNFIT: Final = 30.0  # seconds without asking for a job, after one that this machine could not run
_LONGEST: Final = 2000  # characters of a reason


class Refusals:
    """Not for several threads at once.

    Args:
        say: takes sentences that people should read; each reason is said once.
    """

    def __init__(self, say: Callable[[str], object]) -> None:
        self._say = say
        self._studies: dict[str, str] = {}  # by name, and why
        self._unheard: dict[str, str] = {}  # those of which the service has not heard yet
        self._unfit = ""  # why this machine could not run a job
        self._fit_at = 0.0  # when it is to try again, monotonic

    def __len__(self) -> int:
        """How many studies were refused."""
        return len(self._studies)

    def refuse(self, study: str, why: str) -> None:
        """Ask not to be given the study's jobs any more."""
        self._unheard[study] = why[:_LONGEST]
        if self._studies.get(study) != why:
            self._studies[study] = why
            self._say(f"study {study!r} is not run here: {why}")

    @property
    def unheard(self) -> dict[str, str]:
        """What the service is to hear."""
        return dict(self._unheard)

    def was_heard(self, refused: Mapping[str, str]) -> None:
        """The service knows these."""
        for study, why in refused.items():
            if self._unheard.get(study) == why:
                del self._unheard[study]

    def pause(self, why: str) -> None:
        """This machine can run no job for a while."""
        self._fit_at = time.monotonic() + UNFIT
        if why != self._unfit:
            self._unfit = why
            self._say(
                f"this machine can run no job now: {why}; what it was given is given back, and it tries "
                f"again every {UNFIT:g} s"
            )

    @property
    def paused(self) -> bool:
        """Whether to ask for no job."""
        return time.monotonic() < self._fit_at
