"""Pictures whose values are not whole numbers from 0 to 255."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rung.nas.data.reading import read_pictures
from support.pictures import X, Y, archive


@pytest.mark.parametrize("over", [0.0, 1e-6, 5e-4, 0.04])
def test_pictures_from_0_to_1_may_go_a_hair_beyond(tmp_path: Path, over: float) -> None:
    shades = X / 255
    shades[0, 0, 0, 0], shades[0, 0, 0, 1] = 1 + over, -over
    found = read_pictures(archive(tmp_path / "a.npz", x_train=shades.astype(np.float32), y_train=Y)).x_train
    assert np.array_equal(found[1:], X[1:])
    assert found[0, 0, 0, :2].tolist() == [255, 0]


def test_whole_numbers_of_few_levels_stay_as_they_are(tmp_path: Path) -> None:
    found = read_pictures(archive(tmp_path / "a.npz", x_train=(X // 32).astype(float), y_train=Y)).x_train
    assert np.array_equal(found, X // 32)
