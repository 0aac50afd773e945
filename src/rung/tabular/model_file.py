"""The model file: a zip of a manifest in JSON and skops content, so that loading runs no code of the file's.

What a file may name is decided in `rung.tabular.trust`. The archive is skops' own with the manifest added, so
that `skops.io.load` reads it too.
"""

from __future__ import annotations

import json
import shlex
import warnings
import zipfile
import zlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rung import __version__
from rung.errors import DataError
from rung.storage.whole import write_whole
from rung.tabular.archive import damaged, foreign, opened
from rung.tabular.names import listed
from rung.tabular.skops_loading import load_skops
from rung.tabular.trust import refused, trusted_names, uses

if TYPE_CHECKING:
    from rung.tabular.columns import Column
    from rung.tabular.model import Model

FORMAT: Final = 1
MANIFEST: Final = "manifest.json"
CARD: Final = "card.md"
KIND: Final = "rung model"
SEVERAL: Final = "rung models"
"""The kind of a file that holds a model for each of several targets: `rung.tabular.several` writes it."""
_LIBRARIES: Final = ("numpy", "scipy", "scikit-learn", "pandas", "skops", "lightgbm", "xgboost", "catboost")
_LIBRARY_OF: Final = {  # the library by how the names of a member's classes begin
    "sklearn.": "scikit-learn",
    "rung.tabular.learners.lightgbm.": "lightgbm",
    "rung.tabular.learners.xgboost.": "xgboost",
    "rung.tabular.learners.catboost.": "catboost",
}


def save_model(
    model: Model, path: str | Path, manifest: Mapping[str, Any] | None = None, card: str | None = None
) -> Path:
    """Write the model to `path`, whole or not at all; `manifest` adds facts to those that every file states.

    Args:
        card: the model card in Markdown, which `read_card` returns.

    Raises:
        DataError: the file cannot be written there.
    """
    facts = json.dumps({**_facts(model), **(manifest or {})}, indent=2, default=str, ensure_ascii=False)
    write_whole(path, lambda draft: _write(model, facts, card, draft), "--out")
    return Path(path)


class _Archive(zipfile.ZipFile):
    """A zip whose names are looked up at once: skops asks for them before each array that it adds."""

    def namelist(self) -> Any:  # the names as a view, not a list made anew each time
        return self.NameToInfo.keys()


def _write(model: Model, facts: str, card: str | None, place: Path) -> None:
    """What `skops.io.dump` writes, and the manifest; without its indentation, which took most of the time."""
    load_skops()
    import skops
    from skops.io._utils import SaveContext, get_state

    with _Archive(place, "w") as archive:
        context = SaveContext(zip_file=archive)
        state = get_state(model, context)
        context.clear_memo()
        state |= {"protocol": context.protocol, "_skops_version": skops.__version__}
        archive.writestr("schema.json", json.dumps(state, separators=(",", ":")))
        archive.writestr(MANIFEST, facts, zipfile.ZIP_DEFLATED)
        if card is not None:
            archive.writestr(CARD, card, zipfile.ZIP_DEFLATED)


def _facts(model: Model) -> dict[str, Any]:
    """What every manifest states."""
    return {
        "kind": KIND,
        "format": FORMAT,
        "rung": __version__,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "libraries": versions(),
        "task": model.task.kind,
        "target": model.target,
        "classes": list(model.task.classes),
        "columns": [_column_facts(column) for column in model.columns],
    }


def _column_facts(column: Column) -> dict[str, Any]:
    return {
        "name": column.name,
        "kind": str(column.kind),
        "distinct": column.distinct,
        "missing": round(column.missing, 6),
    }


def versions() -> dict[str, str]:
    """The installed versions of the libraries that models are made of."""
    from importlib.metadata import PackageNotFoundError, version

    found = {}
    for name in _LIBRARIES:
        for package in (name, f"{name}-cpu"):  # xgboost has a smaller build under another name
            try:
                found[name] = version(package)
            except PackageNotFoundError:
                continue
            break
    return found


def read_manifest(path: str | Path, called: str | None = None) -> dict[str, Any]:
    """The manifest of the model file at `path`.

    Args:
        called: the file's name in sentences; its path unless given.

    Raises:
        DataError: there is no such file, or it is no model of rung's, cut off, damaged, of a newer format, or
            holds models of several targets.
    """
    called = called or str(path)
    manifest = read_any_manifest(path, called)
    if manifest.get("kind") == SEVERAL:
        raise DataError(_one_of_several(called, manifest.get("targets")))
    if manifest.get("kind") != KIND:
        raise DataError(foreign(called))
    return manifest


