"""Learning from earlier tables: what a table is like, which it resembles, and what was good on those."""

from __future__ import annotations

from rung.tabular.meta.features import Features as Features
from rung.tabular.meta.features import meta_features as meta_features
from rung.tabular.meta.memory import Memory as Memory
from rung.tabular.meta.memory import shipped as shipped
from rung.tabular.meta.portfolio import suggest as suggest
from rung.tabular.meta.similarity import Neighbor as Neighbor
from rung.tabular.meta.similarity import nearest as nearest
from rung.tabular.meta.surrogate import Surrogate as Surrogate
