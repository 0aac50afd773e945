"""The studies that a service runs, by key and by name."""

from __future__ import annotations

from rung.service.hosting import HostedStudy


class Running:
    """Studies that are open here. One thread at a time changes it; reading takes no lock.

    A request must not wait for another that opens or makes a study; so what is read is one operation on a
    dictionary each time.
    """

    def __init__(self) -> None:
        self._studies: dict[str, HostedStudy] = {}  # by key
        self._keys: dict[str, str] = {}  # by name, those that were changed too: jobs under way have them

    def add(self, study: HostedStudy) -> None:
        self._studies[study.key] = study
        self._keys[study.name] = study.key

    def drop(self, key: str) -> HostedStudy | None:
        """The study, which is here no more."""
        return self._studies.pop(key, None)

    def rename(self, key: str, before: str, name: str) -> None:
        """A study, whether it runs or not, is called otherwise from now on."""
        self._keys[before] = self._keys[name] = key
        if (study := self._studies.get(key)) is not None:
            study.writer.name = name

    def all(self) -> list[HostedStudy]:
        """All that were added and not dropped, closed ones too."""
        return list(self._studies.values())

    def get(self, key: str) -> HostedStudy | None:
        """The study, if it runs."""
        study = self._studies.get(key)
        return study if study is not None and not study.closed else None

    def named(self, name: str) -> HostedStudy | None:
        """The study that runs and has, or had, this name; who has it comes before who had it."""
        return self.get(self._keys.get(name, ""))
