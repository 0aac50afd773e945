"""The exceptions that rung raises on purpose.

    RungError
    ├── UserError           what was given cannot be used; the command exits with 2
    │   ├── SpaceError      a search space, or a configuration that is not in it
    │   ├── StudyError      a study that is missing, exists otherwise, or is asked for nonsense
    │   │   ├── MissingError    there is no such study, or trial, or job
    │   │   └── ConflictError   a name is taken, or a study's state does not allow that now
    │   ├── StorageError    a storage that cannot be opened, read or written
    │   │   ├── LeaseError  another process writes this study
    │   │   └── DamageError a study's log is not as it was written
    │   └── DataError       a table, a target or a model file
    ├── Infeasible          raised by an objective: this configuration has no value
    └── Stopped             raised inside an objective at its next report when it is told to stop

Any other exception that comes out of rung is a mistake of ours.
"""

from __future__ import annotations


class RungError(Exception):
    """Every exception that rung raises on purpose."""


class UserError(RungError):
    """What was given cannot be used: the message says what is wrong, where, and what to do."""


class SpaceError(UserError):
    """A search space that is not valid, or a configuration that is not in it."""


class StudyError(UserError):
    """A study that does not exist, exists with other settings, or is asked for nonsense."""


class MissingError(StudyError):
    """There is no study of this name, or no such trial or job in it."""


class ConflictError(StudyError):
    """A name that is taken, or something that the study's state does not allow now."""


class StorageError(UserError):
    """A storage that cannot be opened, read or written."""


class LeaseError(StorageError):
    """Another process writes this study, or took it over."""


class DamageError(StorageError):
    """A study's log is not as it was written."""


class DataError(UserError):
    """A table, a target column or a model file that cannot be used."""


class Infeasible(RungError):  # noqa: N818  # no error: what an objective says
    """Raise it in an objective to say that this configuration has no value, and why."""


class Stopped(RungError):  # noqa: N818  # no error: it obeys
    """Raised inside an objective, at its next report, when its job is told to stop."""
