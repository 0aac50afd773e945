"""The page about a training from scratch: one HTML file that needs no network and no other file."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from rung.nas.drawing import svg
from rung.nas.genotype import Genotype
from rung.nas.report.charts import Chart, chart, curve
from rung.nas.report.rendering import rendered
from rung.nas.report.words import decimal, duration, large, percent, plain_words, plural
from rung.storage.whole import write_whole

if TYPE_CHECKING:
    from rung.nas.recurrent.presets import TrainingRecipe
    from rung.nas.recurrent.training import Epoch
    from rung.nas.retraining import Retrained
    from rung.nas.retraining_epochs import Row
    from rung.nas.retraining_text import RetrainedText

_SOFT: Final = "#5c6b7c"
_ACCENT: Final = "#0f766e"
_WARM: Final = "#b45309"
_PASS: Final = 3  # forward and backward, in forward passes

Facts = tuple[tuple[str, str], ...]


class Made(NamedTuple):
    """What was trained.

    Attributes:
        name: of the cell.
        data: name of the data.
        genotype: of the network.
        seed: of everything random.
        out: the file of the network; empty where it was not written.
        space: a user's own that its operations are of, as FILE.py:NAME; empty for a shipped one.
    """

    name: str
    data: str
    genotype: Genotype
    seed: int
    out: str = ""
    space: str = ""


class TrainingPage(NamedTuple):
    """What the page shows.

    Attributes:
        name, data: what was trained, on what.
        genotype: of the network.
        summary: what came out, in a sentence.
        figures: the two or three that matter, by title.
        measured: what they were measured on, in a sentence.
        facts, cost, settings: label and text.
        notes: what a reader should know, in sentences.
        charts: over epochs.
        heads, rows: the table of epochs.
        use: Python that reads the network; empty where it was not written.
    """

    name: str
    data: str
    genotype: Genotype
    summary: str
    figures: Facts
    measured: str
    facts: Facts
    cost: Facts
    settings: Facts
    notes: tuple[str, ...]
    charts: tuple[Chart, ...]
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    use: str = ""


def write_training_page(page: TrainingPage, path: str | Path, command: str | None = None) -> None:
    """Write the page, whole or not at all.

    Args:
        command: what trains the same again; None from Python.

    Raises:
        DataError: the file cannot be written.
    """
    write_whole(path, render_training(page, command))


def render_training(page: TrainingPage, command: str | None = None) -> str:
    """The page as text; whatever is put in is escaped."""
    from markupsafe import Markup

    drawing = Markup(svg(page.genotype))  # escapes names itself
    return rendered("training.html.j2", {"page": page, "drawing": drawing, "command": command})


def page_of_pictures(found: Retrained, made: Made, trained: int) -> TrainingPage:
    """Of a network for pictures.

    Args:
        trained: training pictures.
    """
    wrong = percent(1.0 - found.accuracy)
    return TrainingPage(
        *made[:3],
        summary=f"Trained from scratch for {plural(found.epochs, 'epoch')} ({duration(found.seconds)}), the "
        f"network is wrong on {wrong} of the test pictures; it has {found.parameters:,} parameters.",
        figures=(
            ("test error", wrong),
            ("test loss", decimal(found.loss, 3)),
            ("parameters", large(found.parameters)),
        ),
        measured="Measured on the test pictures after the last epoch; nothing was chosen by them.",
        facts=(
            ("data", made.data),
            ("training pictures", f"{trained:,}"),
            ("network", f"{found.schedule.layers} cells of {plural(found.schedule.channels, 'channel')}"),
            ("seed", str(made.seed)),
            ("epochs", f"{found.epochs} of {found.schedule.epochs}"),
        ),
        cost=_picture_cost(found, trained),
        settings=tuple((key, plain_words(value)) for key, value in asdict(found.schedule).items()),
        notes=_notes(found),
        charts=_picture_charts(found.rows),
        heads=("epoch", "rate", "training loss", "training accuracy", "test loss", "test accuracy", "time"),
        rows=tuple(_picture_row(row) for row in found.rows),
        use=_reading(made) if made.out else "",
    )


def _reading(made: Made) -> str:
    """Python that reads a network for pictures, with the operations of a user's own space."""
    if not made.space:
        return f"import rung.nas\n\nnetwork = rung.nas.load_network({made.out!r})\nnetwork.predict(pictures)"
    file, _, name = made.space.partition(":")
    return "\n".join(
        (
            "import sys",
            "from importlib import import_module",
            "",
            "import rung.nas",
            "from rung.nas.supernet import table_of",
            "",
            f"sys.path.insert(0, {str(Path(file).parent)!r})",
            f"space = import_module({Path(file).stem!r}).{name or 'space'}",
            f"network = rung.nas.load_network({made.out!r}, table=table_of(space))",
            "network.predict(pictures)",
        )
    )


def _notes(found: Retrained | RetrainedText) -> tuple[str, ...]:
    return (*found.notes, *([found.diverged] if found.diverged else []))


