"""HTML files that need nothing else: Plotly's script, from the installed package, stands in them once."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from rung import __version__
from rung.analysis.charts import Chart
from rung.analysis.plotly_figure import figure
from rung.storage.whole import write_whole


def render(template: str, context: dict[str, Any], package: str = "rung.analysis") -> str:
    """A page from one of our templates; whatever is put in is escaped.

    Args:
        package: whose templates they are; what they include may be of the reports' own.
    """
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

    loader = ChoiceLoader([PackageLoader(package), PackageLoader("rung.analysis")])
    pages = Environment(loader=loader, autoescape=True, undefined=StrictUndefined)
    script = plotly_script()  # the one thing, with the figures' JSON, that is markup already
    return pages.get_template(template).render(**context, plotly=script, version=__version__)


def chart_page(chart: Chart) -> str:
    """One chart on a page of its own."""
    return render("chart.html.j2", {"chart": chart, "figure": embedded(figure(chart))})


def embedded(value: Any) -> Any:
    """`value` as JSON inside a script element, where no text of it can end the element."""
    from markupsafe import Markup

    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(text)  # made safe above


@cache
def plotly_script() -> Any:
    """Plotly's script."""
    from markupsafe import Markup

    text = (files("plotly") / "package_data" / "plotly.min.js").read_text(encoding="utf-8")
    return Markup(text.replace("</script", "<\\/script"))  # an installed package's own script


def write(path: Path, page: str) -> None:
    """Write a page, whole or not at all.

    Raises:
        DataError: the file cannot be written.
    """
    write_whole(path, page, "--out")
