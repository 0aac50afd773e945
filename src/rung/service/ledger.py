"""What studies got of the workers, and should have got, kept for the time after a restart.

It is written seldom and all at once: a service that is killed forgets what changed in the last `EVERY`
seconds, one that ends by itself nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, Protocol

from sqlalchemy import delete, insert, select

from rung.cluster.sharing import Account, Remembered
from rung.service.tables import shares

if TYPE_CHECKING:
    from rung.service.accounts import Accounts

EVERY: Final = 30.0  # seconds between two notes
_LITTLE: Final = 1.0  # slot-seconds that are not worth a note


class Ledger(Protocol):
    """Where the accounts of studies are kept, by their keys."""

    def get(self, key: str) -> Account | None: ...

    def keep(self, accounts: Mapping[str, Account]) -> None:
        """Keep these, beside those of other studies."""

    def forget(self, key: str) -> None: ...


class MemoryLedger:
    """A ledger that ends with its process, for tests and for trying out."""

    def __init__(self) -> None:
        self._accounts: dict[str, Account] = {}

    def get(self, key: str) -> Account | None:
        return self._accounts.get(key)

    def keep(self, accounts: Mapping[str, Account]) -> None:
        self._accounts.update(accounts)

    def forget(self, key: str) -> None:
        self._accounts.pop(key, None)


class SqlLedger:
    """A ledger beside the service's users, in one transaction for all that is kept at once."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts

    def get(self, key: str) -> Account | None:
        with self._accounts.reading() as connection:
            row = connection.execute(select(shares).where(shares.c.key == key)).one_or_none()
        return None if row is None else Account(row.got, row.due, row.owed)

    def keep(self, accounts: Mapping[str, Account]) -> None:
        with self._accounts.writing() as connection:
            connection.execute(delete(shares).where(shares.c.key.in_(accounts)))
            rows = [{"key": key, **account._asdict()} for key, account in accounts.items()]
            connection.execute(insert(shares), rows)

    def forget(self, key: str) -> None:
        with self._accounts.writing() as connection:
            connection.execute(delete(shares).where(shares.c.key == key))


class Books:
    """Keeps a ledger up to date with little writing.

    Another service may have run a study meanwhile, so that its account is read whenever it comes.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._kept: dict[str, Account] = {}  # as the ledger has them, of the studies that are here
        self._left: dict[str, Account] = {}  # of studies that went, not kept yet
        self._looked = 0.0

    def came(self, key: str, now: float) -> Remembered | None:
        """What became of the share of a study that comes; None if nothing has.

        Raises:
            StorageError: the ledger cannot be read.
        """
        account = self._left.pop(key, None)
        if account is None:
            account = self._ledger.get(key)
            if account is not None:
                self._kept[key] = account
        return None if account is None else Remembered(now, key, *account)

    def known(self, key: str) -> Account:
        """What became of the share of a study that is not here.

        Raises:
            StorageError: the ledger cannot be read.
        """
        return self._left.get(key) or self._ledger.get(key) or Account()

    def went(self, key: str, account: Account | None) -> None:
        """A study left with this account, and may come again, here or elsewhere; None: it is no more."""
        if account is None:
            self.forget(key)
        else:
            self._left[key] = account

    def forget(self, key: str) -> None:
        """A study is no more."""
        self._left.pop(key, None)
        self._kept.pop(key, None)
        self._ledger.forget(key)

    def due(self, now: float) -> bool:
        """Whether it is time to note what has changed."""
        return bool(self._left) or abs(now - self._looked) >= EVERY

    def keep(self, accounts: Mapping[str, Account], now: float) -> None:
        """Note what has changed.

        Args:
            accounts: of all studies that are here.

        Raises:
            StorageError: the ledger cannot be written; what was to be noted is at the next call.
        """
        news = self._left | {key: one for key, one in accounts.items() if self._differs(key, one)}
        if news:
            self._ledger.keep(news)
        self._kept |= {key: news[key] for key in accounts if key in news}
        for key in self._left:
            self._kept.pop(key, None)
        self._left, self._looked = {}, now

    def _differs(self, key: str, account: Account) -> bool:
        before = self._kept.get(key, Account())
        return any(abs(one - other) > _LITTLE for one, other in zip(account, before, strict=True))
