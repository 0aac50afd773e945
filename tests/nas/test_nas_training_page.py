from pathlib import Path
from xml.etree import ElementTree

import pytest

from rung.errors import DataError
from rung.nas.genotype import CellGenotype, Genotype
from rung.nas.recurrent.presets import TrainingRecipe
from rung.nas.recurrent.training import Epoch
from rung.nas.retraining import Retrained
from rung.nas.retraining_epochs import Row
from rung.nas.retraining_schedule import Schedule
from rung.nas.retraining_text import RetrainedText
from rung.nas.training_page import Made, page_of_pictures, page_of_text, render_training, write_training_page

CELL = CellGenotype(((("skip_connect", 0), ("sep_conv_3x3", 1)),), (2,))
PICTURES = Genotype((("normal", CELL), ("reduce", CELL)))
WORDS = Genotype((("recurrent", CellGenotype(((("tanh", 0),), (("relu", 1),)), (1, 2), 1)),))
EVIL = '<script>alert("x")</script>'


def trained(**change: object) -> Retrained:
    rows = (
        Row(1, 0.05, 0.0, 2.1, 0.2, None, None, 3.0),
        Row(2, 0.02, 0.1, 1.7, 0.4, 1.6, 0.4375, 3.5),
    )
    schedule = Schedule(channels=4, layers=3, epochs=2, batch=16)
    values = {
        "loss": 1.6,
        "accuracy": 0.4375,
        "epochs": 2,
        "parameters": 12_345,
        "multiply_adds": 1_000_000,
        "seconds": 6.5,
        "schedule": schedule,
        "rows": rows,
        "notes": ("mind this",),
        "diverged": None,
        "network": None,
    }
    return Retrained(**{**values, **change})  # type: ignore[arg-type]


def test_a_network_for_pictures() -> None:
    made = Made("cell.json", "cifar10", PICTURES, 7, "net.pt")
    text = render_training(page_of_pictures(trained(), made, 100), "rung search retrain cell.json")
    assert "wrong on 56.2% of the test pictures" in text  # 1 - 0.4375, to even
    assert "mind this" in text
    assert "load_network(&#39;net.pt&#39;)" in text
    # two epochs of six whole batches of 16 of the 100 pictures, forward and backward
    for label, said in (
        ("training steps", "12"),
        ("pictures seen", "192"),
        ("of the training", "576 million"),
    ):
        after = text.split(label)[1]
        assert said in after.split("</dd>")[0], label
    assert PICTURES.to_text().replace("'", "&#39;") in text
    for title in ("Accuracy", "Loss", "Learning rate", "Dropped paths", "What it cost", "All 2 epochs"):
        assert title in text
    plain = render_training(page_of_pictures(trained(rows=trained().rows[:1]), made._replace(out=""), 100))
    assert "Dropped paths" not in plain
    assert "How to use" not in plain


def test_a_training_that_diverged_says_so() -> None:
    page = page_of_pictures(trained(diverged="the loss is nan"), Made("c", "d", PICTURES, 0), 10)
    assert page.notes == ("mind this", "the loss is nan")


def test_a_language_model() -> None:
    epochs = (Epoch(1, 6.0, 5.0, False), Epoch(2, 5.0, 4.6051701859, True))
    found = RetrainedText(4.0, 4.6051701859, 999, 12.0, epochs, (), None)
    page = page_of_text(
        found, Made("cell.json", "wiki", WORDS, 0, "m.pt"), (500, 30), TrainingRecipe(hidden=8)
    )
    text = render_training(page)
    assert ("validation", "100") in page.figures  # e to the 4.605
    assert ("test perplexity", "54.6") in page.figures
    assert ("words seen", "1,000") in page.cost
    assert page.notes == ("from epoch 2 on the weights are averaged",)
    assert "load_language_model" in text
    assert "500, 30 different" in text


def test_nothing_comes_from_elsewhere_and_names_are_escaped() -> None:
    made = Made(EVIL, EVIL, PICTURES, 0, EVIL)
    text = render_training(page_of_pictures(trained(notes=(EVIL,)), made, 100), EVIL)
    assert "<script>alert" not in text
    for sign in ("<link", "src=", "@import", "http-equiv"):
        assert sign not in text
    assert "http" not in text.replace("http://www.w3.org", "")


def test_the_parts_of_the_page_are_well_formed() -> None:
    text = render_training(page_of_pictures(trained(), Made("c", "d", PICTURES, 0), 100))
    body = text[text.index("<main>") : text.index("</main>") + 7]
    ElementTree.fromstring(body.replace("&middot;", ""))


def test_it_is_written_whole(tmp_path: Path) -> None:
    page = page_of_pictures(trained(), Made("c", "d", PICTURES, 0), 100)
    write_training_page(page, tmp_path / "a.html")
    assert (tmp_path / "a.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    with pytest.raises(DataError, match="cannot be written"):
        write_training_page(page, tmp_path / "no" / "a.html")
