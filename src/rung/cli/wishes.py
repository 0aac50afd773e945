"""What `rung fit` may be told about columns, rows and learners: as options, as a record, as words again."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from rung.errors import UserError
from rung.tabular.names import parts_between_commas, quoted, unquoted

if TYPE_CHECKING:
    from rung.tabular.request import Request


@dataclasses.dataclass(frozen=True)
class Wishes:
    """The options of a fit that say more than table, target and budget; the log keeps them with the order."""

    kinds: dict[str, str] = dataclasses.field(default_factory=dict)
    drop: tuple[str, ...] = ()
    weights: str | None = None
    positive: str | None = None
    split: str | None = None
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    predict_time: float | None = None
    warm_start: bool = True
    refit: bool = False
    embed: dict[str, str] = dataclasses.field(default_factory=dict)
    drift_sample: bool = True
    trials: int | None = None

    def arguments(self) -> Mapping[str, Any]:
        """As `fit_table` takes them."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    def request(self, task: str | None, metric: str | None) -> Request:
        """As the checks take them."""
        from rung.tabular.request import Request

        return Request(task, metric, **self.arguments())

    def words(self) -> list[str]:
        """As options of a command."""
        given: dict[str, str | None] = {
            "--kinds": ",".join(f"{quoted(name)}={kind}" for name, kind in self.kinds.items()) or None,
            "--drop": ",".join(map(quoted, self.drop)) or None,
            "--weights": self.weights,
            "--positive": self.positive,
            "--split": self.split,
            "--include": ",".join(self.include) or None,
            "--exclude": ",".join(self.exclude) or None,
            "--trials": None if self.trials is None else str(self.trials),
            "--predict-time": None if self.predict_time is None else f"{self.predict_time * 1e6:g}us",
        }
        words = [word for option, value in given.items() if value is not None for word in (option, value)]
        for column, folder in self.embed.items():
            words += ["--embed", f"{column}={folder}"]
        words += [] if self.warm_start else ["--no-warm-start"]
        words += [] if self.drift_sample else ["--no-drift-sample"]
        return [*words, "--refit"] if self.refit else words


def names(given: Iterable[str] | None) -> tuple[str, ...]:
    """The names in `a,b` and in several such words; one in double quotes may have commas."""
    return tuple(unquoted(part) for word in given or () for part in parts_between_commas(word))


def pairs(given: Iterable[str] | None, option: str) -> dict[str, str]:
    """Names and values of `a=number,b=text`; a name in double quotes may have commas.

    Raises:
        UserError: a part without `=`.
    """
    found = {}
    for part in (part for word in given or () for part in parts_between_commas(word)):
        name, mark, value = part.rpartition("=")
        if not mark or not name or not value:
            raise UserError(f"{option} takes NAME=KIND, several with commas between, and not {part!r}")
        found[unquoted(name.strip())] = value.strip()
    return found


def folders(given: Iterable[str] | None) -> dict[str, str]:
    """Columns and folders of `--embed review=./minilm`, one each time it is given.

    Raises:
        UserError: a word without `=`.
    """
    found = {}
    for word in given or ():
        column, mark, folder = (part.strip() for part in word.partition("="))
        if not mark or not column or not folder:
            raise UserError(f"--embed takes COLUMN=FOLDER, once for each column, and not {word!r}")
        found[column] = folder
    return found
