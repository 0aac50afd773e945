"""The tables of methods: names, specs, objects and plug-ins."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint

import pytest

from rung.errors import StudyError
from rung.trials import methods
from rung.trials.events import Spec
from rung.trials.methods import Family, Method, check_installed, known, make, spec_of


@dataclass(frozen=True)
class Walk:
    """A method with settings of each kind."""

    step: float = 0.5
    sizes: tuple[int, ...] = (1, 2)
    name: str | None = None
    derived: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        if self.step <= 0:
            raise ValueError(f"step must be above 0, not {self.step}")

    def move(self) -> float:
        return self.step


class Loose:
    def move(self) -> float:
        return 1.0


HERE = f"{__name__}:"
TABLE = {"walk": Method("walk", "walker", f"{HERE}Walk", "walks", "Pearson 1905")}
FAMILY = Family("walker", "move", "rung.walkers", TABLE)


@pytest.fixture
def plugins(monkeypatch):
    """Entry points that are installed, as far as the tables can tell."""
    installed: list[EntryPoint] = []
    monkeypatch.setattr(methods, "entry_points", lambda group: [p for p in installed if p.group == group])

    def add(name: str, value: str) -> None:
        installed.append(EntryPoint(name, value, "rung.walkers"))

    return add


def test_by_name_by_spec_and_as_an_object():
    assert make(FAMILY, "walk") == Walk()
    assert make(FAMILY, Spec("walk", {"step": 2.0})) == Walk(2.0)
    own = Walk(3.0)
    assert make(FAMILY, own) is own


def test_a_spec_is_plain_data_and_gives_an_equal_object():
    walk = Walk(0.1, (4, 5, 6), "x")
    spec = spec_of(FAMILY, walk)
    assert spec == Spec("walk", {"step": 0.1, "sizes": [4, 5, 6], "name": "x"})
    assert make(FAMILY, spec) == walk


@dataclass(frozen=True)
class Own:
    by: int = 3

    def move(self) -> int:
        return self.by


def test_an_object_of_no_table_goes_by_its_own_path():
    spec = spec_of(FAMILY, Own(7))
    assert spec == Spec(f"{HERE}Own", {"by": 7})
    assert make(FAMILY, spec) == Own(7)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("wlak", r"unknown walker 'wlak': did you mean 'walk'\? known are walk"),
        ("zzz", "unknown walker 'zzz': known are walk"),
        ("walk(step={[]: 1})", "is not understood"),
        (Spec("walk", {"stp": 1}), "the walker 'walk': unknown setting 'stp': did you mean 'step'"),
        (Spec("walk", {"derived": 1}), "unknown setting"),
        (Spec("walk", {"step": "far"}), "the walker 'walk' cannot be made: .*step"),
        (Spec("walk", {"step": -1.0}), "cannot be made: step must be above 0"),
        (Spec("nowhere:Thing"), "cannot be loaded from 'nowhere:Thing'"),
        (Spec("os:system"), "'os:system' is no walker: it must be a dataclass with a method `move`"),
        (Spec(f"{HERE}Loose"), "it must be a dataclass"),
        (Walk, "is no walker: give a name"),
        (3, "3 is no walker: give a name"),
    ],
)
@pytest.mark.filterwarnings("ignore:the walker 'nowhere")
def test_nonsense_gets_a_sentence(given, message):
    with pytest.raises(StudyError, match=message):
        make(FAMILY, given)


def test_settings_that_the_log_cannot_keep_are_refused():
    with pytest.raises(StudyError, match="Loose is not a dataclass"):
        spec_of(FAMILY, Loose())


def test_a_plug_in_is_known_and_loaded_when_it_is_used(plugins):
    plugins("own", f"{HERE}Own")
    plugins("lazy", "a_module_that_is_not_there:X")
    assert list(known(FAMILY)) == ["walk", "own", "lazy"]  # nothing was loaded
    assert make(FAMILY, Spec("own", {"by": 4})) == Own(4)
    assert spec_of(FAMILY, Own(4)) == Spec("own", {"by": 4})
    with pytest.raises(StudyError, match="did you mean 'own'"):
        make(FAMILY, "onw")


def test_a_broken_plug_in_warns_and_does_not_hurt_the_others(plugins):
    plugins("broken", "a_module_that_is_not_there:X")
    assert make(FAMILY, "walk") == Walk()
    warns = pytest.warns(RuntimeWarning, match="'broken' cannot be loaded \\(ModuleNotFoundError")
    with warns, pytest.raises(StudyError, match="'broken' cannot be loaded"):
        make(FAMILY, "broken")


def test_a_module_that_ends_the_process_when_imported_gets_a_sentence(tmp_path, monkeypatch):
    (tmp_path / "a_module_that_exits.py").write_text("raise SystemExit(3)")
    monkeypatch.syspath_prepend(tmp_path)
    warns = pytest.warns(RuntimeWarning, match="SystemExit")
    with warns, pytest.raises(StudyError, match="cannot be loaded from 'a_module_that_exits:X'"):
        make(FAMILY, "a_module_that_exits:X")


def test_where_only_installed_methods_are_wanted_no_class_is_named_by_its_module(plugins):
    plugins("own", f"{HERE}Own")
    for fine in (None, "walk", "walk(step=2)", "own(by=4)", "walk(step={'a': [1, 'b']})"):
        check_installed(FAMILY, fine)
    nested = ["walk(step='m:C')", "walk(step={'a': [1, ('m:C',)]})", "walk(step='m' ':C')"]
    for wrong in ("m:C", "m:C(step=2)", " m : C", f"{HERE}Own", *nested):
        with pytest.raises(StudyError, match="code is not named over the network"):
            check_installed(FAMILY, wrong)


def test_a_plug_in_cannot_take_one_of_our_names(plugins):
    plugins("walk", f"{HERE}Own")
    with pytest.warns(RuntimeWarning, match="is left out: rung has a walker 'walk' already"):
        assert known(FAMILY) == TABLE
    assert make(FAMILY, "walk") == Walk()


def test_the_tables_load_no_method_and_no_array_library():
    code = (
        "import sys, rung.schedulers as s; s.known_schedulers(); "
        "print([m for m in sys.modules if m in ('numpy', 'rung.schedulers.asha')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
