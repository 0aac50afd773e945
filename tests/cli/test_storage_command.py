"""`rung storage upgrade`, `copy` and `check`."""

import json
import re
import shutil
import sqlite3

import msgspec
import pytest

from rung.space.domains import Float
from rung.storage import open_storage
from rung.study import Study
from rung.trials.codec import decode, encode, encode_all
from support.studies import identity_of, log_of, stored


def run_in(file, statement, *values):
    connection = sqlite3.connect(file)
    with connection:
        connection.execute(statement, values)
    connection.close()


def all_of(url):
    """Everything that a storage says of its studies."""
    storage = open_storage(url)
    found = {}
    for row in storage.list():
        log = encode_all(list(storage.read(row.name)))  # bytes, since NaN equals nothing
        found[row.name] = (row.key, row.summary, row.events, log, files(storage, row.name))
    storage.close()
    return found


def files(storage, name):
    folder = storage.folder(name)
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# -- check --------------------------------------------------------------------------------------------------


def test_a_sound_storage(rung, study):
    done = rung("storage", "check", "--json")
    assert done.exit_code == 0, done.stdout
    (found,) = json.loads(done.stdout)["studies"]
    assert (found["study"], found["differs"], found["notes"]) == ("made", [], [])
    assert found["decisions"] >= 12
    assert found["events"] > found["decisions"]
    assert "1 study, " in rung("storage", "check").stderr


def damage_gap(file):
    run_in(file, "DELETE FROM events WHERE seq = 5")


def damage_body(file):
    run_in(file, "UPDATE events SET body = ? WHERE seq = 5", b"\xc1 no event")


def damage_text(file):
    run_in(file, "UPDATE events SET body = 'no bytes' WHERE seq = 5")


def damage_kind(file):
    run_in(file, "UPDATE events SET kind = 15 WHERE seq = 5")


def damage_tail(file):
    run_in(file, "DELETE FROM events WHERE seq = (SELECT max(seq) FROM events)")


def damage_summary(file):
    run_in(file, "UPDATE studies SET best = best / 2")


def damage_swap(file):
    """One trial gets another's configuration: the log folds, and the sampler did not say so."""
    connection = sqlite3.connect(file)
    rows = connection.execute("SELECT seq, body FROM events WHERE kind = 5 ORDER BY seq").fetchall()
    connection.close()
    starts = [(seq, event) for seq, body in rows if (event := decode(body)).values is not None]
    (seq, one), (_, other) = starts[0], starts[-1]
    swapped = msgspec.structs.replace(one, values=other.values)
    run_in(file, "UPDATE events SET body = ? WHERE seq = ?", encode(swapped), seq)


DAMAGE = {
    damage_gap: "event 5 is missing: the next one is number 6",
    damage_body: "event 5 cannot be read",
    damage_text: "event 5 cannot be read",
    damage_kind: "event 5 is filed as kind 15 of trial",
    damage_tail: r"the study has \d+ events, and \d+ are there",
    damage_summary: r"the list says best .*, and the log gives",
    damage_swap: "and the policies decide",
}


def test_what_is_wrong_is_found(rung, study):
    for damage, sentence in DAMAGE.items():
        file = f"{damage.__name__}.db"
        shutil.copy("rung.db", file)
        damage(file)
        done = rung("storage", "check", "--storage", file, "--json")
        assert done.exit_code == 1
        (found,) = json.loads(done.stdout)["studies"]
        assert any(re.search(sentence, text) for text in found["differs"]), found["differs"]
    plain = rung("storage", "check", "--storage", file)
    assert plain.exit_code == 1
    assert plain.stdout.startswith("made: ")
    assert "1 not as it should be" in plain.stderr
    skipped = rung("storage", "check", "--storage", file, "--no-decisions")
    assert skipped.exit_code == 0
    assert " 0 decisions" in skipped.stderr


CHECKPOINTS = """
import pathlib
import rung
space = {"x": rung.Float(0.0, 1.0)}
resource = ("step", 1, 9)
def train(trial):
    def save(folder):
        (pathlib.Path(folder) / "weights").write_text(f"{trial.number} at {trial.resource}")
    for step in range(trial.start, trial.resource):
        trial.report(step + 1, loss=trial.config["x"] + 1 / (step + 1), save=save)
"""


@pytest.fixture
def saving(rung, folder):
    """A study of which checkpoints are kept."""
    (folder / "saving.py").write_text(CHECKPOINTS)
    made = rung(
        "tune", "saving.py", "--trials", 9, "--executor", "inline", "--sampler", "random", "--study", "it"
    )
    assert made.exit_code == 0, made.stderr
    return "it"


def test_checkpoints_are_looked_for(rung, saving, folder):
    done = rung("storage", "check", "--json")
    (found,) = json.loads(done.stdout)["studies"]
    assert found["checkpoints"] > 0, done.stdout
    assert found["differs"] == []
    homes = list((folder / "rung.db.files").glob("*/trial-*"))
    for home in homes:
        for weights in home.rglob("weights"):
            weights.write_text("others")
    assert any(
        "trial " in text
        for text in json.loads(rung("storage", "check", "--json").stdout)["studies"][0]["differs"]
    )
    for home in homes:
        shutil.rmtree(home)
    (found,) = json.loads(rung("storage", "check", "--json").stdout)["studies"]
    assert any("is not there" in text for text in found["differs"])


