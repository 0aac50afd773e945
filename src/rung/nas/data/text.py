"""Text for language models: a vocabulary, three parts, columns, and windows of random length."""

from __future__ import annotations

import os
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from rung.errors import DataError
from rung.nas.data.keys import numbers
from rung.nas.data.strata import Indices

Level = Literal["words", "characters"]
Source = str | os.PathLike[str]

UNKNOWN: Final = "<unk>"
END: Final = "<eos>"
_PARTS: Final = {"train": ("train",), "valid": ("valid", "validation", "val"), "test": ("test",)}
_HELD_OUT: Final = 10  # a tenth for each part that is not given
_SHORTEST: Final = 5  # of a window, if the text is long enough
_HALF: Final = 0.05  # of windows have half the length


@dataclass(frozen=True, eq=False)
class Corpus:
    """A text in three parts, as numbers.

    Attributes:
        name: of the data, for people.
        train, valid, test: (n,) int64 ids.
        vocabulary: words (or characters) by id; `<unk>` is 0, `<eos>` 1, the others fall in frequency.
        notes: sentences that a user should read: what was split off, how much is unknown.
    """

    name: str
    train: Indices
    valid: Indices
    test: Indices
    vocabulary: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @property
    def checksums(self) -> list[int]:
        """CRC-32 of the parts that a search sees: they tell a text from another of its name."""
        return [zlib.crc32(np.ascontiguousarray(part).data) for part in (self.train, self.valid)]


class Window(NamedTuple):
    """Consecutive words of each column, and those that follow.

    Attributes:
        x: (T, B) int64 ids.
        y: (T, B) int64, the next word of each.
        pace: T over the usual length: what the learning rate is multiplied with, so that words weigh alike.
    """

    x: Tensor
    y: Tensor
    pace: float


def read_text(
    source: Source | Sequence[Source],
    *,
    level: Level = "words",
    vocabulary: int | None = 10_000,
    limit: int | None = None,
) -> Corpus:
    """Read a text, or its parts, and number its words.

    Words are what blanks part; each line ends in `<eos>`, an empty one too (as in Zaremba et al. 2014 and
    DARTS' code). The vocabulary is that of the training part: another word is `<unk>`.

    Args:
        source: a file, of which the last tenth is the test part and the tenth before it the validation part;
            (train, test), of which the last tenth of `train` is the validation part; (train, valid, test);
            or a folder with files of these names, such as `train.txt` or `wiki.train.tokens`. In UTF-8.
        level: whether `words` or `characters` are numbered; of a line's characters, blanks count.
        vocabulary: the most frequent that are kept, `<unk>` and `<eos>` included; None keeps all.
        limit: the training part ends after so many words.

    Raises:
        DataError: a file is missing, not UTF-8 or without words; a part is too short for a window.
    """
    if vocabulary is not None and vocabulary < 3:
        raise DataError(f"a vocabulary of {vocabulary}: give at least 3, for {UNKNOWN}, {END} and a word")
    if limit is not None and limit < 2:
        raise DataError(f"a limit of {limit} words: give at least 2")
    paths = _paths(source)
    texts = [_tokens(path, level) for path in paths]
    notes: list[str] = []
    train, valid, test = _parts(texts, notes)
    train = train[:limit]
    words = _vocabulary(train, vocabulary)
    ids = {word: number for number, word in enumerate(words)}
    parts = [_numbered(part, ids) for part in (train, valid, test)]
    for name, part in zip(_PARTS, parts, strict=True):
        if len(part) < 2:
            raise DataError(
                f"{paths[0]} is too short: its {name} part holds {len(part)} of the 2 words needed"
            )
    shares = [float((part == 0).mean()) for part in parts]
    if any(shares):
        told = ", ".join(f"{share:.1%} of {name}" for name, share in zip(_PARTS, shares, strict=True))
        notes.append(f"{len(words)} {level} are known; {UNKNOWN} is {told}")
    return Corpus(_name(source), parts[0], parts[1], parts[2], words, tuple(notes))


def batchify(ids: Indices | Tensor, rows: int) -> Tensor:
    """Cut a text into `rows` texts of equal length that are read side by side.

    Args:
        ids: (n,) ids.
        rows: B, how many.

    Returns:
        (n // B, B) int64: each column is consecutive text, and the end that fills no row is left out.

    Raises:
        DataError: fewer than two words a column.
    """
    if rows < 1:
        raise DataError(f"a batch of {rows} texts: give at least 1")
    length = len(ids) // rows
    if length < 2:
        raise DataError(f"{len(ids)} words are too few for a window of {rows} columns: take a smaller batch")
    return torch.as_tensor(ids)[: length * rows].reshape(rows, length).t().contiguous()


def windows(
    data: Tensor, bptt: int, *, seed: int, epoch: int, spread: float = 5.0, beyond: int = 20
) -> Iterator[Window]:
    """An epoch of windows of random length, one after the other: a function of (seed, epoch) alone.

    Args:
        data: (n, B) of `batchify`.
        bptt: the usual length.
        seed: any whole number.
        epoch: from 0.
        spread, beyond: see `lengths`.

    Raises:
        DataError: a text too short for one window, or a length below 1.
    """
    spans = lengths(len(data), bptt, seed=seed, epoch=epoch, spread=spread, beyond=beyond)
    return _cut(data, spans, bptt)


