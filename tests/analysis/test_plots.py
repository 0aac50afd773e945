"""Every kind of plot of every kind of study, in both renderings."""

import io
import json
import sys

import numpy as np
import pytest
from matplotlib.figure import Figure
from plotly.graph_objects import Figure as PlotlyFigure

import rung
from rung.analysis import matplotlib_figure, plotly_figure
from rung.analysis.charts import Chart, Line, Points
from rung.analysis.kinds.options import Options
from rung.analysis.plotting import KINDS, chart, save
from rung.analysis.subject import Subject
from rung.errors import StudyError, UserError
from rung.space.domains import Categorical, Choice, Float, Space
from support.studies import BARREN, STUDIES, identity_of, log_of

MISSING = {  # what a study has nothing of
    "asha": {"pareto", "lineage"},
    "stopping": {"pareto", "lineage"},
    "hyperband": {"pareto", "lineage"},
    "plain": {"pareto", "lineage", "curves", "ladder"},
    "max": {"pareto", "lineage"},
    "two": {"lineage"},
    "population": {"pareto", "importance", "contour"},
    "running": {"pareto", "lineage"},
}


def usable(subject, kind):
    try:
        return chart(subject, kind)
    except StudyError:
        return None


@pytest.mark.parametrize("name", STUDIES)
def test_every_kind_is_drawn_both_ways(subject, name):
    drawn = set()
    for kind in KINDS:
        made = usable(subject(name), kind)
        if made is None:
            continue
        drawn.add(kind)
        figure = matplotlib_figure.figure(made)
        assert isinstance(figure, Figure)
        if name in ("asha", "two", "population"):  # laying out a page of all the others takes long
            figure.savefig(io.BytesIO(), dpi=30)
        spec = plotly_figure.figure(made)
        json.dumps(spec, allow_nan=False)
        assert len(PlotlyFigure(spec).data) == len(spec["data"]) > 0  # Plotly checks every name and value
    assert set(KINDS) - drawn == MISSING[name]


@pytest.mark.parametrize("name", BARREN)
def test_a_barren_study_has_reasons(subject, name):
    for kind in KINDS:
        try:
            made = chart(subject(name), kind)
        except StudyError as error:
            why = str(error)
        else:
            plotly_figure.figure(made)
            matplotlib_figure.figure(made).savefig(io.BytesIO(), dpi=20)
            continue
        assert "stud" in why, kind
        assert why.count(" ") > 4, f"{kind}: no sentence: {why}"


def marks(made: Chart, kind: type):
    return [mark for panel in made.panels for mark in panel.marks if isinstance(mark, kind)]


def test_the_best_trial_is_marked(subject):
    for name in ("asha", "plain", "max"):
        one = subject(name)
        best = one.history.incumbent
        star = next(m for m in marks(chart(one, "history"), Points) if m.symbol == "star")
        assert (star.x.tolist(), star.y.tolist()) == ([best.trial], [best.value])
    line = next(m for m in marks(chart(subject("asha"), "curves"), Line) if m.name.startswith("best"))
    assert line.x.tolist() == [float(n) for n in range(1, 28)]


def test_history_shows_every_trial_once(subject):
    asha = subject("asha")
    shown = [m for m in marks(chart(asha, "history"), Points) if m.symbol == "circle"]
    numbers = sorted(int(x) for mark in shown for x in mark.x)
    assert numbers == [r.number for r in asha.records if r.observations and r.value is not None]


def test_axes_say_what_they_show(subject):
    made = chart(subject("asha"), "slice", Options(resource=1))
    labels = {panel.x.label for panel in made.panels}
    assert labels == {"lr", "layers", "batch", "activation", "optimizer", "momentum", "beta"}
    lr = next(panel for panel in made.panels if panel.x.label == "lr")
    assert lr.x.log
    assert made.panels[0].y.label == "loss"
    assert len({panel.y.span for panel in made.panels}) == 1, "all panels have the same ends"
    activation = next(panel for panel in made.panels if panel.x.label == "activation")
    assert [text for _, text in activation.x.ticks] == ["relu", "tanh", "gelu"]
    assert chart(subject("asha"), "curves").panels[0].x.label == "epochs"
    assert chart(subject("asha"), "ladder").panels[0].y.label == "epoch"


def test_parameters_may_be_chosen(subject):
    one = subject("plain")
    made = chart(one, "slice", Options(parameters=["layers", "optimizer.sgd.momentum"]))
    assert [panel.x.label for panel in made.panels] == ["layers", "momentum"]
    made = chart(one, "contour", Options(parameters=["lr", "layers"]))
    assert (made.panels[0].x.label, made.panels[0].y.label) == ("lr", "layers")
    with pytest.raises(StudyError, match="has no parameter 'depth'"):
        chart(one, "slice", Options(parameters=["depth"]))
    with pytest.raises(StudyError, match="has two parameters, not 1"):
        chart(one, "contour", Options(parameters=["lr"]))
    with pytest.raises(StudyError, match="fewer than 10 trials have both"):
        chart(one, "contour", Options(parameters=["momentum", "beta"]))


