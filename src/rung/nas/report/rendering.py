"""From a template to a page: one HTML text that needs no network and no other file."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from rung import __version__
from rung.nas.report.words import decimal, duration, large, percent


def rendered(template: str, context: Mapping[str, Any]) -> str:
    """The page as text; whatever is put in is escaped.

    Args:
        context: by name, what the template shows, beside the version and the time.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    pages = Environment(
        loader=PackageLoader("rung.nas"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    pages.filters.update(percent=percent, decimal=decimal, duration=duration, large=large)
    made = datetime.now().astimezone().strftime("%d %B %Y, %H:%M").lstrip("0")
    return pages.get_template(template).render(**context, made=made, version=__version__)