def test_a_text_that_the_caller_told_is_no_checkpoint_of_ours(rung):
    with Study({"x": Float(0, 1)}, resource=("step", 1, 3), trials=1, storage="rung.db", study="own") as own:
        own.tell(own.ask(), 0.5, checkpoint="what I keep elsewhere")
    done = rung("storage", "check", "--json")
    (found,) = json.loads(done.stdout)["studies"]
    assert (done.exit_code, found["checkpoints"], found["differs"]) == (0, 0, [])


# -- copy ---------------------------------------------------------------------------------------------------


def test_there_and_back_again(rung, saving, folder, postgres_url):
    stored(log_of(identity_of()), "rung.db", "other")
    storage = open_storage("rung.db")
    storage.request("it", "note", {"text": "later"})
    storage.close()
    there = rung("storage", "copy", "rung.db", postgres_url, "--json")
    assert there.exit_code == 0, there.stdout
    assert all_of(postgres_url) == all_of("rung.db")
    told = {one["name"]: one for one in json.loads(there.stdout)["copied"]}
    assert told["it"]["requests"] == 1
    assert told["it"]["files"]["copied"] == told["it"]["files"]["total"] > 0
    assert told["other"]["events"] == told["other"]["total"] > 0
    again = json.loads(rung("storage", "copy", "rung.db", postgres_url, "--json").stdout)
    assert [(one["events"], one["requests"], one["files"]["copied"]) for one in again["copied"]] == [
        (0, 0, 0)
    ] * 2
    assert rung("storage", "copy", postgres_url, "back.db").exit_code == 0
    assert all_of("back.db") == all_of("rung.db")
    assert rung("storage", "check", "--storage", "back.db", "--study", "it").exit_code == 0
    log = open_storage("back.db").open("it")
    assert [request.data for request in log.requests()] == [{"text": "later"}]
    log.close()


def test_a_copy_is_gone_on_with_and_the_two_part(rung, study):
    assert rung("storage", "copy", "rung.db", "copy.db").exit_code == 0
    assert rung("note", "made", "more", "--storage", "rung.db").exit_code == 0
    assert rung("storage", "copy", "rung.db", "copy.db").exit_code == 0  # brought up to date
    assert all_of("copy.db") == all_of("rung.db")
    assert rung("note", "made", "of its own", "--storage", "copy.db").exit_code == 0
    before = all_of("copy.db")
    for _ in range(2):
        parted = rung("storage", "copy", "rung.db", "copy.db")
        assert parted.exit_code == 1
        assert "has gone on by itself" in parted.stderr
        assert rung("note", "made", "and more", "--storage", "rung.db").exit_code == 0
    assert all_of("copy.db") == before


def test_a_copy_that_was_cut_short_is_completed(rung, study, monkeypatch):
    from rung.storage import stored as rows
    from rung.storage.sql_log import SqlLog

    monkeypatch.setattr(rows, "PAGE", 7)
    appended = []

    def append(log, events, summary, was=SqlLog.append_copied):
        appended.append(len(events))
        if len(appended) == 3:
            raise KeyboardInterrupt
        was(log, events, summary)

    with monkeypatch.context() as cut:
        cut.setattr(SqlLog, "append_copied", append)
        assert rung("storage", "copy", "rung.db", "copy.db").exit_code != 0
    (row,) = open_storage("copy.db").list()
    assert (row.events, row.summary.state) == (14, "copying")
    refused = rung("note", "made", "text", "--storage", "copy.db")
    assert refused.exit_code == 2
    assert "is the beginning of a copy: run `rung storage copy` again" in refused.stderr
    checked = rung("storage", "check", "--storage", "copy.db")
    assert checked.exit_code == 0, checked.stdout
    assert "is the beginning of a copy" in checked.stderr
    assert rung("storage", "copy", "rung.db", "copy.db").exit_code == 0
    assert all_of("copy.db") == all_of("rung.db")


def test_what_runs_is_left_out_unless_asked_for(rung, study):
    storage = open_storage("rung.db")
    log = storage.open("made")
    left = rung("storage", "copy", "rung.db", "copy.db")
    assert left.exit_code == 1
    assert "made is not copied: process" in left.stderr
    assert "say --running" in left.stderr
    assert rung("storage", "copy", "rung.db", "copy.db", "--running").exit_code == 0
    log.close()
    storage.close()
    assert all_of("copy.db") == all_of("rung.db")


def test_another_study_of_the_name_is_not_written_over(rung, study, objective):
    other = (
        "--trials",
        3,
        "--executor",
        "inline",
        "--sampler",
        "random",
        "--study",
        "made",
        "--storage",
        "copy.db",
    )
    assert rung("tune", objective, *other).exit_code == 0
    before = all_of("copy.db")
    done = rung("storage", "copy", "rung.db", "copy.db")
    assert done.exit_code == 1
    assert "there is a study 'made' in" in done.stderr
    assert all_of("copy.db") == before


