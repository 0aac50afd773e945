"""A configuration's folds' models and its model of all rows are two members, and one to those who count."""

import numpy as np
import pandas as pd
import pytest

from rung.tabular.columns import infer_columns
from rung.tabular.encode import encode
from rung.tabular.model import Member, Model
from rung.tabular.pipeline import Constant
from rung.tabular.task import guess_task


def test_a_configuration_is_counted_once_with_the_weight_of_both_its_members():
    frame = pd.DataFrame({"x": np.arange(30.0), "y": np.linspace(0, 1, 30)})
    encoder, _ = encode(frame, infer_columns(frame, "y"))
    one = [Constant(np.asarray(0.5))]
    boosted, linear = {"learner": "lightgbm"}, {"learner": "linear"}
    members = [
        Member(0.4, "linear", one, linear),
        Member(0.3, "lightgbm", one, boosted),
        Member(0.3, "lightgbm", one * 3, boosted),
    ]
    shares = Model(guess_task(frame["y"]), encoder, members, "y").shares()
    assert [member for member, _ in shares] == [members[1], members[0]]
    assert [weight for _, weight in shares] == pytest.approx([0.6, 0.4])
