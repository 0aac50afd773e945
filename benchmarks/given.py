"""Data that benchmarks are given: the folder that the variable RUNG_DATA names."""

from __future__ import annotations

import os
from pathlib import Path

from benchmarks.entries import Unavailable


def given(name: str) -> Path:
    """The path of a file of the data folder, such as "tabular/letter.csv.gz".

    Raises:
        Unavailable: RUNG_DATA is not set, or the file is not there.
    """
    folder = os.environ.get("RUNG_DATA")
    if not folder:
        raise Unavailable(f"needs {name}: set RUNG_DATA to the folder of the data")
    path = Path(folder) / name
    if not path.exists():
        raise Unavailable(f"needs {name}, which is not in RUNG_DATA ({folder})")
    return path
