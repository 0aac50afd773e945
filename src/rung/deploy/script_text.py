"""The text of a script around a pipeline's steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from rung import __version__
from rung.deploy.script_layout import laid_out, listed, quoted
from rung.deploy.script_parts import Step

_NAMES: Final = {"number": "NUMBERS", "category": "CATEGORIES", "date": "DATES", "text": "TEXTS"}

_DATE_PARTS: Final = '''
DATE_FORMATS = {formats}


@joblib.wrap_non_picklable_objects  # so that the saved pipeline brings it along
def date_parts(frame):
    """Days since 1970, year, month, day, weekday and hour of each date."""
    parts = []
    for name in frame:
        words = frame[name].where(~frame[name].isin(["now", "today"]))  # to pandas the moment of reading
        moment, *others = (
            pd.to_datetime(words, format=form, errors="coerce", utc=True)
            for form in DATE_FORMATS[name].split("|")
        )
        for other in others:
            moment = moment.where(moment.notna(), other)
        days = (moment - pd.Timestamp(0, tz="UTC")) / pd.Timedelta(days=1)
        clock = moment.dt
        parts += [days, clock.year, clock.month, clock.day, clock.day_of_week, clock.hour]
    return np.column_stack([np.asarray(part, dtype=float) for part in parts])
'''

_SQUASH: Final = '''

@joblib.wrap_non_picklable_objects  # so that the saved pipeline brings it along
def squash(matrix):
    """Large values drawn in smoothly."""
    return matrix / np.sqrt(1 + (matrix / 3) ** 2)
'''

_BY_CLASS: Final = {
    "neg_log_loss": '''

def neg_log_loss(model, X, y):
    """Of all classes, whether a fold has rows of each or not."""
    shares = pd.DataFrame(model.predict_proba(X), columns=model.classes_)
    true = [row.get(label, 0.0) for label, row in zip(y, shares.to_dict("records"))]
    return np.log(np.maximum(true, 1e-15)).mean()
''',
    "roc_auc_ovr": '''

def roc_auc_ovr(model, X, y):
    """The mean over the classes that a fold has rows of."""
    pairs = [(y == label, share) for label, share in zip(model.classes_, model.predict_proba(X).T)]
    return np.mean([roc_auc_score(true, share) for true, share in pairs if true.nunique() == 2])
''',
}

_VARIED: Final = '''

@joblib.wrap_non_picklable_objects  # so that the saved pipeline brings it along
def varied(matrix):
    """Columns of more than two values: the others, such as one-hot ones, have no ranks worth spreading."""
    return [j for j in range(matrix.shape[1]) if len(np.unique(matrix[:, j])) > 2]
'''

_WHOLE_CODES: Final = '''

@joblib.wrap_non_picklable_objects  # so that the saved pipeline brings it along
def whole_codes(matrix):
    """Codes of categories as whole numbers, -1 where missing: CatBoost takes no others."""
    frame = pd.DataFrame(matrix)
    whole = frame[CODES].fillna(-1).astype(int)
    return pd.concat([frame.drop(columns=CODES), whole], axis=1)[list(frame)]
'''

_IN_FORM: Final = '''

READ_AS = {forms}
SHORT = {{"k": 1e3, "K": 1e3, "M": 1e6, "B": 1e9, "mn": 1e6, "bn": 1e9, "Bn": 1e9}}
SHORT |= {{"Mio": 1e6, "Mio.": 1e6, "Mrd": 1e9, "Mrd.": 1e9}}
CLOCK = r"^(\\d{{1,3}}):([0-5]\\d)(?::([0-5]\\d(?:\\.\\d+)?))?(?: ?([AaPp])\\.?[Mm]\\.?)?$"


def in_form(words, form):
    """Numbers of a form: `point kg` with a unit, `comma €`, `point* $` for 1.2k, `clock` for 13:45."""
    if form == "clock":
        found = words.str.extract(CLOCK)
        hour, minute, second = (pd.to_numeric(found[i]) for i in range(3))
        half = found[3].str.lower()
        hour = hour.where(half.isna(), hour % 12 + 12 * half.eq("p"))
        return hour + minute / 60 + second.fillna(0) / 3600
    style, _, unit = form.partition(" ")
    thousand, point = (".", ",") if style.startswith("comma") else (",", ".")
    unit = re.escape(unit.replace(" ", ""))
    size = "|".join(map(re.escape, SHORT)) if style.endswith("*") else "(?!)"
    front, behind = (f"(?:{{unit}})?", f"(?:{{unit}}s?)?") if unit else ("", "")
    number = r"([+-]?[\\d.,]+(?:[eE][+-]?\\d+)?)"
    bare = words.str.replace(r"['’\\s]", "", regex=True).str.replace("−", "-")
    bare = bare.str.replace(r"^\\(([^()+-]*)\\)$", r"-\\1", regex=True)
    found = bare.str.extract(f"^([+-]?){{front}}{{number}}({{size}})?{{behind}}$")
    plain = found[1].str.replace(thousand, "", regex=False).str.replace(point, ".", regex=False)
    return pd.to_numeric(found[0] + plain, errors="coerce") * found[2].map(SHORT).fillna(1.0)
'''

_MEANT: Final = '''

@joblib.wrap_non_picklable_objects  # so that the saved pipeline brings it along
def meant(frame):
    """What the cells mean, the same whether read() or pandas.read_csv made the frame."""
    frame = frame.copy(){formed}
    numbers = frame[NUMBERS].astype(float)
    numbers = numbers.where(numbers.abs() < float("inf"))  # infinite is missing
    frame[NUMBERS] = numbers.clip(-1e30, 1e30)  # scikit-learn takes none that are much larger
    for name in CATEGORIES:
        words = frame[name].convert_dtypes().astype(str).astype(object)
        frame[name] = words.where(frame[name].notna(), None)
    frame[TEXTS] = frame[TEXTS].fillna("")
    return frame
'''

_FORMED: Final = """
    for name, form in READ_AS.items():
        if not pd.api.types.is_numeric_dtype(frame[name]):
            frame[name] = in_form(frame[name].str.strip(), form)"""

_READ: Final = '''

COMMA = r"[-+]?(\\d{{1,3}}(\\.\\d{{3}})+|\\d+)(,\\d+)?"  # a number with a decimal comma: 1.234,5
POINT = r"[-+]?(\\d{{1,3}}(,\\d{{3}})+|\\d+)(\\.\\d+)?"  # 1,234.5


def numbers(words, commas):
    """Numbers as people write them, too: $1,234.50, 12 %, 5 EUR, and (5) for -5."""
    bare = words.str.replace(r"[$€£¥%'’\\s]|EUR|USD|GBP|CHF", "", regex=True).str.replace("−", "-")
    bare = bare.str.replace(r"^\\(([\\d.,]+)\\)$", r"-\\1", regex=True)
    thousand, point = (".", ",") if commas else (",", ".")
    plain = bare.str.replace(thousand, "", regex=False).str.replace(point, ".", regex=False)
    written = bare.str.fullmatch(COMMA if commas else POINT).fillna(False).astype(bool)
    return pd.to_numeric(plain.where(written, bare), errors="coerce").astype(float)


def content(path):
    """The bytes of a text file; a Parquet file as the text that it would be, lengths of time as hours."""
    if not str(path).endswith(".parquet"):
        with open(path, "rb") as file:
            return file.read()
    frame = pd.read_parquet(path)
    for name in frame.select_dtypes("timedelta"):
        frame[name] = frame[name].dt.total_seconds() / 3600
    return frame.to_csv(index=False).encode()


def read(path):
    """{returned}."""
    data = content(path)
    encoding = "utf-16" if data[:2] in (b"\\xff\\xfe", b"\\xfe\\xff") else "utf-8-sig"
    for separator in ",;\\t|":
        names = pd.read_csv(io.BytesIO(data), sep=separator, encoding=encoding, nrows=0).columns
        names = names.str.strip()
        if TARGET in names:
            break
    options = {{"dtype": str, "na_values": ["?"], "skipinitialspace": True, "index_col": False}}
    frame = pd.read_csv(io.BytesIO(data), sep=separator, encoding=encoding, **options)
    frame = frame.set_axis(names, axis=1)
    frame = frame.apply(lambda words: words.str.strip() if words.notna().any() else words)
    frame = frame[frame[TARGET].notna()].reset_index(drop=True)
    commas = separator == ";"  # a table with semicolons has decimal commas
    X = frame[NUMBERS + CATEGORIES + DATES + TEXTS].copy()
    for name in {numbers}:
        X[name] = numbers(X[name], commas)
    return X, {target}{held}
'''

_MAIN: Final = """

