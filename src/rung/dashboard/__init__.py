"""The pages over the log: a storage's studies in the browser as they run, to look at only."""

from __future__ import annotations

from rung.dashboard.server import Answer, Dashboard, Line, Looked, Source, serve

__all__ = ["Answer", "Dashboard", "Line", "Looked", "Source", "serve"]
