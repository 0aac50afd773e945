"""`rung doctor`: what this machine offers, what is installed, and what is wrong with it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from rung import __version__
from rung.cli import output
from rung.cli.options import DEFAULT_STORAGE, Json, Storage

_CORE = ("numpy", "scipy", "pandas", "scikit-learn", "lightgbm", "sqlalchemy", "msgspec")
_MORE = ("ConfigSpace", "catboost", "xgboost", "xgboost-cpu", "torch")  # of extras, or for objectives
_WAL_BUG = ((3, 7, 0), (3, 51, 2))  # the versions of SQLite that have it, both included


def doctor(storage: Storage = DEFAULT_STORAGE, json: Json = False) -> None:
    """Say what this machine offers: versions, free cores, memory, disk, what is installed, SQLite's bugs."""
    found = examine(storage)
    if json:
        output.print_json(found)
        return
    console = output.out()
    for label, text in _lines(found):
        console.print(f"{label:<10} ", style="bold", end="")
        console.print(text)
    for text in found["warnings"]:
        console.print("warning    ", style="bold yellow", end="")
        console.print(text)


def examine(storage: str) -> dict[str, Any]:
    """Everything that `--json` prints."""
    import platform
    import sqlite3

    found = {
        "rung": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "executable": sys.executable,
        "cores": cores(),
        "memory": memory(),
        "disk": disk(_folder(storage)),
        "sqlite": {
            "version": sqlite3.sqlite_version,
            "wal_bug": has_wal_bug(sqlite3.sqlite_version_info),
        },
        "postgresql": postgresql(storage),
        "installed": {name: _installed(name) for name in _CORE},
        "extras": {name: _installed(name) for name in _MORE},
    }
    return {**found, "warnings": _warnings(found)}


def cores() -> dict[str, Any]:
    """The machine's cores, those that this process may use, and how many of these nobody uses now."""
    import psutil

    logical = os.cpu_count() or 1
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else logical
    quota = _quota()
    usable = min(float(allowed), quota) if quota else float(allowed)
    busy = psutil.cpu_percent(interval=0.3) / 100 * logical
    return {"machine": logical, "usable": usable, "free": round(max(0.0, min(usable, logical - busy)), 1)}


def memory() -> dict[str, int]:
    """Bytes of memory: all that this process may use, and what is available now."""
    import psutil

    now = psutil.virtual_memory()
    limit, used = _number("memory.max"), _number("memory.current")
    if limit is None:
        return {"total": now.total, "available": now.available}
    return {"total": min(now.total, limit), "available": max(0, min(now.available, limit - (used or 0)))}


def disk(folder: Path) -> dict[str, Any]:
    """Bytes that are free where the studies are kept, and whether they can be written."""
    import shutil

    return {
        "folder": str(folder.resolve()),
        "free": shutil.disk_usage(folder).free,
        "writable": os.access(folder, os.W_OK),
    }


def postgresql(storage: str) -> dict[str, Any]:
    """Whether studies can be kept in PostgreSQL: psycopg, and the server if the storage is in one."""
    from rung.errors import StorageError
    from rung.storage import is_postgres, open_storage, shown

    found: dict[str, Any] = dict.fromkeys(("psycopg", "libpq", "storage", "server", "why"))
    found["psycopg"] = _installed("psycopg")
    if found["psycopg"] is not None:
        import psycopg

        number = psycopg.pq.version()  # 180006 is 18.6
        found["libpq"] = f"{number // 10000}.{number % 10000}"
    if not is_postgres(storage):
        return found
    found["storage"] = shown(storage)
    try:
        found["server"] = _server(open_storage(storage))
    except StorageError as error:
        found["why"] = str(error)
    return found


def _server(storage: Any) -> dict[str, str]:
    """What the server says of itself, as far as a storage's promises rest on it."""
    names = ("server_version", "fsync", "full_page_writes", "synchronous_commit")
    query = "SELECT " + ", ".join(f"current_setting('{name}')" for name in names)
    try:
        row = storage.db.read(lambda connection: connection.exec_driver_sql(query).one())
    finally:
        storage.close()
    return dict(zip(names, row, strict=True))


