"""What the demo shows while it runs: who has how many slots, and who was killed."""

from __future__ import annotations

import json
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

from rich.console import Group
from rich.table import Table
from rich.text import Text

_COLOURS = ("cyan", "magenta", "yellow", "green")


@dataclass
class Seen:
    """What the API told last, and the shares since the beginning."""

    url: str
    token: str
    began: float = field(default_factory=time.monotonic)
    studies: list[dict[str, Any]] = field(default_factory=list)
    workers: list[dict[str, Any]] = field(default_factory=list)
    away: str = ""
    said: list[str] = field(default_factory=list)
    slot_seconds: Counter[str] = field(default_factory=Counter)
    _looked: float = 0.0

    def look(self) -> None:
        """Ask the service; one that is away is nothing to stop for."""
        try:
            self.studies = sorted(self._get("studies")["items"], key=lambda study: study["created"])
            self.workers = self._get("workers")["items"]
            self.away = ""
        except (URLError, OSError, ValueError, KeyError) as error:
            self.away = type(error).__name__
            return
        now = time.monotonic()
        if self._looked:
            for study in self.studies:
                self.slot_seconds[study["name"]] += study["running"] * (now - self._looked)
        self._looked = now

    def _get(self, what: str) -> Any:
        request = Request(f"{self.url}/api/v1/{what}", headers={"Authorization": f"Bearer {self.token}"})
        with urlopen(request, timeout=5) as answer:
            return json.load(answer)

    @property
    def all_done(self) -> bool:
        return not self.away and bool(self.studies) and all(s["state"] == "done" for s in self.studies)

    def say(self, text: str) -> None:
        self.said.append(f"{time.monotonic() - self.began:5.1f} s  {text}")

    def drawn(self) -> Group:
        """The table of studies, a bar of slots, and the latest events."""
        table = Table(box=None, padding=(0, 2, 0, 0))
        for name in ("study", "user", "weight", "state", "trials", "best", "slots", "share of slots so far"):
            table.add_column(name, justify="right" if name in ("weight", "trials", "best") else "left")
        total = sum(self.slot_seconds.values()) or 1.0
        for i, study in enumerate(self.studies):
            share = self.slot_seconds[study["name"]] / total
            colour = _COLOURS[i % len(_COLOURS)]
            table.add_row(
                f"[{colour}]{study['name']}[/]",
                str(study["owner"]),
                f"{study['sharing']['weight']:g}",
                study["state"],
                str(study["trials"]),
                "" if study["best"] is None else f"{study['best']:.4f}",
                f"[{colour}]{'■' * study['running']}[/]",
                f"[{colour}]{'█' * round(30 * share)}[/] {share:.0%}",
            )
        slots = sum(worker["slots"] for worker in self.workers)
        names = ", ".join(f"{w['name']} ({w['running']} of {w['slots']})" for w in self.workers)
        state = f"service away ({self.away})" if self.away else f"{slots} slots: {names or 'no worker'}"
        return Group(table, Text(state, style="red" if self.away else ""), Text("\n".join(self.said[-12:])))
