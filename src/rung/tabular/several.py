"""Several targets at once, labels of a multi-label table among them: a model for each, in one file.

Each target's model is searched with an equal share of the budget, and sees none of the other targets: they
are not there when it is used.
"""

from __future__ import annotations

import json
import tempfile
import zipfile
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rung import __version__
from rung.errors import DataError
from rung.storage.whole import write_whole
from rung.tabular.archive import damaged, opened
from rung.tabular.frames import as_pandas
from rung.tabular.model import Model
from rung.tabular.model_file import FORMAT, MANIFEST, SEVERAL, load_model, read_any_manifest, read_manifest
from rung.tabular.names import as_names, did_you_mean

if TYPE_CHECKING:
    import pandas as pd

    from rung.tabular.frames import Frame
    from rung.tabular.result import FitResult

KIND: Final = SEVERAL


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
    targets: Sequence[Hashable],
    *,
    budget: float = 60.0,
    drop: Hashable | Sequence[Hashable] = (),
    settings: Mapping[str, Any] | None = None,
) -> SeveralResults:
    """Search a model for each of several target columns, within `budget` seconds together.

    Args:
        drop: columns that no model sees, also as one of `settings`.
        settings: further arguments of `fit_table`, for all targets alike.

    Raises:
        DataError: a target is no column, or named twice; and as `fit_table`.
    """
    from rung.tabular.fit import fit_table
    from rung.tabular.task import check_target

    frame, settings = as_pandas(frame), dict(settings or {})
    targets, drop = as_names(targets), [*as_names(drop), *as_names(settings.pop("drop", ()))]
    check_targets(targets, [str(name) for name in frame.columns])
    positive = positives(frame, targets, settings.get("task"), settings.get("positive"))
    results = {}
    for target in targets:
        others = [name for name in targets if name != target]
        check_target(frame, target)
        own = {**settings, "positive": positive[target]}
        results[target] = fit_table(frame, target, budget=budget / len(targets), drop=[*drop, *others], **own)
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


def positives(frame: pd.DataFrame, targets: Sequence[str], task: str | None, positive: Any) -> dict[str, Any]:
    """By target, the positive class that is named for those of two classes; None for the others.

    Raises:
        DataError: it is named, and no target has two classes; or as `check_target` and `guess_task`.
    """
    from rung.tabular.task import check_target, guess_task

    if positive is None:
        return dict.fromkeys(targets)
    found = {}
    for target in targets:
        try:
            rows, _ = check_target(frame, target)
            two = len(guess_task(rows[target], task).classes) == 2
        except DataError as error:
            raise DataError(f"target {target}: {error}") from error
        found[target] = positive if two else None
    if not any(one is not None for one in found.values()):
        raise DataError(
            f"the positive class {str(positive)!r} is named, but none of the targets has two classes; leave "
            "it out"
        )
    return found


def save_several(files: Mapping[str, Path], path: str | Path) -> Path:
    """One file of several model files, by target."""
    manifest = {"kind": KIND, "format": FORMAT, "rung": __version__, "targets": list(files)}
    write_whole(path, lambda draft: _write(files, manifest, draft), "--out")
    return Path(path)


def _write(files: Mapping[str, Path], manifest: Mapping[str, Any], place: Path) -> None:
    with zipfile.ZipFile(place, "w") as archive:
        archive.writestr(MANIFEST, json.dumps(manifest, ensure_ascii=False))
        for number, source in enumerate(files.values()):
            archive.write(source, _inner(number))


def load_several(path: str | Path, trust: Sequence[str] = ()) -> SeveralModels:
    """The models of a file that `save_several` wrote.

    Raises:
        DataError: as `load_model`.
    """
    models = {}
    with tempfile.TemporaryDirectory() as folder:
        for number, target in enumerate(_targets(path)):
            inner = Path(folder) / _inner(number)
            inner.write_bytes(_content(path, number, target))
            models[target] = load_model(inner, trust, _called(path, target))
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
    targets = _targets(path)
    if target not in targets:
        raise DataError(f"{path} holds no model of {target!r}; {did_you_mean(target, targets)}")
    place = folder / f"{Path(path).stem}.rung"
    place.write_bytes(_content(path, targets.index(target), target))
    read_manifest(place, _called(path, target))
    return place


def _targets(path: str | Path) -> list[str]:
    """Of a file of several models, in order.

    Raises:
        DataError: it is damaged.
    """
    targets = read_any_manifest(path, str(path)).get("targets")
    if not isinstance(targets, list):
        raise DataError(damaged(str(path), "it does not say of which targets it is"))
    return [str(name) for name in targets]


def _content(path: str | Path, number: int, target: str) -> bytes:
    """The model file of one of the targets.

    Raises:
        DataError: it is not there, or damaged.
    """
    with opened(Path(path), str(path)) as archive:
        try:
            return archive.read(_inner(number))
        except KeyError:
            raise DataError(damaged(str(path), f"the model of {target!r} is missing")) from None


def _called(path: str | Path, target: str) -> str:
    return f"{path} (its model of {target!r})"


def _inner(number: int) -> str:
    return f"{number}.rung"


def holds_several(path: str | Path) -> bool:
    """Whether the file at `path` holds several models."""
    try:
        return bool(read_any_manifest(path, str(path)).get("kind") == KIND)
    except DataError:
        return False


def load_any(path: str | Path, trust: Sequence[str] = ()) -> Model | SeveralModels:
    """The model, or the models of several targets, in the file at `path`.

    Args:
        trust: names of further classes and functions that may be looked up.

    Raises:
        DataError: the file is no whole model of a known format, or names types that are not trusted.
    """
    return load_several(path, trust) if holds_several(path) else load_model(path, trust)
