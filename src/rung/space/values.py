"""The values that parameters take, and a configuration as a tuple of them."""

from __future__ import annotations

from typing import Final

Value = str | int | float | bool | None
"""What a parameter may be."""

INACTIVE: Final[tuple[()]] = ()
"""Stands in `Values` where a parameter is not active (a singleton: compare with `is`)."""

Values = tuple[str | int | float | bool | tuple[()] | None, ...]
"""A configuration as the log keeps it: one entry a dimension of the compiled space, `INACTIVE` included."""
