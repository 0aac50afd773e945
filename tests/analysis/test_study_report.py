"""The report of a study, as a page."""

import json
import re

import msgspec
import pytest

from rung.analysis import importance
from rung.analysis.kinds.options import Options
from rung.analysis.pages import embedded
from rung.analysis.plotting import chart
from rung.analysis.report import Command, page, report, usable_charts
from rung.analysis.subject import Subject
from rung.errors import StudyError, UserError
from rung.space import to_json
from rung.space.domains import Choice, Float, Space
from rung.trials import events as ev
from support.studies import BARREN, STUDIES, identity_of, log_of


def parts(text):
    """The page without its scripts, its figures, and how many scripts it has."""
    scripts = re.findall(r"<script[^>]*>.*?</script>", text, re.DOTALL)
    figures = json.loads(re.search(r'id="figures">(.*?)</script>', text, re.DOTALL)[1])
    return re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL), figures, len(scripts)


@pytest.mark.parametrize("name", [*STUDIES, *BARREN])
def test_every_study_has_a_report(subject, name):
    one = subject(name)
    charts = usable_charts(one)
    words, figures, scripts = parts(page(one, charts))
    assert scripts == 3  # the figures, Plotly once, our own few lines
    assert len(figures) == len(charts) == words.count("data-figure")
    for one_chart in charts:
        assert one_chart.title in words
    best = one.history.incumbent
    if best is None:
        assert "no value yet" in words
    elif len(one.goals) == 1:
        assert f"{best.value:.6g}" in words
        assert words.count('class="best"') == 1
    assert not re.search(r'(src|href)="?(http|//)', words), "it needs no network"


def test_it_says_what_was_found_and_what_it_took(subject):
    asha = subject("asha")
    words, _, _ = parts(page(asha, [], [Command("rung resume asha", "Go on:")]))
    assert f"Trial {asha.best} at epoch 27; less is better." in words
    assert f"{asha.history.spent:,} epochs" in words
    assert "all that was asked for is done" in words
    assert "The ladder, planned and run" in words
    assert "rung resume asha" in words
    assert "epoch, 1 to 27, eta 3" in words
    assert "branches: sgd, adam" in words
    assert "50 of 80 trials" in words
    assert words.count('class="config"') == 50


def test_sections_without_content_are_left_out(subject):
    words, figures, _ = parts(page(subject("plain"), []))
    assert "The ladder" not in words
    assert "How to go on" not in words
    assert "Notes" not in words
    assert figures == []


def test_a_running_study_says_so(subject):
    words, _, _ = parts(page(subject("running"), []))
    assert "it runs, or its process died" in words


def test_several_objectives(subject):
    two = subject("two")
    words, _, _ = parts(page(two, usable_charts(two)))
    assert "trials on the Pareto front" in words
    assert "Hypervolume" in words
    assert "time &lt;= 24" in words
    assert '<th class="r">error</th><th class="r">time</th>' in words


def confirmed_log():
    who = identity_of(Space({"x": Float(0.0, 1.0)}), resource=None, scheduler="plain")
    who = msgspec.structs.replace(who, confirm=3)
    log = log_of(who, lambda config, resource, rng: {"loss": config["x"]}, trials=6, failing=0.0)[:-1]
    best = Subject("s", log).history.incumbent
    for repeat, value in enumerate((0.5, 0.6, 0.7)):
        origin = ev.Origin("confirm", parent=best.trial)
        log.append(ev.JobStarted(6 + repeat, 1, values=(0.5,), origin=origin, time=900.0 + repeat))
        log.append(ev.JobFinished(6 + repeat, 0, {"loss": value}, 900.5 + repeat))
    return log, best


def test_confirmation_is_told():
    log, best = confirmed_log()
    words, _, _ = parts(page(Subject("confirmed", log), usable_charts(Subject("confirmed", log))))
    assert "0.6</div>" in words
    assert "Confirmed: the mean ± 0.1 of 3 more evaluations (0.5, 0.6, 0.7)." in words
    assert f"It had {best.value:.6g} when it was chosen." in words
    assert "3 repeats of the best" in words


