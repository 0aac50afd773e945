"""The ladder of rungs, as schedulers see it; it is defined below them, so that samplers see the same one."""

from __future__ import annotations

from rung.trials.ladder import bracket_size as bracket_size
from rung.trials.ladder import ladder as ladder
from rung.trials.ladder import ladder_of as ladder_of
from rung.trials.ladder import shrink as shrink
