"""A checkpoint is what was saved, or a sentence says what is wrong with it."""

import hashlib
import json
import os
from pathlib import Path

import pytest

from rung.errors import StorageError
from rung.executors.checkpoint_files import MANIFEST, DamagedError, check, decode, seal
from rung.executors.files import opened_checkpoint


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    home = tmp_path / "resource-9"
    (home / "deep" / "empty").mkdir(parents=True)
    (home / "weights").write_bytes(b"abcd")
    (home / "deep" / "step").write_text("7")
    (home / "link").symlink_to("weights")
    (home / "nowhere").symlink_to("gone")
    return home


def test_the_manifest_holds_every_file(folder: Path) -> None:
    manifest, digest = seal(str(folder))
    data = (folder / MANIFEST).read_bytes()
    assert digest == hashlib.sha256(data).hexdigest()
    four, seven = hashlib.sha256(b"abcd").hexdigest(), hashlib.sha256(b"7").hexdigest()
    files = [["link", 4, four], ["weights", 4, four], ["deep/step", 1, seven]]
    assert json.loads(data) == {"files": files, "folders": ["deep", "deep/empty"], "format": 1}
    assert manifest.size == 9
    check(str(folder), digest)
    check(str(folder))
    assert seal(str(folder)) == (manifest, digest)  # its own manifest is none of its files


def test_a_byte_that_flips(folder: Path) -> None:
    _, digest = seal(str(folder))
    data = bytearray((folder / "weights").read_bytes())
    data[2] ^= 1
    (folder / "weights").write_bytes(data)
    with pytest.raises(DamagedError, match="is damaged: the content of its file link has changed"):
        check(str(folder), digest)


def test_a_file_that_is_missing(folder: Path) -> None:
    _, digest = seal(str(folder))
    (folder / "deep" / "step").unlink()
    with pytest.raises(DamagedError, match="its file deep/step is missing"):
        check(str(folder), digest)


def test_a_file_that_is_cut_off(folder: Path) -> None:
    _, digest = seal(str(folder))
    os.truncate(folder / "deep" / "step", 0)
    with pytest.raises(DamagedError, match="deep/step has 0 bytes, not 1"):
        check(str(folder), digest)


def test_a_manifest_that_is_missing_or_another(folder: Path) -> None:
    _, digest = seal(str(folder))
    (folder / "deep" / "step").write_text("8")
    seal(str(folder))  # whole in itself, but not what the log says
    with pytest.raises(DamagedError, match="is not the one that was saved"):
        check(str(folder), digest)
    (folder / MANIFEST).write_text("{")
    with pytest.raises(DamagedError, match="manifest that cannot be read"):
        check(str(folder))
    (folder / MANIFEST).unlink()
    with pytest.raises(DamagedError, match="not whole: its manifest is missing"):
        check(str(folder), digest)


def test_one_of_an_earlier_version_is_taken_as_it_is(folder: Path) -> None:
    check(str(folder))
    with opened_checkpoint(str(folder)) as found:
        assert found == str(folder)


def test_one_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DamagedError, match="is not there"):
        check(str(tmp_path / "gone"))


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/../../x", "a//b", "", "a\\..\\b"])
def test_a_manifest_that_leads_out_of_its_folder(name: str) -> None:
    data = json.dumps({"files": [[name, 1, "0" * 64]]}).encode()
    with pytest.raises(DamagedError, match="files outside of it"):
        decode(data, "", "there")


def test_a_later_format_is_not_damage() -> None:
    with pytest.raises(StorageError, match="later version of rung") as caught:
        decode(b'{"files": [], "format": 2}', "", "there")
    assert not isinstance(caught.value, DamagedError)


def test_a_link_in_a_callers_url_is_not_ours() -> None:
    with opened_checkpoint("mlflow://runs/7") as found:  # told by the caller, who knows what to do with it
        assert found == "mlflow://runs/7"