def _picture_cost(found: Retrained, trained: int) -> Facts:
    batch = min(found.schedule.batch, trained)
    steps = found.epochs * (trained // batch)
    return (
        ("time", duration(found.seconds)),
        ("time an epoch", duration(found.seconds / max(found.epochs, 1))),
        ("training steps", f"{steps:,}"),
        ("pictures seen", large(steps * batch)),
        ("multiply-adds of a picture", large(found.multiply_adds)),
        ("multiply-adds of the training", f"about {large(_PASS * steps * batch * found.multiply_adds)}"),
    )


def _picture_row(row: Row) -> tuple[str, ...]:
    return (
        str(row.epoch),
        decimal(row.rate, 3),
        decimal(row.train_loss),
        percent(row.train_accuracy),
        decimal(row.loss),
        percent(row.accuracy),
        duration(row.seconds),
    )


def _picture_charts(rows: Iterable[Row]) -> tuple[Chart, ...]:
    rows = tuple(rows)

    def points(of: Callable[[Row], float | None]) -> list[tuple[int, float | None]]:
        return [(row.epoch, of(row)) for row in rows]

    dropped = any(row.drop_path for row in rows)
    drawn = (
        chart(
            "Accuracy",
            "Of training pictures while trained on, with all that makes them harder; of the test pictures.",
            [
                curve("training", _SOFT, points(lambda row: row.train_accuracy), "5 3"),
                curve("test", _ACCENT, points(lambda row: row.accuracy)),
            ],
            kind="share",
        ),
        chart(
            "Loss",
            "In nats: the mean over the steps, and on the test pictures.",
            [
                curve("training", _SOFT, points(lambda row: row.train_loss), "5 3"),
                curve("test", _ACCENT, points(lambda row: row.loss)),
            ],
        ),
        chart("Learning rate", "By epoch.", [curve("rate", _WARM, points(lambda row: row.rate))]),
        chart(
            "Dropped paths",
            "Probability with which a path is dropped for a picture.",
            [curve("probability", _WARM, points(lambda row: row.drop_path))] if dropped else [],
            kind="share",
        ),
    )
    return tuple(one for one in drawn if one)


def page_of_text(
    found: RetrainedText, made: Made, words: tuple[int, int], settings: TrainingRecipe
) -> TrainingPage:
    """Of a language model.

    Args:
        words: of the training part: how many, and how many different.
        settings: as it was trained.
    """
    averaged = [epoch.number for epoch in found.epochs if epoch.averaged]
    since = (f"from epoch {averaged[0]} on the weights are averaged",) if averaged else ()
    tested = decimal(math.exp(found.loss))
    return TrainingPage(
        *made[:3],
        summary=f"Trained from scratch for {plural(len(found.epochs), 'epoch')} ({duration(found.seconds)}), "
        f"the language model has a perplexity of {tested} on the test part, and {found.parameters:,} "
        "parameters.",
        figures=(
            ("test perplexity", tested),
            ("validation", decimal(math.exp(found.valid_loss))),
            ("parameters", large(found.parameters)),
        ),
        measured="With the weights that did best on the validation part; the test part chose nothing.",
        facts=(
            ("data", made.data),
            ("words to train on", f"{words[0]:,}, {words[1]:,} different"),
            ("width of the state", plural(settings.hidden, "unit")),
            ("seed", str(made.seed)),
            ("epochs", f"{len(found.epochs)} of {settings.epochs}"),
        ),
        cost=_text_cost(found, made.genotype, words, settings.hidden),
        settings=tuple((key, plain_words(value)) for key, value in asdict(settings).items()),
        notes=(*_notes(found), *since),
        charts=_text_charts(found),
        heads=("epoch", "training loss", "validation loss", "validation perplexity", "weights"),
        rows=tuple(_text_row(epoch) for epoch in found.epochs),
        use="from rung.nas.retraining_text import load_language_model\n\n"
        f"model, vocabulary = load_language_model({made.out!r})"
        if made.out
        else "",
    )


def _text_cost(found: RetrainedText, genotype: Genotype, words: tuple[int, int], hidden: int) -> Facts:
    from rung.nas.counting import count_recurrent

    each, seen = count_recurrent(genotype, hidden, words[1]).multiply_adds, words[0] * len(found.epochs)
    return (
        ("time", duration(found.seconds)),
        ("time an epoch", duration(found.seconds / max(len(found.epochs), 1))),
        ("words seen", large(seen)),
        ("multiply-adds of a word", large(each)),
        ("multiply-adds of the training", f"about {large(_PASS * seen * each)}"),
    )


def _text_row(epoch: Epoch) -> tuple[str, ...]:
    return (
        str(epoch.number),
        decimal(epoch.train_loss),
        decimal(epoch.valid_loss),
        decimal(epoch.valid_perplexity),
        "averaged" if epoch.averaged else "of the last step",
    )


def _text_charts(found: RetrainedText) -> tuple[Chart, ...]:
    epochs = found.epochs
    drawn = (
        chart(
            "Perplexity",
            "Of the validation part after each epoch, on a logarithmic axis.",
            [curve("validation", _ACCENT, [(epoch.number, epoch.valid_perplexity) for epoch in epochs])],
            kind="log",
        ),
        chart(
            "Loss",
            "In nats a word: the mean over the windows, with dropout, and on the validation part.",
            [
                curve("training", _SOFT, [(epoch.number, epoch.train_loss) for epoch in epochs], "5 3"),
                curve("validation", _ACCENT, [(epoch.number, epoch.valid_loss) for epoch in epochs]),
            ],
        ),
    )
    return tuple(one for one in drawn if one)
