"""What `import rung` and `rung --help` cost, and which names are public."""

import json
import subprocess
import sys

import pytest

import rung

HEAVY = (
    "numpy",
    "scipy",
    "sklearn",
    "pandas",
    "torch",
    "ray",
    "sqlalchemy",
    "alembic",
    "lightgbm",
    "msgspec",
    "plotly",
)
HELP = """
import contextlib, io
from rung.cli import main
with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
    main(%r)
"""


def modules_after(code: str) -> set[str]:
    """The top-level modules that a fresh interpreter has loaded after `code`."""
    script = (
        f"import json, sys\n{code}\nprint(json.dumps(sorted({{n.partition('.')[0] for n in sys.modules}})))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize(
    "code",
    [
        "import rung",
        *(HELP % ([*command, "--help"],) for command in ([], ["tune"], ["fit"], ["show"], ["report"])),
    ],
)
def test_nothing_heavy_is_loaded(code: str) -> None:
    assert not modules_after(code).intersection(HEAVY)


def test_the_function_tune_is_not_taken_for_a_module() -> None:
    from rung import study  # whose attribute a module of that name would be, once it is loaded

    assert callable(study.tune)
    assert rung.tune is study.tune
    assert not any(name == "rung.study.tune" for name in sys.modules)


@pytest.mark.parametrize(
    "command",
    [
        ["list"],
        ["list", "--limit", "3"],
        ["show", "s", "--top", "3"],
        ["show", "s", "--json"],
        ["export", "s"],
        ["logs", "s"],
    ],
)
def test_looking_at_studies_loads_no_array_or_database_library(command, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    with rung.Study({"x": rung.Float(0, 1)}, storage="rung.db", study="s") as study:
        study.tell({"x": 0.5}, 1.0)
    loaded = modules_after(HELP % (command,))
    assert "msgspec" in loaded  # it was read
    assert not loaded.intersection(set(HEAVY) - {"msgspec"})
    assert "pydantic" not in loaded  # which Typer would read the command line by: 80 ms
    if command[0] in ("list", "show"):
        assert "rich" not in loaded  # 50 ms


def test_a_command_that_looks_leaves_its_objects_alone_at_the_end(tmp_path) -> None:
    storage = str(tmp_path / "studies.db")
    script = f"""
import atexit, gc
atexit.register(lambda: print(gc.get_freeze_count()))
from rung.cli import main
main(["list", "--storage", {storage!r}])
"""
    rung.tune(
        lambda trial: 0.0, {"x": rung.Float(0, 1)}, trials=1, executor="inline", storage=storage, quiet=True
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert int(done.stdout.splitlines()[-1]) > 10_000


def test_import_loads_nothing_of_others() -> None:
    others = {
        name
        for name in modules_after("import rung") - modules_after("pass")
        if name not in sys.stdlib_module_names
    }
    assert others == {"rung"}


def test_names_are_looked_up_when_first_used() -> None:
    assert "numpy" in modules_after("import rung\nrung.Study")


def test_public_names() -> None:
    assert set(rung.__all__) == {
        "AutoClassifier", "AutoRegressor", "Categorical", "Choice", "Client", "Command", "Constant", "Float",
        "Infeasible", "Integer", "Ordinal", "Space", "Stopped", "Study", "__version__", "importance",
        "load", "plot", "report", "tune",
    }  # fmt: skip


@pytest.mark.parametrize("name", rung.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(rung, name) is getattr(rung, name)
    assert name in dir(rung)


@pytest.mark.parametrize("name", ["errors.UserError", "nas", "space.load_space", "study.from_optuna"])
def test_names_that_the_documentation_gives_in_full_are_there_after_one_import(name: str) -> None:
    assert "rung" in modules_after(f"import rung\nrung.{name}")
    assert name.partition(".")[0] in dir(rung)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Flaot'"):
        rung.Flaot  # noqa: B018
