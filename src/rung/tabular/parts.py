"""A table in several Parquet files of one folder, as Spark, Dask and DuckDB write it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

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

    whole = [_table(path) for path in parts]
    tables: list[pa.Table] = []
    for path, plain, (schema, cells) in zip(parts, whole, _places(folder, parts), strict=True):
        table = plain  # what a file says of itself goes before what its folder does
        for field in schema:
            if field.name in cells and field.name not in table.column_names:
                cell = [cells[field.name]] * len(table)
                table = table.append_column(field.name, pa.array(cell, field.type))
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


def _places(folder: Path, parts: Sequence[Path]) -> list[tuple[pa.Schema, dict[str, Any]]]:
    """What the folders of each part say of its rows, and of which types that is."""
    from pyarrow import dataset, fs

    options = dataset.FileSystemFactoryOptions(partition_base_dir=str(folder))
    options.partitioning_factory = dataset.HivePartitioning.discover()
    factory = dataset.FileSystemDatasetFactory(
        fs.LocalFileSystem(), [str(path) for path in parts], dataset.ParquetFileFormat(), options
    )
    schema = factory.inspect_schemas()[-1]  # the others are those of the files
    fragments = factory.finish(schema).get_fragments()
    return [(schema, dataset.get_partition_keys(one.partition_expression)) for one in fragments]


def _table(path: Path) -> pa.Table:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(
            f"{path} cannot be read ({error.strerror or error}); check its permissions"
        ) from error
    return arrow_table(data, ".parquet", path)


def _unlike(first: pa.Table, other: pa.Table, one: Path, two: Path) -> str:
    missing = sorted(set(first.column_names) - set(other.column_names))
    more = sorted(set(other.column_names) - set(first.column_names))
    what = f"lacks {listed(missing, 'and', 5)}" if missing else f"has {listed(more, 'and', 5)} besides"
    return (
        f"{two} {what}, unlike {one.name}: the Parquet files of one folder are read as one table; name the "
        "file that is meant, or put others elsewhere"
    )
