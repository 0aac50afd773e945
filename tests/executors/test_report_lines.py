"""`rung.executors.report_lines`: what each line that a program prints is taken for."""

import math

import pytest

from rung.errors import StudyError
from rung.executors.report_lines import LONGEST, Report, Splitter, parse


def split(*chunks: bytes) -> list:
    """Reports as they are, all other output between them in one piece."""
    splitter, found = Splitter(), []
    for part in [*(p for chunk in chunks for p in splitter.feed(chunk)), *splitter.end()]:
        if isinstance(part, bytes) and found and isinstance(found[-1], bytes):
            found[-1] += part
        else:
            found.append(part)
    return found


@pytest.mark.parametrize(
    ("line", "report"),
    [
        (b'rung: {"resource": 3, "loss": 0.12}', Report(3, {"loss": 0.12})),
        (b'rung:{"loss":1,"acc":0.5}\r', Report(None, {"loss": 1.0, "acc": 0.5})),
        (b'rung: {"resource": 3.0, "loss": -2e-3}', Report(3, {"loss": -0.002})),
        (b'rung: {"resource": 1, "loss": 1, "loss": 2}', Report(1, {"loss": 2.0})),
        ('rung: {"Verlust äö": 1}'.encode(), Report(None, {"Verlust äö": 1.0})),
        (b'rung: {"infeasible": "too deep"}', Report(None, {}, "too deep")),
        (b'rung: {"attributes": {"a": [1, null]}}', Report(None, {}, attributes={"a": [1, None]})),
        (b'rung: {"attributes": {"a": 1}, "loss": 2}', Report(None, {"loss": 2.0}, attributes={"a": 1})),
        (b'rung: {"attributes": 3}', Report(None, {"attributes": 3.0})),
        (b'rung: {"resource": 2, "loss": Infinity}', Report(2, {"loss": math.inf})),
        (b'rung: {"resource": 2, "loss": -Infinity}', Report(2, {"loss": -math.inf})),
        (b'rung: {"resource": 2, "loss": inf, "b": -inf}', Report(2, {"loss": math.inf, "b": -math.inf})),
        (
            b'rung: {"resource": 2, "loss": +inf , "b": INFINITY}',
            Report(2, {"loss": math.inf, "b": math.inf}),
        ),
    ],
)
def test_a_report(line: bytes, report: Report) -> None:
    assert parse(line) == report


@pytest.mark.parametrize("spelt", [b"NaN", b"nan", b"-nan", b"NAN", b"null", b"-nan(ind)", b"+nan"])
def test_no_number(spelt: bytes) -> None:
    report = parse(b'rung: {"resource": 1, "loss": ' + spelt + b', "acc": 1}')
    assert math.isnan(report.metrics["loss"])
    assert report.metrics["acc"] == 1.0


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (b"rung: command not found", "is no JSON"),
        (b'rung: {"resource": 3, "loss": 0.12', "is no JSON"),
        (b"rung: \xff\xfe", "is no JSON"),
        (b"rung: " + b"[" * 60_000, "nested too deeply"),
        (b"rung: [1, 2]", "a report is an object"),
        (b"rung: 0.12", "a report is an object"),
        (b"rung: {}", "needs a metric"),
        (b'rung: {"resource": 3}', "needs a metric"),
        (b'rung: {"resource": 0, "loss": 1}', "whole number of at least 1"),
        (b'rung: {"resource": 1.5, "loss": 1}', "whole number of at least 1"),
        (b'rung: {"resource": true, "loss": 1}', "whole number of at least 1"),
        (b'rung: {"resource": NaN, "loss": 1}', "whole number of at least 1"),
        (b'rung: {"resource": "3", "loss": 1}', "whole number of at least 1"),
        (b'rung: {"resource": 1e300, "loss": 1}', "whole number of at least 1"),
        (b'rung: {"resource": 1, "loss": "low"}', "'loss' must be a number"),
        (b'rung: {"resource": 1, "loss": [1]}', "'loss' must be a number"),
        (b'rung: {"resource": 1, "loss": true}', "'loss' must be a number"),
        (b'rung: {"resource": 1, "loss": ' + b"9" * 400 + b"}", "too large"),
        (b'rung: {"resource": 1, "save": 1}', "'save' cannot name a metric"),
        (b'rung: {"resource": 1, "self": 1}', "'self' cannot name a metric"),
        (b'rung: {"resource": 1, "": 1}', "'' cannot name a metric"),
        (b'rung: {"resource": 1, "\\ud800": 1}', "cannot name a metric"),
        (b"rung: " + b"x" * LONGEST, "more than 65536 bytes"),
    ],
)
def test_what_is_not_understood(line: bytes, sentence: str) -> None:
    with pytest.raises(StudyError, match=sentence) as caught:
        parse(line)
    assert len(str(caught.value)) < 600
    str(caught.value).encode()


def test_lines_come_in_any_pieces() -> None:
    said = b'begin\nrung: {"loss": 1}\n\nmore\r\nrung: {"loss": 2}\nnot rung: {"loss": 3}\nend'
    whole = split(said)
    assert whole == [
        b"begin\n", Report(None, {"loss": 1.0}), b"\nmore\r\n", Report(None, {"loss": 2.0}),
        b'not rung: {"loss": 3}\nend',
    ]  # fmt: skip
    for size in (1, 2, 3, 7, 20):
        assert split(*(said[i : i + size] for i in range(0, len(said), size))) == whole


def test_the_last_line_needs_no_break() -> None:
    assert split(b'rung: {"loss": 1}') == [Report(None, {"loss": 1.0})]
    with pytest.raises(StudyError, match="is no JSON"):
        split(b'rung: {"loss"')


def test_a_huge_line_passes_and_what_follows_in_it_is_no_report() -> None:
    huge = [b"x" * 40_000] * 10
    found = split(*huge, b'rung: {"loss": 1}\nrung: {"loss": 2}\n')
    assert found == [b"x" * 400_000 + b'rung: {"loss": 1}\n', Report(None, {"loss": 2.0})]
    splitter = Splitter()
    held = 0
    for chunk in huge:
        held = max(held, sum(len(part) for part in splitter.feed(chunk)))
    assert held <= LONGEST + 40_000, "what is too long to be a report is not kept"


def test_a_huge_report_ends_before_it_fills_the_memory() -> None:
    splitter = Splitter()
    pieces = (list(splitter.feed(b'rung: {"a": 1, ' * 1000)) for _ in range(100))
    with pytest.raises(StudyError, match="more than 65536 bytes"):
        list(pieces)


def test_garbage_passes() -> None:
    garbage = bytes(range(256)) * 3
    assert split(garbage) == [garbage]
