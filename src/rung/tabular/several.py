"""Several targets at once, labels of a multi-label table among them: a model for each, in one file.

Each target's model is searched with an equal share of the budget, and sees none of the other targets: they
are not there when it is used.
"""

from __future__ import annotations

import io
import json
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

from rung.errors import DataError
from rung.tabular.archive import write_whole
from rung.tabular.frames import as_pandas
from rung.tabular.model import Model
from rung.tabular.model_file import MANIFEST, SEVERAL, load_model, read_manifest
from rung.tabular.names import did_you_mean

if TYPE_CHECKING:
    import pandas as pd

    from rung.tabular.frames import Frame
    from rung.tabular.result import FitResult

KIND: Final = SEVERAL
FORMAT: Final = 1


@dataclass(frozen=True)
class SeveralModels:
    """A model for each target, in the order in which they were asked for."""

    models: Mapping[str, Model]

    def predict(self, frame: Frame) -> pd.DataFrame:
        """A column for each target: labels as they stood in the table, or values.

        Raises:
            DataError: a column that a model reads is missing.
        """
        import pandas as pd

        return pd.DataFrame({name: model.predict(frame) for name, model in self.models.items()})


@dataclass(frozen=True)
class SeveralResults:
    """What `fit_targets` found: a result for each target."""

    results: Mapping[str, FitResult]

    @property
    def model(self) -> SeveralModels:
        """The models together."""
        return SeveralModels({name: result.model for name, result in self.results.items()})


def fit_targets(
    frame: Frame,
    targets: Sequence[str],
    *,
    budget: float = 60.0,
    drop: Sequence[str] = (),
    settings: Mapping[str, Any] | None = None,
) -> SeveralResults:
    """Search a model for each of several target columns, within `budget` seconds together.

    Args:
        settings: further arguments of `fit_table`, for all targets alike.

    Raises:
        DataError: a target is no column, or named twice; and as `fit_table`.
    """
    from rung.tabular.fit import fit_table
    from rung.tabular.task import check_target

    frame = as_pandas(frame)
    check_targets(targets, [str(name) for name in frame.columns])
    results = {}
    for target in targets:
        others = [name for name in targets if name != target]
        rows, _ = check_target(frame, target)
        results[target] = fit_table(
            rows, target, budget=budget / len(targets), drop=[*drop, *others], **(settings or {})
        )
    return SeveralResults(results)


def check_targets(targets: Sequence[str], names: Sequence[str]) -> None:
    """Refuse targets that are no columns, or named twice.

    Raises:
        DataError: names the first.
    """
    for i, target in enumerate(targets):
        if target not in names:
            raise DataError(f"the table has no column {target!r} to predict; {did_you_mean(target, names)}")
        if target in targets[:i]:
            raise DataError(f"target {target!r} is named twice; name each once")


def save_several(files: Mapping[str, Path], path: str | Path) -> Path:
    """One file of several model files, by target."""
    place = Path(path)
    manifest = {"kind": KIND, "format": FORMAT, "targets": list(files)}
    try:
        write_whole(place, lambda file: _write(files, manifest, file))
    except OSError as error:
        raise DataError(f"the models cannot be written to {place} ({error.strerror or error})") from error
    return place


def _write(files: Mapping[str, Path], manifest: Mapping[str, Any], file: IO[bytes]) -> None:
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(MANIFEST, json.dumps(manifest, ensure_ascii=False))
        for number, source in enumerate(files.values()):
            archive.write(source, f"{number}.rung")


def load_several(path: str | Path, trust: Sequence[str] = ()) -> SeveralModels:
    """The models of a file that `save_several` wrote.

    Raises:
        DataError: as `load_model`.
    """
    models = {}
    with zipfile.ZipFile(path) as archive, tempfile.TemporaryDirectory() as folder:
        targets = json.loads(archive.read("manifest.json"))["targets"]
        for number, target in enumerate(targets):
            inner = Path(folder) / f"{number}.rung"
            inner.write_bytes(io.BytesIO(archive.read(f"{number}.rung")).getvalue())
            models[str(target)] = load_model(inner, trust)
    return SeveralModels(models)


def take_out(path: str | Path, target: str, folder: Path) -> Path:
    """The file of this target's model: `path` itself if it is of this one target, else a file in `folder`.

    Raises:
        DataError: there is no model of this target in it, and as `read_manifest`.
    """
    if not holds_several(path):
        own = str(read_manifest(path).get("target"))
        if own != target:
            raise DataError(f"{path} predicts {own!r}, not {target!r}; leave --target out")
        return Path(path)
    with zipfile.ZipFile(path) as archive:
        targets = [str(name) for name in json.loads(archive.read("manifest.json"))["targets"]]
        if target not in targets:
            raise DataError(f"{path} holds no model of {target!r}; {did_you_mean(target, targets)}")
        place = folder / f"{Path(path).stem}.rung"
        place.write_bytes(archive.read(f"{targets.index(target)}.rung"))
    return place


def holds_several(path: str | Path) -> bool:
    """Whether the file at `path` holds several models."""
    try:
        with zipfile.ZipFile(path) as archive:
            return bool(json.loads(archive.read("manifest.json")).get("kind") == KIND)
    except (OSError, zipfile.BadZipFile, KeyError, ValueError, AttributeError):
        return False


def load_any(path: str | Path, trust: Sequence[str] = ()) -> Model | SeveralModels:
    """The model, or the models of several targets, in the file at `path`.

    Args:
        trust: names of further classes and functions that may be looked up.

    Raises:
        DataError: the file is no whole model of a known format, or names types that are not trusted.
    """
    return load_several(path, trust) if holds_several(path) else load_model(path, trust)
