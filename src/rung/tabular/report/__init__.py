"""The report of a fit: one HTML file that needs no network and holds no row of the table.

`findings` computes what takes time, until a deadline; `pictures` draws what the kept predictions show; `page`
puts all of it into the template.
"""

from rung.tabular.report.findings import Findings, explain, find
from rung.tabular.report.page import Subject, render_report, write_report

__all__ = ["Findings", "Subject", "explain", "find", "render_report", "write_report"]
