"""Text: vocabulary, parts, columns and windows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import norm

from rung.errors import DataError
from rung.nas.data.text import (
    batchify,
    evaluation_windows,
    lengths,
    read_text,
    windows,
)


def write(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def words_of(corpus: object, ids: np.ndarray) -> str:
    return " ".join(corpus.vocabulary[i] for i in ids)  # type: ignore[attr-defined]


@pytest.fixture
def three(tmp_path: Path) -> tuple[Path, Path, Path]:
    return (
        write(tmp_path / "a.txt", "the cat saw the dog\n\nthe end\n"),
        write(tmp_path / "b.txt", "the dog saw a bird\n"),
        write(tmp_path / "c.txt", "a cat\nno newline at the end"),
    )


def test_words_are_numbered_by_frequency_and_lines_end(three: tuple[Path, ...]) -> None:
    corpus = read_text(three)
    assert corpus.vocabulary == ("<unk>", "<eos>", "the", "cat", "saw", "dog", "end")
    assert words_of(corpus, corpus.train) == "the cat saw the dog <eos> <eos> the end <eos>"
    assert words_of(corpus, corpus.valid) == "the dog saw <unk> <unk> <eos>"
    assert words_of(corpus, corpus.test) == "<unk> cat <eos> <unk> <unk> <unk> the end <eos>"
    assert corpus.train.dtype == np.int64
    assert any("<unk> is 0.0% of train, 33.3% of valid" in note for note in corpus.notes)


def test_a_vocabulary_is_limited_to_the_most_frequent(three: tuple[Path, ...]) -> None:
    corpus = read_text(three, vocabulary=4)
    assert corpus.vocabulary == ("<unk>", "<eos>", "the", "cat")
    assert words_of(corpus, corpus.train).startswith("the cat <unk> the <unk> <eos>")
    assert len(read_text(three, vocabulary=None).vocabulary) == 7


def test_the_training_part_is_limited(three: tuple[Path, ...]) -> None:
    corpus = read_text(three, limit=4)
    assert words_of(corpus, corpus.train) == "the cat saw the"
    assert corpus.vocabulary == ("<unk>", "<eos>", "the", "cat", "saw")
    assert len(corpus.valid) == 6
    with pytest.raises(DataError, match="a limit of 1 words"):
        read_text(three, limit=1)


def test_special_words_of_the_text_are_the_special_ones(tmp_path: Path) -> None:
    corpus = read_text(write(tmp_path / "t.txt", "one <unk> two <unk>\n" * 10))
    assert corpus.vocabulary == ("<unk>", "<eos>", "one", "two")
    assert corpus.train[:5].tolist() == [2, 0, 3, 0, 1]


def test_characters_count_blanks(tmp_path: Path) -> None:
    corpus = read_text(write(tmp_path / "t.txt", "ab a\n" * 10), level="characters")
    assert words_of(corpus, corpus.train[:5]) == "a b   a <eos>"
    assert set(corpus.vocabulary) == {"<unk>", "<eos>", "a", "b", " "}


def test_line_ends_of_all_systems_are_one(tmp_path: Path) -> None:
    texts = [
        read_text(write(tmp_path / f"{i}.txt", f"a b{end}c{end}" * 9))
        for i, end in enumerate(["\n", "\r\n", "\r"])
    ]
    assert all(np.array_equal(texts[0].train, each.train) for each in texts)
    marked = read_text(write(tmp_path / "bom.txt", b"\xef\xbb\xbf" + b"a b\nc\n" * 9))
    assert np.array_equal(texts[0].train, marked.train)


def test_other_separators_end_no_line(tmp_path: Path) -> None:
    corpus = read_text(write(tmp_path / "t.txt", "a\x0cb\u2028c\x85d\n" * 9))
    assert words_of(corpus, corpus.train[:5]) == "a b c d <eos>"


def test_parts_that_are_not_given_are_contiguous_pieces(tmp_path: Path) -> None:
    text = "\n".join(f"w{i}" for i in range(50)) + "\n"  # 100 words with the ends
    one = read_text(write(tmp_path / "t.txt", text), vocabulary=None)
    assert (len(one.train), len(one.valid), len(one.test)) == (80, 10, 10)
    assert one.train[:2].tolist() == [2, 1]
    assert set(one.vocabulary) == {
        "<unk>",
        "<eos>",
        *(f"w{i}" for i in range(40)),
    }  # none from what is held out
    assert set(one.test.tolist()) == {0, 1}
    assert any("last tenth" in note for note in one.notes)
    two = read_text((tmp_path / "t.txt", write(tmp_path / "u.txt", "w1 w2\nw3\n")))
    assert (len(two.train), len(two.valid), len(two.test)) == (90, 10, 5)


def test_a_folder_in_the_form_of_known_corpora(tmp_path: Path) -> None:
    for part in ("train", "valid", "test"):
        write(tmp_path / f"wiki.{part}.tokens", f"{part} a b c\n" * 4)
    corpus = read_text(tmp_path)
    assert [words_of(corpus, each[:1]) for each in (corpus.train, corpus.valid, corpus.test)] == [
        "train",
        "<unk>",
        "<unk>",
    ]
    (tmp_path / "wiki.train.tokens").unlink()
    with pytest.raises(DataError, match="no train and test part"):
        read_text(tmp_path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "holds no words"),
        (b" \n\n", "holds no words"),
        (b"caf\xe9", "not UTF-8 .byte 3"),
        (b"a b c\n", "too short: its valid part holds 0 of the 2 words"),
    ],
)
def test_text_that_cannot_be_used(tmp_path: Path, text: bytes, said: str) -> None:
    with pytest.raises(DataError, match=said):
        read_text(write(tmp_path / "t.txt", text))


def test_sources_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no file"):
        read_text(tmp_path / "none.txt")
    np.savez(tmp_path / "pictures.npz", x_train=np.full(9, 255, np.uint8))
    with pytest.raises(DataError, match="it is an archive or arrays"):
        read_text(tmp_path / "pictures.npz")
    with pytest.raises(DataError, match="4 files of text"):
        read_text([tmp_path / "t.txt"] * 4)
    with pytest.raises(DataError, match="a vocabulary of 2"):
        read_text(write(tmp_path / "t.txt", "a"), vocabulary=2)


def test_columns_are_consecutive_text() -> None:
    data = batchify(np.arange(23), 4)
    assert data.shape == (5, 4)
    assert data[:, 1].tolist() == [5, 6, 7, 8, 9]
    assert data.is_contiguous()
    with pytest.raises(DataError, match="7 words are too few"):
        batchify(np.arange(7), 4)
    with pytest.raises(DataError, match="a batch of 0"):
        batchify(np.arange(7), 0)


def test_windows_cover_the_text_and_the_targets_follow() -> None:
    data = batchify(np.arange(2000), 2)
    found = list(windows(data, 35, seed=0, epoch=0))
    x = torch.cat([each.x for each in found])
    assert torch.equal(x, data[: len(x)])
    assert len(x) in (998, 999)  # a single word that would be left is left out
    for each in found:
        assert torch.equal(each.y, each.x + 1)
        assert each.pace == len(each.x) / 35


def test_windows_are_a_function_of_seed_and_epoch() -> None:
    def drawn(seed: int, epoch: int) -> tuple[int, ...]:
        return lengths(3000, 35, seed=seed, epoch=epoch)

    torch.manual_seed(1)
    assert drawn(0, 2) == drawn(0, 2)
    assert len({drawn(0, 0), drawn(0, 1), drawn(1, 0), drawn(2, 0)}) == 4
    assert sum(drawn(0, 0)) in (2998, 2999)


def test_lengths_have_the_distribution_of_the_reference() -> None:
    """max(5, int(normal(35, or in one of twenty 17.5, 5))), at most 55: by Kolmogorov and Smirnov."""
    drawn = np.array(lengths(300_000, 35, seed=0, epoch=0)[:-1])
    values = np.arange(5, 56)
    below = values + 1  # int() cuts off: P(length <= k) is P(normal < k + 1)
    wanted = 0.95 * norm.cdf(below, 35, 5) + 0.05 * norm.cdf(below, 17.5, 5)
    wanted[-1] = 1
    found = (drawn[:, None] <= values).mean(axis=0)
    assert np.abs(found - wanted).max() < 1.36 / np.sqrt(len(drawn))
    assert drawn.min() >= 5
    assert drawn.max() <= 55


def test_without_spread_lengths_are_whole_or_half() -> None:
    drawn = lengths(100_000, 35, seed=0, epoch=0, spread=0)
    assert set(drawn[:-1]) == {35, 17}
    assert 0.03 < np.mean(np.array(drawn) == 17) < 0.07


@pytest.mark.parametrize("n", [2, 3, 4, 7])
@pytest.mark.parametrize("bptt", [1, 2, 35])
def test_short_texts_have_a_window(n: int, bptt: int) -> None:
    drawn = lengths(n, bptt, seed=0, epoch=0, beyond=0)
    assert min(drawn) >= 1
    assert sum(drawn) in (n - 1, max(n - 2, 1))
    assert max(drawn) <= bptt


def test_evaluation_windows_cover_all_words_once() -> None:
    data = batchify(np.arange(200), 2)
    found = list(evaluation_windows(data, 35))
    assert [len(each.x) for each in found] == [35, 35, 29]
    assert torch.equal(torch.cat([each.y for each in found]), data[1:])


def test_windows_that_cannot_be() -> None:
    with pytest.raises(DataError, match="too short for one window"):
        windows(torch.zeros(1, 4, dtype=torch.int64), 35, seed=0, epoch=0)
    with pytest.raises(DataError, match="a window of 0 words"):
        evaluation_windows(torch.zeros(9, 4, dtype=torch.int64), 0)