def has_wal_bug(sqlite: tuple[int, ...]) -> bool:
    """Whether this SQLite can damage a database in WAL mode: 3.7.0 to 3.51.2, fixed in 3.51.3."""
    return _WAL_BUG[0] <= sqlite <= _WAL_BUG[1]


def _quota() -> float | None:
    """Cores that the control group allows, if it limits them."""
    try:
        limit, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
    except (OSError, ValueError):
        return None
    return None if limit == "max" else int(limit) / int(period)


def _number(name: str) -> int | None:
    try:
        return int((Path("/sys/fs/cgroup") / name).read_text())
    except (OSError, ValueError):
        return None


def _folder(storage: str) -> Path:
    """The folder in which the database lies or would lie; of PostgreSQL's, the studies' files."""
    from rung.storage import is_postgres

    if is_postgres(storage):
        return _files(storage)
    path = Path(storage.removeprefix("sqlite:///")).expanduser()
    return path.parent if path.parent.is_dir() else Path()


def _files(storage: str) -> Path:
    """The first folder above a database's files that is there."""
    from rung.errors import StorageError
    from rung.storage.postgres_url import parse

    try:
        files = parse(storage).files
    except StorageError:  # which the line about PostgreSQL tells
        return Path()
    return next(folder for folder in (files, *files.parents) if folder.is_dir())


def _installed(name: str) -> str | None:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _warnings(found: dict[str, Any]) -> list[str]:
    warnings = []
    if found["sqlite"]["wal_bug"]:
        warnings.append(
            f"SQLite {found['sqlite']['version']} has the WAL-reset bug (3.7.0 to 3.51.2; fixed in 3.51.3): "
            "very rarely, a database that several processes write at the same time is damaged"
        )
    server = found["postgresql"]["server"] or {}
    warnings += [
        f"PostgreSQL's {name} is off: a power cut can damage the studies; set it to on"
        for name in ("fsync", "full_page_writes")
        if server.get(name) == "off"
    ]
    if found["postgresql"]["why"]:
        warnings.append(found["postgresql"]["why"])
    if not found["disk"]["writable"]:
        warnings.append(f"{found['disk']['folder']} cannot be written: name another place with --storage")
    if found["disk"]["free"] < 10**9:
        warnings.append("less than 1 GB of disk is free: checkpoints may not fit")
    missing = [name for name, installed in found["installed"].items() if installed is None]
    if missing:
        warnings.append(f"not installed: {', '.join(missing)}; install rung again")
    return warnings


def _lines(found: dict[str, Any]) -> list[tuple[str, str]]:
    from rung.cli.sizes import spoken_size

    cpu, ram, place = found["cores"], found["memory"], found["disk"]
    installed = [f"{name} {version}" for name, version in found["installed"].items()]
    extras = [f"{name} {version or 'not installed'}" for name, version in found["extras"].items()]
    return [
        ("rung", found["rung"]),
        ("python", f"{found['python']} at {found['executable']}, {found['platform']}"),
        ("cores", f"{cpu['free']:g} free of {cpu['usable']:g} usable, {cpu['machine']} in the machine"),
        ("memory", f"{spoken_size(ram['available'])} available of {spoken_size(ram['total'])}"),
        ("disk", f"{spoken_size(place['free'])} free in {place['folder']}"),
        ("sqlite", found["sqlite"]["version"]),
        ("postgres", _postgres_line(found["postgresql"])),
        ("installed", ", ".join(installed)),
        ("extras", ", ".join(extras)),
    ]


def _postgres_line(found: dict[str, Any]) -> str:
    if found["psycopg"] is None:
        return "psycopg is not installed: pip install 'rung[postgres]' to keep studies there"
    client = f"psycopg {found['psycopg']}, libpq {found['libpq']}"
    if found["storage"] is None:
        return client
    server = found["server"]
    return f"{client}; " + (f"server {server['server_version']}" if server else "the server is not reached")