def read_any_manifest(path: str | Path, called: str) -> dict[str, Any]:
    """The manifest of a model file of whatever kind.

    Raises:
        DataError: as `read_manifest`, but of the kinds.
    """
    with opened(Path(path), called) as archive:
        try:
            manifest = json.loads(archive.read(MANIFEST))
        except (KeyError, ValueError) as error:
            raise DataError(foreign(called)) from error
    if not isinstance(manifest, dict) or not isinstance(manifest.get("format"), int):
        raise DataError(foreign(called))
    if manifest["format"] > FORMAT:
        raise DataError(
            f"{called} has format {manifest['format']}, written by rung {manifest.get('rung')}, and this "
            f"rung ({__version__}) reads up to {FORMAT}; update it with pip install -U rung"
        )
    return manifest


def _one_of_several(called: str, targets: Any) -> str:
    """How to take one of its models out, as a sentence."""
    names = [str(name) for name in targets] if isinstance(targets, list) and targets else ["the first"]
    return (
        f"{called} holds models of {len(names)} targets ({listed(names, 'and')}), and this is for one: name "
        f"it, as in --target {shlex.quote(names[0])} (in Python rung.tabular.several.load_several loads all)"
    )


def read_card(path: str | Path) -> str:
    """The model card in Markdown that `save_model` wrote to `path`; nothing of the model is loaded.

    Raises:
        DataError: the file is no model, or keeps no card.
    """
    read_manifest(path)
    try:
        with opened(Path(path), str(path)) as archive:
            return archive.read(CARD).decode("utf-8")
    except KeyError:
        raise DataError(
            f"{path} keeps no model card: it was saved from Python without one, or by an earlier rung; "
            "fit it anew with rung fit"
        ) from None
    except UnicodeDecodeError as error:
        raise DataError(damaged(str(path), error)) from error


def load_model(path: str | Path, trust: Sequence[str] = (), called: str | None = None) -> Model:
    """The model that `save_model` wrote to `path`.

    Args:
        trust: names of further classes and functions that may be looked up, such as
            `mypackage.encoders.Encoder`.
        called: the file's name in sentences; its path unless given.

    Raises:
        DataError: the file is no whole model of a known format, or names types that are not trusted.
    """
    name = called or str(path)
    manifest, schema = _opened(Path(path), name)
    _refuse_untrusted(schema, trust, name)
    names = {use.name for use in uses(schema)}
    other = differing(manifest, names)
    try:
        model = _rebuilt(path, sorted(names))
    except (zipfile.BadZipFile, zlib.error, EOFError, KeyError, ValueError, TypeError) as error:
        if other:
            raise DataError(
                f"{name} cannot be opened here ({error}): it was written with {listed(other, 'and')}; "
                "install what it was written with, or fit the model anew"
            ) from error
        raise DataError(damaged(name, error)) from error
    except (ImportError, AttributeError) as error:
        written = f"; it was written with {listed(other, 'and')}" if other else ""
        more = "" if called else f"; see the versions in it with unzip -p {path} {MANIFEST}"
        raise DataError(f"{name} needs what is not installed here ({error}){written}{more}") from error
    if other:
        warnings.warn(
            f"{name} was written with {listed(other, 'and')}: its predictions may differ a little",
            stacklevel=2,
        )
    return model


def _opened(place: Path, called: str) -> tuple[Mapping[str, Any], Any]:
    """Manifest and schema of a file of which every entry is as it was written."""
    manifest = read_manifest(place, called)
    with opened(place, called) as archive:
        broken = archive.testzip()
        if broken is not None:
            raise DataError(damaged(called, f"{broken} does not match its checksum"))
        try:
            schema = json.loads(archive.read("schema.json"))
        except (KeyError, ValueError) as error:
            raise DataError(damaged(called, error)) from error
    if not isinstance(schema, dict):
        raise DataError(damaged(called, "schema.json holds no object"))
    return manifest, schema


def _rebuilt(path: str | Path, names: Sequence[str]) -> Model:
    """The model; scikit-learn's own warnings about versions, one an estimator, are left to ours."""
    from sklearn.exceptions import InconsistentVersionWarning

    io = load_skops()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InconsistentVersionWarning)
        model: Model = io.load(path, trusted=names)
    return model


def differing(manifest: Mapping[str, Any], names: Iterable[str]) -> list[str]:
    """Libraries that the model's members come from and whose first two parts of the version differ here.

    Args:
        names: of the classes that the file holds.

    Returns:
        Such as "scikit-learn 1.8.0 (1.9.1 here)".
    """
    written, here = manifest.get("libraries") or {}, versions()
    needed = {library for start, library in _LIBRARY_OF.items() if any(x.startswith(start) for x in names)}
    return [
        f"{library} {written[library]} ({here.get(library, 'not installed')} here)"
        for library in sorted(needed & set(written))
        if str(written[library]).split(".")[:2] != here.get(library, "").split(".")[:2]
    ]


def _refuse_untrusted(schema: Any, trust: Sequence[str], called: str) -> None:
    names = refused(uses(schema), trusted_names(trust))
    if names:
        hint = " ".join(f"--trust {name}" for name in names[:5])
        raise DataError(
            f"{called} holds {listed(names, 'and', 5)}, which rung does not trust; if you know who made this "
            f"file, load it with {hint}"
        )