def test_the_ladder_tells_why(subject):
    made = chart(subject("asha"), "ladder")
    texts = [text for mark in marks(made, Points) for text in mark.text]
    assert any("reached the top" in text for text in texts)
    assert any("stayed: " in text and "went on" in text for text in texts)
    assert any("planned: 80 trials" in text for text in texts)


def test_a_lineage_shows_the_schedule_of_the_best(subject):
    one = subject("population")
    made = chart(one, "lineage")
    assert len(made.panels) > 1
    assert all(panel.x.label == "epochs" for panel in made.panels)


def test_configurations_without_checkpoints_have_a_lineage_too():
    who = identity_of(resource=None, scheduler="plain")
    log = log_of(who, trials=12, failing=0.0)
    from msgspec.structs import replace

    from rung.trials.events import JobStarted, Origin

    child = [
        replace(e, origin=Origin("evolution", parent=e.trial - 1))
        if isinstance(e, JobStarted) and e.trial > 6
        else e
        for e in log
    ]
    made = chart(Subject("evolved", child), "lineage")
    assert "configuration was made" in made.note
    assert marks(made, Line)


def test_many_trials_stay_light():
    space = Space({f"x{i}": Float(1e-3, 1.0, log=True) for i in range(8)} | {"k": Categorical(list("abcd"))})
    log = log_of(
        identity_of(space, resource=(1, 9)),
        lambda config, resource, rng: {"loss": config["x0"] + 1 / resource},
        trials=4000,
        workers=16,
    )
    one = Subject("many", log)
    best = one.history.incumbent
    for kind in KINDS:
        made = usable(one, kind)
        if made is not None:
            assert len(json.dumps(plotly_figure.figure(made))) < 700_000, kind
    shown = [m for m in marks(chart(one, "history"), Points) if m.symbol == "circle"]
    assert sum(len(m.x) for m in shown) <= 2000
    assert best.trial in {int(x) for m in shown for x in m.x}


def test_users_words_are_taken_as_words():
    space = Space(
        {
            "<b>$x$</b>": Float(0.0, 1.0),
            "a&b": Categorical(["<script>alert(1)</script>", "$\\frac$", "c"]),
            "o": Choice({"on": {"x_1": Float(0.0, 1.0)}, "off": {}}),
        }
    )
    who = identity_of(space, metric="l<o>ss_$1$", resource=None, scheduler="plain")
    log = log_of(who, lambda config, resource, rng: {"l<o>ss_$1$": rng.random()}, trials=30)
    for kind in ("history", "slice", "contour", "parallel", "importance", "edf"):
        made = usable(Subject("s", log), kind)
        if made is None:
            continue
        matplotlib_figure.figure(made).savefig(io.BytesIO(), dpi=30)
        spec = plotly_figure.figure(made)
        for dimension in spec["data"][0].get("dimensions", ()):
            del dimension["ticktext"]  # plain text to Plotly
        text = json.dumps(spec)
        assert "<script" not in text
        assert "<o>" not in text
        assert "$" not in text


def test_plot_from_python(subject, tmp_path):
    result = rung.tune(lambda config: config["x"], {"x": rung.Float(0.0, 1.0)}, trials=12, sampler="random")
    assert isinstance(rung.plot(result), Figure)
    drawn = rung.plot(result, "slice", backend="plotly")
    assert isinstance(drawn, PlotlyFigure)
    assert drawn.layout.title.text == "loss over each parameter"
    with pytest.raises(StudyError, match="did you mean 'history'"):
        rung.plot(result, "histroy")
    with pytest.raises(StudyError, match="did you mean 'parallel'"):
        rung.plot(result, "parallel_coordinate")
    with pytest.raises(UserError, match="matplotlib or plotly, not with 'bokeh'"):
        rung.plot(result, backend="bokeh")


def test_the_callers_matplotlib_is_left_alone(subject):
    before = "matplotlib.pyplot" in sys.modules
    matplotlib_figure.figure(chart(subject("plain"), "history"))
    assert ("matplotlib.pyplot" in sys.modules) is before


def test_without_matplotlib_a_sentence_says_what_to_do(subject, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(UserError, match=r"pip install 'rung\[viz\]'"):
        rung.plot(subject("plain"))
    rung.plot(subject("plain"), backend="plotly")


@pytest.mark.parametrize("ending", ["html", "png", "svg", "pdf"])
def test_files(subject, tmp_path, ending):
    path = tmp_path / f"plot.{ending}"
    save(chart(subject("plain"), "history"), path)
    start = path.read_bytes()[:400]
    assert {"html": b"<!doctype html>", "png": b"PNG", "svg": b"<svg", "pdf": b"%PDF"}[ending] in start
    assert list(tmp_path.iterdir()) == [path]


def test_files_that_cannot_be(subject, tmp_path):
    made = chart(subject("plain"), "history")
    with pytest.raises(UserError, match="must end in"):
        save(made, tmp_path / "plot.gif")
    for ending in ("html", "png"):
        with pytest.raises(UserError, match="cannot be written"):
            save(made, tmp_path / "none" / f"plot.{ending}")


def test_numbers_are_short_and_gaps_are_null():
    values = np.array([1 / 3, np.nan, np.inf, 12345678.9])
    assert plotly_figure.numbers(values) == [0.333333, None, None, 12345700.0]
