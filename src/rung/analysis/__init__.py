"""What a study shows to people: importance of parameters, plots, a report; made from the log alone."""

from __future__ import annotations

from rung.analysis.importances import Importance, Importances, importance, importances_by_resource
from rung.analysis.plotting import plot
from rung.analysis.report import report

__all__ = ["Importance", "Importances", "importance", "importances_by_resource", "plot", "report"]
