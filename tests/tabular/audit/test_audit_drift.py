"""Profiles, distances and drift: against scipy, against themselves, and on tables that have drifted."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ks_2samp

from rung.tabular.audit.apart import tell_apart
from rung.tabular.audit.compare import drift_between, frames_apart
from rung.tabular.audit.distance import kolmogorov_smirnov, levels_apart, numbers_apart, psi_of
from rung.tabular.audit.drift import DriftReport, drift_from_profile
from rung.tabular.audit.finding import Finding
from rung.tabular.audit.profile import (
    BINS,
    LEVELS,
    Levels,
    Numbers,
    make_profile,
    summarise_numbers,
    summarise_words,
)
from rung.tabular.columns import Column, infer_columns

N = 1500


def table(n: int = N, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "a": rng.normal(size=n),
            "count": rng.poisson(2, n),
            "colour": rng.choice(["red", "green", "blue"], n, p=[0.6, 0.3, 0.1]),
            "gaps": np.where(rng.random(n) < 0.1, np.nan, rng.random(n)),
            "when": pd.to_datetime("2020-01-01") + pd.to_timedelta(rng.integers(0, 300, n), unit="D"),
            "text": [" ".join(rng.choice(["red", "dog", "house", "sky"], 5)) for _ in range(n)],
        }
    )


def against(new: pd.DataFrame, old: pd.DataFrame | None = None) -> DriftReport:
    old = table() if old is None else old
    return drift_from_profile(new, make_profile(old, infer_columns(old)))


def found(report: DriftReport, check: str) -> list[Finding]:
    return [one for one in report.findings if one.check == check]


class TestProfile:
    def test_it_knows_each_distribution(self) -> None:
        frame = table()
        profile = make_profile(frame, infer_columns(frame))
        kept = profile.distributions()
        assert list(kept) == list(frame.columns)
        assert profile.rows == profile.seen == N
        assert isinstance(kept["a"], Numbers)
        assert kept["a"].counts.sum() == N
        assert kept["a"].ends[-1] == frame.a.max()
        assert isinstance(kept["colour"], Levels)
        assert kept["colour"].names == ["red", "green", "blue"]
        assert kept["colour"].counts.tolist() == [*frame.colour.value_counts(), 0]
        assert profile.missing[3] == pytest.approx(frame.gaps.isna().mean())

    def test_few_values_are_kept_one_by_one(self) -> None:
        values = np.array([3.0, 1, 1, 2, 3, 3])
        kept = summarise_numbers(values)
        assert kept.ends[1:].tolist() == [1, 2, 3]
        assert kept.counts.tolist() == [0, 2, 1, 3, 0]

    def test_many_values_are_in_64_bins_of_equally_many(self) -> None:
        kept = summarise_numbers(np.random.default_rng(0).normal(size=6400))
        assert len(kept.ends) == BINS + 1
        assert kept.counts[1:-1].tolist() == [100] * BINS

    def test_a_value_that_many_rows_have_does_not_break_the_bins(self) -> None:
        values = np.r_[np.zeros(5000), np.random.default_rng(0).random(1000)]
        kept = summarise_numbers(values)
        assert kept.counts.sum() == 6000
        assert kept.counts[1] == 5000

    def test_cells_beyond_either_end_have_a_bin_of_their_own(self) -> None:
        kept = summarise_numbers(np.array([0.0, 1, 2, 0]))
        assert kept.tally(np.array([-999.0, -1e-300, 0, 2, 999])).tolist() == [2, 1, 0, 1, 1]
        assert kept.codes(np.array([-999.0, 0, 999])).tolist() == [0, 1, 4]

    def test_no_values_at_all(self) -> None:
        assert summarise_numbers(np.empty(0)).tally(np.array([1.0])).tolist() == [1]
        assert summarise_words(np.empty(0, dtype=object)).names == []

    def test_rare_levels_of_many_are_counted_together(self) -> None:
        words = np.array([f"w{i}" for i in range(LEVELS + 50)] + ["w3"], dtype=object)
        kept = summarise_words(words)
        assert kept.names[0] == "w3"
        assert kept.counts[-1] == 50
        assert not kept.whole

    def test_columns_that_models_do_not_see_are_left_out(self) -> None:
        frame = table().assign(nothing=np.nan, same=1)
        names = [column.name for column in make_profile(frame, infer_columns(frame)).columns]
        assert names == list(table().columns)

    def test_a_long_table_is_sampled(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from rung.tabular.audit import profile as module

        monkeypatch.setattr(module, "SAMPLE", 200)
        profile = make_profile(table(), infer_columns(table()))
        assert (profile.rows, profile.seen) == (N, 200)

    def test_it_survives_the_model_file(self) -> None:
        import skops.io

        from rung.tabular.trust import refused, uses

        profile = make_profile(table(), infer_columns(table()))
        data = skops.io.dumps(profile)
        import io
        import json
        import zipfile

        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            schema = json.loads(archive.read("schema.json"))
        assert refused(uses(schema), set()) == []
        back = skops.io.loads(data, trusted=sorted({use.name for use in uses(schema)}))
        assert back.columns == profile.columns
        new = table(seed=3).assign(a=table(seed=3).a + 1)
        assert drift_from_profile(new, back).columns == drift_from_profile(new, profile).columns

    def test_it_is_small(self) -> None:
        import skops.io

        assert len(skops.io.dumps(make_profile(table(), infer_columns(table())))) < 20_000


class TestDistance:
    def test_psi_by_hand(self) -> None:
        old, new = np.array([50, 30, 20]), np.array([20, 30, 50])
        assert psi_of(old, new)[0] == pytest.approx(2 * 0.3 * np.log(2.5))

    def test_psi_of_the_same_is_zero(self) -> None:
        assert psi_of(np.array([5, 6]), np.array([50, 60]))[0] == pytest.approx(0)

    def test_psi_without_rows_or_with_one_bin_is_zero(self) -> None:
        assert psi_of(np.array([5, 6]), np.array([0, 0])) == (0.0, 0.0)
        assert psi_of(np.array([5]), np.array([8])) == (0.0, 0.0)

    def test_psi_is_finite_where_a_bin_is_empty(self) -> None:
        assert np.isfinite(psi_of(np.array([10, 0]), np.array([0, 10]))[0])

    def test_chance_is_reached_by_about_one_table_in_a_thousand(self) -> None:
        rng = np.random.default_rng(0)
        draws = rng.multinomial(500, np.full(10, 0.1), size=(4000, 2))
        over = np.mean([psi > chance for psi, chance in (psi_of(a, b) for a, b in draws)])
        assert over < 0.004

    @pytest.mark.parametrize("shift", [0.0, 0.3])
    def test_ks_is_that_of_scipy_where_all_values_are_kept(self, shift: float) -> None:
        rng = np.random.default_rng(1)
        a, b = rng.integers(0, 40, 2000), rng.integers(0, 40, 700)
        b = np.where(rng.random(700) < shift, 0, b)
        old = summarise_numbers(a.astype(float))
        distance, p = kolmogorov_smirnov(old.counts, old.tally(b.astype(float)))
        expected = ks_2samp(a, b, method="asymp")
        assert distance == pytest.approx(expected.statistic)
        assert p == pytest.approx(expected.pvalue, abs=0.02)

    def test_ks_of_many_values_is_at_most_scipys(self) -> None:
        rng = np.random.default_rng(2)
        a, b = rng.normal(size=3000), rng.normal(0.2, 1, 900)
        old = summarise_numbers(a)
        distance, _ = kolmogorov_smirnov(old.counts, old.tally(b))
        expected = ks_2samp(a, b).statistic
        assert expected - 1.5 / BINS <= distance <= expected + 1e-12

    def test_few_rows_are_no_drift_by_chance(self) -> None:
        old = summarise_numbers(np.random.default_rng(0).normal(size=5000))
        levels = [
            numbers_apart(old.counts, old.tally(np.random.default_rng(s).normal(size=20))).level
            for s in range(1, 60)
        ]
        assert max(levels) == 0

    def test_levels_of_drift(self) -> None:
        rng = np.random.default_rng(0)
        old = summarise_numbers(rng.normal(size=20_000))

        def level(shift: float) -> int:
            return numbers_apart(old.counts, old.tally(rng.normal(shift, 1, 20_000))).level

        assert [level(shift) for shift in (0.0, 0.37, 1.0)] == [0, 1, 2]

    def test_rare_levels_do_not_make_drift(self) -> None:
        rng = np.random.default_rng(0)
        p = 1 / np.arange(1, 501)
        a, b = (rng.multinomial(n, p / p.sum()) for n in (5000, 800))
        assert levels_apart(a, b).level == 0


class TestDrift:
    def test_a_table_of_the_same_kind_has_none(self) -> None:
        report = against(table(seed=1))
        assert report.findings == []
        assert not report.drifted
        assert report.usable

    def test_a_number_that_moved(self) -> None:
        report = against(table(seed=1).assign(a=lambda f: f.a + 1))
        (one,) = found(report, "drift")
        assert (one.severity, one.subject) == ("warning", "a")
        assert report.columns[0].name == "a"
        assert report.columns[0].level == 2
        assert report.columns[0].p is not None
        assert report.columns[0].p < 1e-6

    def test_a_number_that_moved_a_little(self) -> None:
        (one,) = found(against(table(seed=1).assign(a=lambda f: f.a + 0.4)), "drift")
        assert one.severity == "note"

    @pytest.mark.parametrize(("old", "new", "where"), [(0, -999, "under the least"), (2, 999, "over the g")])
    def test_a_mark_of_missing_cells_beyond_either_end(self, old: int, new: int, where: str) -> None:
        frame = pd.DataFrame({"x": np.random.default_rng(0).choice([0, 1, 2], N, p=[0.5, 0.2, 0.3])})
        report = against(frame.replace({"x": {old: new}}), frame)
        (one,) = found(report, "drift")
        assert where in one.sentence
        assert "e-324" not in one.sentence
        assert report.drifted

    def test_profiles_of_earlier_versions_have_no_bin_under_the_least(self) -> None:
        earlier = Numbers(np.array([0.0, 1, 2]), np.array([50, 20, 30, 0]))
        assert earlier.first == 0
        distance = numbers_apart(earlier.counts, earlier.tally(np.repeat([0.0, 1, 2], [10, 20, 70])))
        assert distance.level == 2

    def test_a_category_that_moved(self) -> None:
        new = table(seed=1)
        new.loc[new.index[:900], "colour"] = "blue"
        (one,) = found(against(new), "drift")
        assert (one.severity, one.subject) == ("warning", "colour")
        assert "'blue'" in one.sentence

    def test_texts_that_became_longer(self) -> None:
        (one,) = found(against(table(seed=1).assign(text=lambda f: f.text + " and " + f.text)), "drift")
        assert one.subject == "text"
        assert "letters" in one.sentence

    def test_later_dates_are_a_note(self) -> None:
        report = against(table(seed=1).assign(when=lambda f: f.when + pd.Timedelta("400D")))
        (one,) = found(report, "drift")
        assert (one.severity, one.subject) == ("note", "when")
        assert not report.drifted

    @pytest.mark.parametrize(("count", "severity"), [(3, "note"), (60, "warning")])
    def test_unseen_levels(self, count: int, severity: str) -> None:
        new = table(seed=1)
        new.loc[new.index[:count], "colour"] = "mauve"
        (one,) = found(against(new), "unseen-levels")
        assert (one.severity, one.subject) == (severity, "colour")
        assert "'mauve'" in one.sentence

    def test_where_levels_were_left_out_none_is_called_unseen(self) -> None:
        many = pd.DataFrame({"w": [f"w{i}" for i in range(LEVELS + 200)] * 3})
        columns = (Column("w", "category", LEVELS + 200, 0.0),)
        report = drift_from_profile(many.assign(w="new"), make_profile(many, columns))
        assert found(report, "unseen-levels") == []
        assert report.columns[0].unseen is None

    @pytest.mark.parametrize("part", [0.0, 0.5])
    def test_a_jump_of_the_missing_share(self, part: float) -> None:
        rng = np.random.default_rng(9)
        new = table(seed=1).assign(gaps=np.where(rng.random(N) < part, np.nan, rng.random(N)))
        (one,) = found(against(new), "missing-jump")
        assert (one.severity, one.subject) == ("warning", "gaps")

    def test_a_jump_that_few_rows_make_by_chance(self) -> None:
        new = table(seed=1).head(10).assign(gaps=[np.nan, np.nan, *np.arange(8) / 8])
        assert found(against(new), "missing-jump") == []

    def test_cells_that_cannot_be_read(self) -> None:
        new = table(seed=1).astype({"a": object})
        new.loc[new.index[:30], "a"] = "broken"
        (one,) = found(against(new), "unreadable")
        assert "30 rows" in one.sentence

    def test_a_column_that_lacks(self) -> None:
        report = against(table(seed=1).drop(columns="a"))
        (one,) = found(report, "missing-columns")
        assert one.severity == "error"
        assert not report.usable
        assert [column.name for column in report.columns].count("a") == 0

    def test_few_rows_are_said(self) -> None:
        assert found(against(table(50, 1)), "few-new-rows")
        assert not found(against(table(200, 1)), "few-new-rows")

    def test_a_date_that_no_moment_can_hold(self) -> None:
        new = table(seed=1).assign(when=lambda f: f.when.dt.strftime("%Y-%m-%d"))
        new.loc[new.index[:20], "when"] = "9999-12-31"
        (one,) = found(against(new), "unreadable")
        assert one.subject == "when"

    def test_long_tables_are_sampled_and_it_is_said(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from rung.tabular.audit import drift

        monkeypatch.setattr(drift, "SAMPLE", 1000)
        report = against(table(seed=1))
        assert report.notes == [
            "1,000 rows of the new table and the training table were looked at, drawn at random"
        ]


class TestTwoTables:
    def test_alike(self) -> None:
        report = drift_between(table(seed=1), table())
        assert report.apart is not None
        assert report.apart.auc.value == pytest.approx(0.5, abs=0.05)
        assert report.apart.auc.low < 0.5 < report.apart.auc.high
        assert report.findings == []

    @pytest.mark.parametrize("steps", [1, 5, 1e6])
    def test_rows_that_are_often_alike_are_not_told_apart_by_that(self, steps: float) -> None:
        rng = np.random.default_rng(0)
        one, other = (np.round(rng.normal(size=(400, 3)) * steps) / steps for _ in range(2))
        found, copied = tell_apart(one, other, list("abc")), tell_apart(one, one[::-1], list("abc"))
        assert found is not None
        assert copied is not None
        assert found.auc.value == pytest.approx(0.5, abs=0.08)
        assert copied.auc.value == pytest.approx(0.5, abs=0.08)

    def test_a_row_that_is_often_there_is_seen_beside_others_that_are_not(self) -> None:
        """Half of either table's rows are one of two, which are of other shares: that can be learned."""
        rng = np.random.default_rng(0)
        shares = (0.9, 0.1)
        one, other = (np.r_[rng.normal(size=200), np.where(rng.random(200) < p, 5.0, 6.0)] for p in shares)
        found = tell_apart(one[:, None], other[:, None], ["x"])
        assert found is not None
        assert found.auc.value > 0.65  # 0.7 is what can be had: half of the rows tell nothing

    def test_told_apart_by_what_no_column_shows_by_itself(self) -> None:
        rng = np.random.default_rng(0)
        x = rng.normal(size=N)
        old = pd.DataFrame({"x": x, "z": x + 0.1 * rng.normal(size=N), "w": rng.random(N)})
        new = old.sample(frac=1, random_state=0).reset_index(drop=True)
        new["z"] = rng.permutation(new.z)
        report = drift_between(new, old)
        assert found(report, "drift") == []
        (one,) = found(report, "told-apart")
        assert one.severity == "warning"
        assert report.apart is not None
        assert {name for name, _ in report.apart.telling[:2]} == {"x", "z"}

    def test_the_target_is_compared_and_does_not_tell_apart(self) -> None:
        old, new = table().assign(y=0.0), table(seed=1).assign(y=0.0)
        old["y"], new["y"] = np.arange(N) % 7 + 0.5, np.arange(N) % 7 + 5.5
        report = drift_between(new, old, target="y")
        assert [one.subject for one in found(report, "drift")] == ["y"]
        assert found(report, "told-apart") == []

    def test_a_target_that_the_new_table_does_not_have_yet(self) -> None:
        report = drift_between(table(seed=1), table().assign(y=1.0 * (np.arange(N) % 5)), target="y")
        assert report.usable

    def test_a_table_that_lacks_a_column_of_another_is_usable(self) -> None:
        report = drift_between(table(seed=1), table().assign(y=1.0 * (np.arange(N) % 5)))
        (one,) = found(report, "missing-columns")
        assert one.severity == "warning"
        assert report.usable
        assert one.sentence == "the new table lacks 'y', which the other table has"

    def test_no_word_is_of_a_model_where_there_is_none(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Of whatever is found."""
        monkeypatch.setattr("rung.tabular.audit.drift.SAMPLE", N - 1)
        odd = np.where(np.arange(N) % 5 == 0, None, "new")
        later = table().when + pd.Timedelta("900D")
        words = np.where(np.arange(N) % 2, "low", "high")
        new = table(seed=1).assign(a=table().a + 9, colour=odd, when=later, count=words, extra=1.0)
        report = drift_between(new, table().assign(y=1.0 * (np.arange(N) % 5)))
        checks = {"drift", "unseen-levels", "missing-jump", "missing-columns", "kind-changed", "new-columns"}
        assert checks <= {one.check for one in report.findings}
        said = [report.against, *report.notes]
        said += [words for one in report.findings for words in (one.sentence, one.remedy)]
        assert not [words for words in said if re.search("training|refit|predict|a model of the", words)]
        assert sum("the other table" in words for words in said) > 7

    def test_a_kind_that_changed(self) -> None:
        new = table(seed=1).assign(a=np.where(np.arange(N) % 2, "low", "high"))
        assert [one.subject for one in found(drift_between(new, table()), "kind-changed")] == ["a"]

    def test_a_column_more(self) -> None:
        (one,) = found(drift_between(table(seed=1).assign(extra=1.0), table()), "new-columns")
        assert "extra" in one.sentence

    def test_dates_do_not_tell_apart(self) -> None:
        report = drift_between(table(seed=1).assign(when=lambda f: f.when + pd.Timedelta("900D")), table())
        assert found(report, "told-apart") == []

    def test_too_few_rows_to_tell(self) -> None:
        columns = infer_columns(table())
        assert frames_apart(table(10), table(), columns) is None


def crossed(n: int, seed: int, mixed: bool) -> pd.DataFrame:
    """Two columns that go together, or the same values in any order, and a category that goes with them."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    z = x + 0.1 * rng.normal(size=n)
    side = np.where(x > 0, "right", "left").astype(object)
    frame = pd.DataFrame({"x": x, "z": rng.permutation(z) if mixed else z, "side": side})
    return frame.mask(pd.DataFrame(rng.random(frame.shape) < 0.05, columns=frame.columns))


class TestAgainstTheSampleOfAProfile:
    def test_alike(self) -> None:
        report = against(table(seed=1))
        assert report.apart is not None
        assert report.apart.auc.low < 0.5 < report.apart.auc.high
        assert report.apart.rows == (N, N)
        assert report.findings == []

    def test_a_table_and_itself_are_told_apart_by_chance_alone(self) -> None:
        for report in (against(table()), drift_between(table(), table())):
            assert report.apart is not None
            assert report.apart.auc.value == pytest.approx(0.5, abs=0.01)

    def test_a_column_of_two_levels_alone_tells(self) -> None:
        rng = np.random.default_rng(0)
        old, new = (pd.DataFrame({"side": rng.choice(["x", "y"], N, p=[p, 1 - p])}) for p in (0.8, 0.2))
        report = against(new, old)
        assert report.apart is not None
        assert report.apart.auc.value == pytest.approx(0.8, abs=0.05)

    def test_what_no_column_shows_by_itself(self) -> None:
        report = against(crossed(N, 2, mixed=True), crossed(N, 3, mixed=False))
        assert found(report, "drift") == []
        (one,) = found(report, "told-apart")
        assert one.severity == "warning"
        assert report.apart is not None
        assert report.apart.auc.low > 0.75
        assert {name for name, _ in report.apart.telling[:2]} == {"x", "z"}

    def test_dates_are_no_part_of_it(self) -> None:
        report = against(table(seed=1).assign(when=lambda f: f.when + pd.Timedelta("900D")))
        assert found(report, "told-apart") == []

    def test_it_is_one_byte_a_cell_and_bounded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        profile = make_profile(table(), infer_columns(table()))
        assert profile.sample is not None
        assert (profile.sample.dtype, profile.sample.shape) == (np.uint8, (N, 5))
        monkeypatch.setattr("rung.tabular.audit.profile.CELLS", 1000)
        small = make_profile(table(), infer_columns(table()))
        assert small.sample is not None
        assert small.sample.shape == (200, 5)

    def test_levels_beyond_the_most_frequent_are_one(self) -> None:
        words = np.array([f"w{i:03}" for i in range(400)] * 3, dtype=object)
        codes = summarise_words(words).codes(np.array(["w000", "w253", "w254", "w399", "new"], dtype=object))
        assert codes.tolist() == [0, 253, 254, 254, 254]

    def test_a_column_that_the_new_table_lacks_is_left_out(self) -> None:
        report = against(table(seed=1).drop(columns="a"))
        assert [one.check for one in report.findings] == ["missing-columns"]
        assert report.apart is not None

    def test_too_few_new_rows_are_said(self) -> None:
        report = against(table(20, seed=1))
        assert report.apart is None
        assert report.notes == [
            "no model was tried that tells the two tables apart: that takes 30 rows of each"
        ]

    def test_a_profile_without_rows_says_so(self) -> None:
        profile = make_profile(table(), infer_columns(table()))
        profile.sample = None
        report = drift_from_profile(table(seed=1), profile)
        assert report.apart is None
        assert report.notes == [
            "no model was tried that tells the two tables apart, for this file keeps no rows of its training "
            "table: give that table itself to --against"
        ]


def test_dates_beyond_the_training_tables_last_are_said_so() -> None:
    days = pd.date_range("2024-01-01", periods=600, freq="D")
    old, new = (pd.DataFrame({"when": days[part]}) for part in (slice(0, 400), slice(400, 600)))
    for report, name in ((against(new, old), "training"), (drift_between(new, old), "other")):
        assert f"100 % are later than 2025-02-03, the last of the {name} table" in report.findings[0].sentence