UNUSABLE = {
    ("copy", "none.db", "copy.db"): "there is no storage none.db",
    ("copy", "memory", "copy.db"): "a storage in memory ends with its process",
    ("copy", "rung.db", "copy.db", "--study", "mode"): "did you mean 'made'",
    ("check", "--storage", "none.db"): "there is no storage none.db",
    ("check", "--study", "mode"): "did you mean 'made'",
    ("upgrade", "--storage", "none.db"): "there is no storage none.db",
    ("upgrade", "--storage", "memory"): "a storage in memory has no tables",
}


def test_what_cannot_be_used_is_said(rung, study):
    for words, sentence in UNUSABLE.items():
        done = rung("storage", *words)
        assert done.exit_code == 2
        assert sentence in done.stderr


# -- upgrade ------------------------------------------------------------------------------------------------


@pytest.fixture
def next_version(monkeypatch, tmp_path):
    """A rung whose tables are one version further, by a migration as Alembic runs it."""
    from rung.storage import postgres_reader, schema, sqlite_reader

    scripts = tmp_path / "migrations"
    shutil.copytree(schema.MIGRATIONS, scripts, ignore=shutil.ignore_patterns("__pycache__"))
    (scripts / "versions" / "v9999_next.py").write_text(
        "from alembic import op\nimport sqlalchemy as sa\n"
        f"revision = '9999'\ndown_revision = {schema.VERSION!r}\n"
        "def upgrade():\n    op.add_column('studies', sa.Column('mark', sa.Integer))\n"
    )
    before = schema.VERSION
    monkeypatch.setattr(schema, "MIGRATIONS", scripts)
    versions = (*schema.VERSIONS, "9999")
    for module in (schema, sqlite_reader, postgres_reader):
        monkeypatch.setattr(module, "VERSIONS", versions)
    monkeypatch.setattr(schema, "VERSION", "9999")
    return before


def test_a_file_is_upgraded(rung, study, request):
    assert "already" in rung("storage", "upgrade").stderr
    before = request.getfixturevalue("next_version")
    done = rung("storage", "upgrade", "--json")
    assert json.loads(done.stdout) == {"from": before, "to": "9999"}
    connection = sqlite3.connect("rung.db")
    assert connection.execute("SELECT mark FROM studies").fetchall() == [(None,)]
    connection.close()
    assert rung("show", "made").exit_code == 0


def test_a_database_is_upgraded_by_the_command_alone(rung, study, postgres_url, request):
    empty = rung("storage", "upgrade", "--storage", postgres_url)
    assert empty.exit_code == 2
    assert "has no studies yet" in empty.stderr
    assert rung("storage", "copy", "rung.db", postgres_url).exit_code == 0
    before = all_of(postgres_url)
    version = request.getfixturevalue("next_version")
    refused = rung("list", "--storage", postgres_url)
    assert refused.exit_code == 2
    assert "run `rung storage upgrade` once" in refused.stderr
    done = rung("storage", "upgrade", "--storage", postgres_url)
    assert done.exit_code == 0, done.stderr
    assert f"the tables went from version {version} to 9999" in done.stderr
    assert all_of(postgres_url) == before
    assert "already" in rung("storage", "upgrade", "--storage", postgres_url).stderr
    from rung.storage import schema

    with pytest.MonkeyPatch.context() as older:
        older.setattr(schema, "VERSIONS", schema.VERSIONS[:-1])
        older.setattr(schema, "VERSION", version)
        newer = rung("storage", "upgrade", "--storage", postgres_url)
        assert newer.exit_code == 2
        assert "made by a newer rung (version 9999)" in newer.stderr


# -- damage -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("damage", [damage_text, damage_kind, damage_tail])
def test_a_damaged_log_is_said_to_be_so_and_what_lies_before_is_kept(rung, study, damage):
    damage("rung.db")
    if damage is not damage_kind:  # which folds all the same
        shown = rung("show", "made")
        assert shown.exit_code == 2
        assert re.search(r"'made' .*event|event 5 of study 'made'", shown.stderr), shown.stderr
        assert "--until-damage" in shown.stderr
        assert rung("resume", "made").exit_code == 2
    refused = rung("storage", "copy", "rung.db", "other.db")
    assert refused.exit_code == 1
    assert "made is not copied: " in refused.stderr
    assert open_storage("other.db").list() == []
    kept = rung("storage", "copy", "rung.db", "other.db", "--until-damage")
    assert kept.exit_code == 0, kept.stderr
    assert "made is damaged: of its" in kept.stderr
    assert rung("storage", "check", "--storage", "other.db").exit_code == 0
    resumed = rung("resume", "made", "--storage", "other.db")
    assert resumed.exit_code == 0, resumed.stderr
    assert rung("storage", "check", "--storage", "other.db").exit_code == 0
    again = rung("storage", "copy", "rung.db", "other.db", "--until-damage")
    assert again.exit_code == 1
    assert "before the damage: go on with the copy" in again.stderr or "gone on by itself" in again.stderr
    assert rung("delete", "made", "--yes").exit_code == 0
    assert open_storage("rung.db").list() == []