def lengths(
    n: int, bptt: int, *, seed: int, epoch: int, spread: float = 5.0, beyond: int = 20
) -> tuple[int, ...]:
    """Lengths of an epoch's windows, by which a text of n words a column is cut up (Merity et al. 2018, 3.1).

    A length is drawn around `bptt`, in one window of twenty around half of it, so that the places where the
    gradient is cut off are others in each epoch. As in DARTS' `rnn/train.py`, but that the last window has
    the length, and so the pace, of what is left; a single word that would be left is left out.

    Args:
        n: rows of `batchify`.
        bptt: the usual length.
        seed, epoch: of the draw.
        spread: standard deviation of a length; 0 has `bptt` or half of it, as in DARTS' search.
        beyond: how much longer than `bptt` a window may be; it has at least 5 words, or `bptt` if less.

    Raises:
        DataError: a text too short for one window, or a length below 1.
    """
    _check(n, bptt)
    spans: list[int] = []
    start = 0
    while start < n - 2 or not spans:
        drawn = numbers(seed, epoch, len(spans), "window")
        middle = bptt / 2 if drawn.random() < _HALF else float(bptt)
        length = max(min(_SHORTEST, bptt), int(drawn.normal(middle, spread)))
        spans.append(min(length, bptt + beyond, n - 1 - start))
        start += spans[-1]
    return tuple(spans)


def evaluation_windows(data: Tensor, bptt: int) -> Iterator[Window]:
    """All of a text in windows of `bptt` words, the last one shorter.

    Args:
        data: (n, B) of `batchify`.
        bptt: T.

    Raises:
        DataError: a text too short for one window, or a length below 1.
    """
    _check(len(data), bptt)
    spans = [min(bptt, len(data) - 1 - start) for start in range(0, len(data) - 1, bptt)]
    return _cut(data, spans, bptt)


def window(data: Tensor, start: int, length: int, bptt: int) -> Window:
    """`length` words of each column from row `start`, fewer where the text ends; see `Window`."""
    length = min(length, len(data) - 1 - start)
    return Window(data[start : start + length], data[start + 1 : start + 1 + length], length / bptt)


def _cut(data: Tensor, spans: Iterable[int], bptt: int) -> Iterator[Window]:
    start = 0
    for length in spans:
        yield window(data, start, length, bptt)
        start += length


def _check(n: int, bptt: int) -> None:
    if bptt < 1:
        raise DataError(f"a window of {bptt} words: give at least 1")
    if n < 2:
        raise DataError(f"a text of {n} words a column is too short for one window: take a smaller batch")


def _paths(source: Source | Sequence[Source]) -> list[Path]:
    if isinstance(source, str | os.PathLike):
        path = Path(source)
        paths = _in_folder(path) if path.is_dir() else [path]
    else:
        paths = [Path(each) for each in source]
    if not 1 <= len(paths) <= 3:
        raise DataError(f"{len(paths)} files of text: give one, (train, test), or (train, valid, test)")
    return paths


def _in_folder(folder: Path) -> list[Path]:
    """Files whose names hold the word train, valid or test."""
    files = [each for each in sorted(folder.iterdir()) if each.is_file() and not each.name.startswith(".")]
    found = [
        next((each for each in files if set(words) & set(each.name.lower().split("."))), None)
        for words in _PARTS.values()
    ]
    train, valid, test = found
    if train is None or test is None:
        raise DataError(f"{folder} has no train and test part: name the files train.txt, valid.txt, test.txt")
    return [train, test] if valid is None else [train, valid, test]


def _tokens(path: Path, level: Level) -> list[str]:
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise DataError(f"there is no file {str(path)!r}: check the path") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}): give a file of text") from None
    except UnicodeDecodeError as error:
        told = (
            "it is an archive or arrays (.zip, .npz): a recurrent cell learns from a file of text"
            if zipfile.is_zipfile(path)
            else "convert it first"
        )
        raise DataError(f"{path} is not UTF-8 (byte {error.start}): {told}") from None
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    if not lines[-1]:
        lines.pop()  # what comes after the last line's end is no line
    parted = [line.split() if level == "words" else list(line) for line in lines]
    if not any(parted):
        raise DataError(f"{path} holds no words: give a file of text")
    return [word for line in parted for word in (*line, END)]


def _parts(texts: list[list[str]], notes: list[str]) -> tuple[list[str], list[str], list[str]]:
    """Train, valid and test; what is not given is a contiguous piece from an end."""
    if len(texts) == 3:
        return texts[0], texts[1], texts[2]
    whole = texts[0]
    piece = len(whole) // _HELD_OUT
    if len(texts) == 2:
        notes.append("no validation part was given: it is the last tenth of the training text")
        return whole[: len(whole) - piece], whole[len(whole) - piece :], texts[1]
    notes.append(
        "one text was given: its last tenth is the test part, the tenth before it the validation part"
    )
    train, valid = len(whole) - 2 * piece, len(whole) - piece
    return whole[:train], whole[train:valid], whole[valid:]


def _vocabulary(train: list[str], most: int | None) -> tuple[str, ...]:
    counts = Counter(train)  # equally frequent ones stay in the order of the text
    words = [word for word, _ in counts.most_common() if word not in (UNKNOWN, END)]
    return (UNKNOWN, END, *(words if most is None else words[: most - 2]))


def _numbered(part: list[str], ids: dict[str, int]) -> Indices:
    return np.fromiter((ids.get(word, 0) for word in part), dtype=np.int64, count=len(part))


def _name(source: Source | Sequence[Source]) -> str:
    first = source if isinstance(source, str | os.PathLike) else source[0]
    return Path(first).stem
