"""The shipped table of hardware, and files that describe an installation."""

from __future__ import annotations

from pathlib import Path

import pytest

from rung.cluster.scaling.hardware import USUAL, Hardware, Link, as_toml, load_hardware, load_link, shipped
from rung.errors import UserError


def test_every_shipped_row_says_its_source_and_can_be_used() -> None:
    for name, row in shipped()["device"].items():
        assert row["source"]
        assert row["title"]
        device = load_hardware(name).device
        assert device.peak["float32"] > 1e12
        assert list(device.peak.values()) == sorted(device.peak.values())  # less precise, not slower
        assert device.part("product") == USUAL["product"]
    for name, row in shipped()["link"].items():
        assert row["source"]
        assert row["title"]
        assert 0 < load_link(name, "").latency < 1e-3


def test_a_file_takes_shipped_rows_and_its_own_numbers(tmp_path: Path) -> None:
    path = tmp_path / "hardware.toml"
    path.write_text(
        '[device]\nname = "v100-sxm2"\nachieved = {product = 0.4}\n[machine]\ndevices = 8\n'
        '[links]\ninside = "nvlink2"\nbetween = {bandwidth = 1e9}\n'
    )
    hardware = load_hardware(str(path))
    assert hardware.device.peak["float16"] == 125e12
    assert hardware.device.part("product") == 0.4
    assert hardware.device.part("memory") == USUAL["memory"]
    assert (hardware.per_machine, hardware.inside.bandwidth, hardware.between) == (8, 150e9, Link(1e9))


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    base = load_hardware("a100-sxm4-40gb")
    hardware = Hardware(base.device, 4, Link(3e11, 1e-6), Link(1.25e9, 3e-5))
    path = tmp_path / "hardware.toml"
    path.write_text(as_toml(hardware))
    assert load_hardware(str(path)) == hardware


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[device", "is no hardware file"),
        ("x = 1", "is no hardware file"),
        ("", "give peak, such as {float32 = 1e13}, and memory_bandwidth, or the name of a shipped one"),
        ("[device]\nname = 'mine'", "give peak, such as"),
        ("[device]\nname = 'h100-sxm'", "did you mean 'h100-sxm5'? shipped are k20x"),
        ("[device]\npeak = {float32 = 1.0}", "give peak, such as"),
        ("[device]\nname = 'mine'\npeak = {}\nmemory_bandwidth = 1.0", "no precision"),
        (
            "[device]\nname = 'mine'\npeak = {float32 = 0.0}\nmemory_bandwidth = 1.0",
            "peak.float32 must be above 0",
        ),
        ("[device]\nname = 't4'\nclock = 3", "'clock' is not known"),
        ("[device]\nname = 't4'\nachieved = {magic = 1.0}", "'magic' is not known"),
        ("[device]\nname = 't4'\nachieved = {memory = 0.0}", "achieved.memory must be above 0"),
        ("[device]\nname = 't4'\n[machine]\ndevices = 0", "at least 1 device"),
        ("[device]\nname = 't4'\n[machine]\ncores = 1", "'cores' is not known"),
        (
            "[device]\nname = 't4'\n[links]\ninside = 'nvlink9'",
            "links.inside: no link 'nvlink9': did you mean",
        ),
        ("[device]\nname = 't4'\n[links]\ninside = {latency = 1.0}", "missing required field `bandwidth`"),
        ("[device]\nname = 't4'\n[links]\ninside = {bandwidth = -1.0}", "bandwidth must be above 0"),
        ("[device]\nname = 't4'\n[links]\ninside = {bandwidth = 1.0, latency = -1.0}", "latency must be"),
    ],
)
def test_a_bad_file_is_a_sentence_that_names_it(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "hardware.toml"
    path.write_text(text)
    with pytest.raises(UserError) as caught:
        load_hardware(str(path))
    assert words in str(caught.value)
    assert "hardware.toml" in str(caught.value)


def test_a_device_of_ones_own_needs_no_name(tmp_path: Path) -> None:
    path = tmp_path / "hardware.toml"
    path.write_text("[device]\npeak = {float32 = 1e12}\nmemory_bandwidth = 1e11\n")
    assert load_hardware(str(path)).device.peak == {"float32": 1e12}


def test_an_unknown_name_says_what_is_near() -> None:
    with pytest.raises(UserError, match="did you mean 'h100-sxm5'"):
        load_hardware("h100-sxm")
