"""A table in several Parquet files of one folder, as Spark, Dask and DuckDB write it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rung.errors import DataError
from rung.tabular.formats import PARQUET, arrow_frame, arrow_table, is_table
from rung.tabular.names import listed

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


def parts_in(folder: Path) -> list[Path]:
    """The Parquet files below a folder in the order of their paths; none if it holds other tables, too.

    Names that begin with `_` or `.` are a writer's own, and are left out.
    """
    if not folder.is_dir():
        return []
    files = [
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not any(x.startswith(("_", ".")) for x in path.relative_to(folder).parts)
    ]
    tables = [path for path in files if is_table(path.name)]
    return tables if all(path.suffix.lower() in PARQUET for path in tables) else []


def read_parts(folder: Path, parts: Sequence[Path]) -> pd.DataFrame:
    """The rows of all parts, one part after the other; folders such as `year=2024` are a column's cells.

    Raises:
        DataError: a part is no whole Parquet file, or its columns are not those of the first.
    """
    import pyarrow as pa

    tables: list[pa.Table] = []
    for path in parts:
        table = _with_places(_table(path), path.relative_to(folder).parts[:-1])
        if tables and sorted(table.column_names) != sorted(tables[0].column_names):
            raise DataError(_unlike(tables[0], table, parts[0], path))
        tables.append(table if not tables else table.select(tables[0].column_names))
    try:
        return arrow_frame(pa.concat_tables(tables, promote_options="permissive"))
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise DataError(
            f"the Parquet files in {folder} hold a column in several types ({str(error).split(chr(10))[0]}); "
            "write it in one"
        ) from error


def _table(path: Path) -> pa.Table:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(
            f"{path} cannot be read ({error.strerror or error}); check its permissions"
        ) from error
    return arrow_table(data, ".parquet", path)


def _with_places(table: pa.Table, folders: Sequence[str]) -> pa.Table:
    """With a column for each folder that says what all rows below it have."""
    import pyarrow as pa

    for folder in folders:
        name, equals, value = folder.partition("=")
        if equals and name not in table.column_names:
            whole = value.isdecimal() and (value == "0" or not value.startswith("0"))
            empty = value == "__HIVE_DEFAULT_PARTITION__"
            cell = None if empty else int(value) if whole else value
            table = table.append_column(name, pa.array([cell] * len(table)))
    return table


def _unlike(first: pa.Table, other: pa.Table, one: Path, two: Path) -> str:
    missing = sorted(set(first.column_names) - set(other.column_names))
    more = sorted(set(other.column_names) - set(first.column_names))
    what = f"lacks {listed(missing, 'and', 5)}" if missing else f"has {listed(more, 'and', 5)} besides"
    return (
        f"{two} {what}, unlike {one.name}: the Parquet files of one folder are read as one table; name the "
        "file that is meant, or put others elsewhere"
    )