def main():
    parser = argparse.ArgumentParser(description="Fit the pipeline, print its score, keep it.")
    parser.add_argument("table", help="a CSV or Parquet file with the columns above")
    parser.add_argument("--out", default="pipeline.joblib", help="where the fitted pipeline goes")
    given = parser.parse_args()
    X, y{held} = read(given.table)
    scores = cross_val_score(
        make_model(),
        X,
        y,
        cv={folds},
        scoring={scorer},{params}
    )
    spread = f"{{len(scores)}} folds, deviation {{scores.std():.2g}}"
    print(f"{scoring}: {{scores.mean():.5g}} ({{spread}})")
    model = make_model()
    model.fit(X, y{fit})
    joblib.dump(model, given.out)
    print(f"the fitted pipeline is in {{given.out}}; load it with joblib.load")


if __name__ == "__main__":
    main()
"""


def _table(told: Mapping[str, str]) -> str:
    """A dictionary, a line an entry."""
    lines = "".join(f"    {quoted(name)}: {quoted(form)},\n" for name, form in told.items())
    return f"{{\n{lines}}}"


def helpers(steps: Sequence[Step], formats: Mapping[str, str]) -> str:
    """The functions that the steps call."""
    wanted = {name for step in steps for name in step.helpers}
    text = ""
    if "date_parts" in wanted:
        text += _DATE_PARTS.format(formats=_table(formats))
    if "squash" in wanted:
        text += _SQUASH
    if "varied" in wanted:
        text += _VARIED
    if "whole_codes" in wanted:
        text += _WHOLE_CODES
    return text


class Content(NamedTuple):
    """What a script is filled with.

    Attributes:
        name: of the script's file.
        about: lines of its docstring.
        columns: by kind; formats: of the dates; forms: of numbers in words.
        split: how rows are held out ("", "group" or "folds"), and by which column.
        scoring: as scikit-learn calls it; quantile: the one that is predicted, None for all else.
    """

    name: str
    about: Sequence[str]
    imports: Sequence[str]
    columns: Mapping[str, list[str]]
    formats: Mapping[str, str]
    forms: Mapping[str, str]
    target: str
    steps: Sequence[Step]
    scoring: str
    classes: bool
    quantile: float | None = None
    split: tuple[str, str] = ("", "")

    @property
    def scorer(self) -> str:
        """The scoring's code; scikit-learn has no name for a quantile's, and its own scores of probabilities
        want rows of every class in each fold.
        """
        if self.quantile is None:
            return self.scoring if self.scoring in _BY_CLASS else quoted(self.scoring)
        return f"make_scorer(mean_pinball_loss, alpha={self.quantile:g}, greater_is_better=False)"


def fill(content: Content) -> str:
    """The whole script."""
    steps, classes, scoring = content.steps, content.classes, content.scoring
    wanted = {helper for step in steps for helper in step.helpers}
    needs_numpy = bool(wanted & {"date_parts", "squash", "varied"}) or scoring in _BY_CLASS
    patterns = ["import re"] if content.forms else []
    head = [
        "import argparse",
        "import io",
        *patterns,
        "",
        "import joblib",
        *(["import numpy as np"] if needs_numpy else []),
    ]
    way, column = content.split
    codes = steps[-1].codes
    last = steps[-1].code.split("(")[0].lower()
    told = f"{last}__{_TOLD[last[:4]]}" if codes and last[:4] in _TOLD else ""
    return "".join(
        [
            _docstring(content.name, content.about),
            "\n".join([*head, "import pandas as pd", *content.imports]),
            f"\n\nTARGET = {quoted(content.target)}\n",
            *(
                f"{_NAMES[kind]} = {laid_out(listed(names), 0, len(_NAMES[kind]) + 3)}\n"
                for kind, names in content.columns.items()
            ),
            f"CODES = {list(codes)!r}  # columns of the prepared matrix that hold categories\n"
            if codes
            else "",
            helpers(steps, content.formats),
            _IN_FORM.format(forms=_table(content.forms)) if content.forms else "",
            _MEANT.format(formed=_FORMED if content.forms else "") if "meant" in wanted else "",
            _READ.format(
                numbers="[name for name in NUMBERS if name not in READ_AS]" if content.forms else "NUMBERS",
                target=_TARGETS[_target_form(classes, last)],
                returned="The table's columns, its target"
                + (", and what is held out together" if way else ""),
                held=f', frame[{quoted(column)}].fillna("")' if way else "",
            ),
            _model(steps, regression=not classes),
            _BY_CLASS.get(scoring, ""),
            _MAIN.format(
                scoring=scoring,
                scorer=content.scorer,
                folds=_FOLDS[way],
                held=", together" if way else "",
                params=f'\n        params={{"{told}": CODES}},' if told else "",
                fit=f", {told}=CODES" if told else "",
            ),
        ]
    )


_TOLD: Final = {"lgbm": "categorical_feature", "catb": "cat_features"}  # arguments of `fit`
_FOLDS: Final = {
    "": "5",
    "group": "GroupKFold(min(5, together.nunique())),\n        groups=together",
    "folds": "LeaveOneGroupOut(),\n        groups=together",
}
_TARGETS: Final = {
    "classes": "frame[TARGET].astype(str)",
    "codes": 'frame[TARGET].astype("category").cat.codes.astype(int)',
    "values": "numbers(frame[TARGET], commas)",
}


def _target_form(classes: bool, last: str) -> str:
    if not classes:
        return "values"
    return "codes" if last.startswith("xgb") else "classes"  # XGBoost takes no labels


def _docstring(name: str, about: Sequence[str]) -> str:
    lines = [
        f'"""Fit one scikit-learn pipeline on a table: python {name} TABLE.csv',
        "",
        f"Written by rung {__version__}. {about[0]}",
        *about[1:],
        '"""',
    ]
    return "\n".join(lines) + "\n\n"


def _model(steps: Sequence[Step], *, regression: bool) -> str:
    inner = "".join(f"        {laid_out(step.code, 8)},\n" for step in steps)
    pipeline = f"make_pipeline(\n{inner}    )"
    lines = [f"    pipeline = {pipeline}"]
    if regression:
        lines.append("    return TransformedTargetRegressor(pipeline, transformer=StandardScaler())")
    else:
        lines.append("    return pipeline")
    return "\n\ndef make_model():\n" + "\n".join(lines) + "\n"
