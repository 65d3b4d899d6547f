"""Every way this toolkit can fail, with its exit status and what to do about it.

    BackfillError                     1   base; nothing else is raised on purpose
    + UsageError                      2   what was typed or configured cannot be used
      - AlertRulesInvalid             2   the file of alert rules has a key or value it cannot have
    + LockHeld                       11   another run holds the run lock
    + RunInterrupted                130   SIGINT; 143 for SIGTERM
    + BudgetSpent                     3   --max-requests reached; the rest is for the next run
    + VendorDown                      1   down for longer than --max-outage; the rest is for the next run
    + HorizonExceeded                 1   a date beyond the known trading calendar
    + SymbolUnknown                   1   neither tracked nor known to the vendor
    + DatabaseError                  10   PostgreSQL refused or broke off
      - DatabaseUnreachable          10   no connection could be made
        . DatabaseAway               10   for the moment: restarted, or the connection was cut
      - DatabaseConflict             10   a deadlock, or what was read has changed: done again, it may pass
      - EmbeddedServerFailed         10   the embedded server did not start
      - MigrationFailed              10   a schema file could not be applied
    + DeliveryFailed                  1   an alert could not be delivered; it never ends a run
      - DeliveryRefused               1   nor would trying again now help
    + VendorError                     1   the vendor refused or could not answer
      - KeyRefused                   12   401: the key is missing or unknown
      - NotEntitled                  12   403, or NOT_AUTHORIZED under 200: not in the plan
      - RequestRejected               1   400: the request itself is wrong
      - NotFound                      1   404
      - RateLimitPersists             1   429 for longer than its bound
      - TransientVendorError          1   worth another try
        . RateLimited                 1   429: pacing, not a failed try
        . ServiceFailed               1   5xx
        . RequestTimedOut             1   no answer in time
        . ConnectionFailed            1   refused, reset, cut in mid-body
        . AnswerInvalid               1   HTML, cut or non-JSON body, missing fields, wrong order

An exit status is a contract with cron: see DESIGN in BACKFILL_ARCHITECTURE.md.
"""

from typing import ClassVar


class BackfillError(Exception):
    """Something failed that the toolkit knows by name.

    The message says what failed and on what; *hint* says what to do.
    """

    exit_status: ClassVar[int] = 1
    hint: str = ""

    def __init__(self, message: str = "", *, hint: str | None = None) -> None:
        super().__init__(message or (self.__doc__ or "").splitlines()[0])
        if hint is not None:
            self.hint = hint


class UsageError(BackfillError):
    """What was typed or configured cannot be used."""

    exit_status = 2


class AlertRulesInvalid(UsageError):
    """The alert rules hold a key or a value they cannot have."""

    hint = "alerts.toml.example shows every key; the file is named by ALERT_RULES, else alerts.toml"


class LockHeld(BackfillError):
    """Another run holds the run lock."""

    exit_status = 11
    hint = "wait for it to end, or stop it; a lock ends with its holder"


class RunInterrupted(BackfillError):
    """The run was interrupted by a signal."""

    exit_status = 130


class BudgetSpent(BackfillError):
    """The run has sent all requests it was allowed."""

    exit_status = 3
    hint = "run the same command again: it goes on where this one stopped"


class VendorDown(BackfillError):
    """The vendor is down for longer than the run may wait."""

    hint = (
        "run the same command again later: it asks only for what is missing; --max-outage: how long it waits"
    )


class HorizonExceeded(BackfillError):
    """The trading calendar does not reach that date."""

    hint = "ask for dates inside the calendar; it reaches one year ahead"


class SymbolUnknown(BackfillError):
    """The symbol is neither tracked nor known to the vendor."""

    hint = "check the spelling (tickers are case-sensitive; coins are typed like X:LTCUSD)"


class DatabaseError(BackfillError):
    """PostgreSQL refused or broke off."""

    exit_status = 10


class DatabaseUnreachable(DatabaseError):
    """No connection to PostgreSQL could be made."""

    hint = "check DATABASE_URL and that the server runs; unset it to use the embedded server"


class DatabaseAway(DatabaseUnreachable):
    """PostgreSQL is away for the moment: it restarts, or the connection was cut."""


class DatabaseConflict(DatabaseError):
    """PostgreSQL gave another transaction the preference."""

    hint = "run the same command again: it asks only for what is missing"


class EmbeddedServerFailed(DatabaseError):
    """The embedded PostgreSQL did not start."""

    hint = "look at the server's log named above; BACKFILL_HOME sets another folder"


class MigrationFailed(DatabaseError):
    """A schema file could not be applied."""

    hint = "nothing of it was kept; the role needs the right to create tables"


class DeliveryFailed(BackfillError):
    """An alert could not be delivered."""

    hint = "it is tried again by the next run; see: python scripts/backfill_status.py alert --test"


class DeliveryRefused(DeliveryFailed):
    """An alert was refused by whoever should have taken it."""


class VendorError(BackfillError):
    """The vendor refused or could not answer."""


class KeyRefused(VendorError):
    """The vendor refused the API key."""

    exit_status = 12
    hint = "check POLYGON_API_KEY (or MASSIVE_API_KEY)"


class NotEntitled(VendorError):
    """The plan of this key does not include the data.

    *outside_window*: it is the dates that the plan does not reach; other dates of the same may be had.
    """

    exit_status = 12
    outside_window = False
    hint = "ask for dates and asset classes inside the plan"


class RequestRejected(VendorError):
    """The vendor rejected the request as malformed."""

    hint = "this is a defect of the toolkit or a change of the vendor's protocol: please report it"


class NotFound(VendorError):
    """The vendor does not know what was asked for."""


class RateLimitPersists(VendorError):
    """The vendor kept answering 429 beyond the bound."""

    hint = "another program may be using the key; lower --rate-limit or try later"


class TransientVendorError(VendorError):
    """A failure of the service that may pass."""

    hint = "run the same command again later: it asks only for what is missing"


class RateLimited(TransientVendorError):
    """The vendor answered 429.

    *retry_after_seconds*: what its Retry-After header asked for, if any.
    """

    def __init__(self, message: str = "", *, retry_after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class ServiceFailed(TransientVendorError):
    """The vendor answered with a server error (5xx).

    *retry_after_seconds*: what its Retry-After header asked for, if any.
    """

    def __init__(self, message: str = "", *, retry_after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class RequestTimedOut(TransientVendorError):
    """The vendor did not answer in time."""


class ConnectionFailed(TransientVendorError):
    """The connection to the vendor failed."""


class AnswerInvalid(TransientVendorError):
    """The vendor's answer cannot be trusted."""
