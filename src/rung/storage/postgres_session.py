"""What every connection to PostgreSQL is told, and the queries of those who write and of those who only look.

Without SQLAlchemy: see `rung.storage.postgres_reader`.
"""

from __future__ import annotations

from typing import Any, Final

import psycopg

NOW: Final = "CAST(extract(epoch FROM clock_timestamp()) AS double precision)"
READ: Final = "SELECT seq, body FROM events WHERE study_id = %s AND seq >= %s ORDER BY seq LIMIT %s"
SETTINGS: Final[dict[str, Any]] = {  # of libpq, unless the URL has others: a silent network is noticed
    "application_name": "rung",
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}
_ON_CONNECT: Final = """
SELECT set_config('search_path', quote_ident(%s), false),
       set_config('idle_in_transaction_session_timeout', '60s', false),
       CASE WHEN current_setting('synchronous_commit') = 'off'
            THEN set_config('synchronous_commit', 'on', false) END
"""


def prepare(connection: psycopg.Connection[Any], schema: str) -> None:
    """Settle the namespace and what the server must keep, for the life of the connection."""
    was, connection.autocommit = connection.autocommit, True
    connection.execute(_ON_CONNECT, (schema,))
    connection.autocommit = was
