"""The door to all plots: from a study and a kind's name to a figure or a file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final, NamedTuple

from rung.analysis.charts import Chart
from rung.analysis.kinds import parameters, process, progress, relations
from rung.analysis.kinds.options import Options
from rung.analysis.subject import Subject, subject_of
from rung.errors import StudyError, UserError


class Kind(NamedTuple):
    """One kind of plot: how it is made, and what it shows in one line."""

    make: Callable[[Subject, Options], Chart]
    line: str


KINDS: Final[dict[str, Kind]] = {
    "history": Kind(progress.history, "every trial and the best so far"),
    "curves": Kind(progress.learning_curves, "learning curves, coloured by the rung reached"),
    "ladder": Kind(process.ladder, "which trials climbed, which stayed, and why"),
    "importance": Kind(parameters.importances, "how much each parameter matters"),
    "slice": Kind(parameters.slices, "the metric over each parameter"),
    "contour": Kind(parameters.contour, "the metric over two parameters"),
    "parallel": Kind(parameters.parallel, "every trial as a line over its parameters"),
    "pareto": Kind(relations.pareto, "several objectives against each other"),
    "edf": Kind(progress.edf, "the distribution of the values"),
    "timeline": Kind(process.timeline, "what ran when"),
    "lineage": Kind(relations.lineage, "which trial began from which"),
}
_ELSEWHERE: Final = {  # what other libraries call them
    "optimization_history": "history",
    "intermediate_values": "curves",
    "learning_curves": "curves",
    "param_importances": "importance",
    "parallel_coordinate": "parallel",
    "pareto_front": "pareto",
    "front": "pareto",
    "rank": "contour",
    "scatter": "slice",
}
ENDINGS: Final = (".html", ".png", ".svg", ".pdf")


def chart(subject: Subject, kind: str, options: Options | None = None) -> Chart:
    """The chart of this kind.

    Raises:
        StudyError: there is no such kind, or the study has nothing of it to show; the message says why.
    """
    if kind not in KINDS:
        close = get_close_matches(kind, [*KINDS, *_ELSEWHERE], n=1, cutoff=0.5)
        hint = f"did you mean {_ELSEWHERE.get(close[0], close[0])!r}? " if close else ""
        raise StudyError(f"unknown kind of plot {kind!r}: {hint}known are {', '.join(KINDS)}")
    return KINDS[kind].make(subject, options or Options())


def plot(
    study: Any,
    kind: str = "history",
    *,
    backend: str = "matplotlib",
    goal: str | None = None,
    resource: int | None = None,
    parameters: Sequence[str] | None = None,
    storage: str | None = None,
) -> Any:
    """Draw a study.

    Args:
        study: a result, a study, or a study's name (looked up in `storage`).
        kind: one of `rung.analysis.plotting.KINDS`: "history", "curves", "ladder", "importance", ...
        backend: "matplotlib" (in the extra `viz`) or "plotly".
        goal: which objective; the first, if it is not given.
        resource: the fidelity to look at, for kinds that look at one.
        parameters: the parameters to show, for kinds that show some.

    Returns:
        A `matplotlib.figure.Figure` or a `plotly.graph_objects.Figure`.

    Raises:
        StudyError: unknown kind, study or parameter, or the study has nothing of this kind to show.
        UserError: unknown backend, or matplotlib is not installed.
    """
    if backend not in ("matplotlib", "plotly"):
        raise UserError(f"plots are drawn with matplotlib or plotly, not with {backend!r}")
    made = chart(subject_of(study, storage), kind, Options(goal, resource, parameters))
    if backend == "matplotlib":
        from rung.analysis import matplotlib_figure

        return matplotlib_figure.figure(made)
    from plotly.graph_objects import Figure

    from rung.analysis import plotly_figure

    drawn = Figure(plotly_figure.figure(made))
    return drawn.update_layout(title={"text": made.title, "y": 0.99}, margin_t=90)


def check_ending(path: Path) -> None:
    """Refuse a name that does not say the form.

    Raises:
        UserError: naming the forms.
    """
    if path.suffix.lower() not in ENDINGS:
        raise UserError(f"{path}: the file's name must end in {', '.join(ENDINGS)}")


def save(made: Chart, path: Path) -> None:
    """Write a chart to a file, whose ending says the form: .html, .png, .svg or .pdf.

    Raises:
        UserError: another ending, or the file cannot be written.
    """
    check_ending(path)
    ending = path.suffix.lower()
    if ending == ".html":
        from rung.analysis.pages import chart_page, write

        write(path, chart_page(made))
        return
    from rung.analysis import matplotlib_figure

    drawn = matplotlib_figure.figure(made)
    try:
        drawn.savefig(path, dpi=150)
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror or error}") from error