@pytest.mark.parametrize("resource", [None, (1, 9)])
def test_known_results_and_a_changed_space(resource):
    """A told result is a trial like another, but no job; what left the space is out of the plots of it."""
    scheduler = "asha" if resource else "plain"
    who = identity_of(Space({"x": Float(0.0, 1.0)}), resource=resource, scheduler=scheduler)
    log = log_of(who, lambda config, r, rng: {"loss": config["x"]}, trials=40, failing=0.0)[:-1]
    log.append(ev.Told(40, (0.9,), {"loss": -5.0}, 9 if resource else 1, 900.0))
    log.append(ev.SpaceChanged(to_json(Space({"x": Float(0.0, 0.92), "y": Float(0.0, 1.0)})), {"y": 0.25}))
    one = Subject("changed", log)
    gone = one.history.outside
    assert gone
    words, _, _ = parts(page(one, usable_charts(one)))
    assert "best loss</small>-5" in words
    assert "1 result that was known before" in words
    assert "<b>0.9</b>" in words  # the best one, as it ran
    shown = chart(one, "slice", Options(resource=1)).panels[0].marks[0]
    assert not gone & {int(re.match(r"trial (\d+)", text)[1]) for text in shown.text}
    assert importance(one, resource=1).trials == len(one.history.results[1]) - len(gone)


def test_a_space_that_no_trial_is_in():
    """There is nothing to plot of it, and that is said; the page is made all the same."""
    who = identity_of(Space({"x": Float(0.0, 1.0)}), resource=None, scheduler="plain")
    log = log_of(who, lambda config, r, rng: {"loss": config["x"]}, trials=20, failing=0.0)[:-1]
    log.append(ev.SpaceChanged(to_json(Space({"x": Float(2.0, 3.0)}))))
    one = Subject("changed", log)
    assert len(one.history.outside) == 20
    for method in ("ped-anova", "fanova"):
        with pytest.raises(StudyError, match="has 0 trials with a value"):
            importance(one, method=method)
    words, _, _ = parts(page(one, usable_charts(one)))
    assert "No trial has a usable value yet." in words


def test_notes_and_other_doors(subject):
    log = list(subject("plain").events)
    log[0] = msgspec.structs.replace(log[0], identity=msgspec.structs.replace(log[0].identity, door="fit"))
    log.append(ev.Recorded("note", {"text": "looks <good>"}))
    words, _, _ = parts(page(Subject("fitted", log), []))
    assert "<code>rung fit</code>" in words
    assert "looks &lt;good&gt;" in words


def test_users_words_are_escaped():
    bad = "</script><script>alert(1)</script>"
    space = Space({bad: Float(0.0, 1.0), "o": Choice({"<i>": {}, "b": {}})})
    who = identity_of(space, metric="<b>loss</b>", resource=None, scheduler="plain")
    log = log_of(who, lambda config, resource, rng: {"<b>loss</b>": rng.random()}, trials=20)
    one = Subject("<h1>study</h1>", log)
    text = page(one, usable_charts(one))
    assert text.count("alert(1)") > 0
    assert "<script>alert" not in text
    assert "<h1>study" not in text
    assert "<b>loss" not in text
    assert parts(text)[2] == 3


def test_embedded_json_ends_no_script():
    assert "</script>" not in embedded({"a": "</script>"})
    assert json.loads(embedded({"a": "</script>&<"})) == {"a": "</script>&<"}
    with pytest.raises(ValueError, match="JSON"):
        embedded(float("nan"))


def test_it_is_written_whole_or_not_at_all(subject, tmp_path):
    told = []
    path = report(subject("plain"), tmp_path / "report.html", tell=told.append)
    assert path.read_text().endswith("</html>\n") or path.read_text().endswith("</html>")
    assert told[0] == "reading the log"
    assert told[-1] == "writing the page"
    with pytest.raises(UserError, match="cannot be written"):
        report(subject("plain"), tmp_path / "none" / "report.html")
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.long
def test_ten_thousand_trials_fit_into_eight_megabytes(tmp_path):
    space = Space({f"x{i}": Float(1e-3, 1.0, log=True) for i in range(10)})
    log = log_of(
        identity_of(space),
        lambda config, resource, rng: {"loss": config["x0"] + 1 / resource},
        trials=10_000,
        workers=32,
    )
    path = report(Subject("large", log), tmp_path / "report.html")
    assert path.stat().st_size < 8e6


def test_attributes_stand_with_the_configuration(subject):
    log = list(subject("plain").events)
    kept = {"size": 12, "note": "<b>bold</b>", "long": "x" * 900}
    best = subject("plain").history.incumbent
    words, _, _ = parts(page(Subject("noted", [*log, ev.Recorded("attributes", kept, best.trial)]), []))
    assert words.count("attributes:") == 1  # no line where there are none
    assert "size <b>12</b>" in words
    assert "&lt;b&gt;bold" in words
    assert "x" * 30 not in words  # a few letters of each
