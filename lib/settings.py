"""The settings: one frozen object, read once from the environment and validated at birth."""

import ipaddress
import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit, urlunsplit

from lib.errors import UsageError

DEFAULT_BASE_URL = "https://api.massive.com"
ROOT_HOME = Path("/var/lib/market-backfill")
_HOST = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,62})(\.[A-Za-z0-9_]([A-Za-z0-9_-]{0,62}))*\.?")


class Secret:
    """A text that never shows itself: ``reveal()`` is the only way to it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text

    def __bool__(self) -> bool:
        return bool(self._text)

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)


@dataclass(frozen=True, slots=True)
class Settings:
    """What the environment decides; options typed on the command line are applied on top.

    *database_url* None means the embedded server under *home*. *base_url* has no trailing slash.
    *alert_webhook* is an address that is a secret. *alert_rules*: the file named; None: the checkout's, if any.
    *database_patience_seconds*: how long a database that goes away in mid-run is waited for.
    """

    home: Path
    api_key: Secret = field(default_factory=lambda: Secret(""))
    base_url: str = DEFAULT_BASE_URL
    database_url: str | None = None
    alert_rules: Path | None = None
    alert_webhook: Secret = field(default_factory=lambda: Secret(""))
    smtp_user: str = ""
    smtp_password: Secret = field(default_factory=lambda: Secret(""))
    database_patience_seconds: float = 300.0

    @property
    def database_name(self) -> str:
        """The database in use as people may see it: without its password."""
        if self.database_url is None:
            return f"embedded ({self.home})"
        return without_password(self.database_url)

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """All that no log may show; the database password both as it is and as the URL spells it."""
        passwords = _passwords(self.database_url) if self.database_url else set()
        return (self.api_key, self.alert_webhook, self.smtp_password, *map(Secret, sorted(passwords)))


def without_password(url: str) -> str:
    """*url* with the password and the query (which may hold one) left out, but for the host of a socket."""
    parts = urlsplit(url)
    host = parts.hostname or next(iter(parse_qs(parts.query).get("host", [])), "")
    if parts.port:
        host = f"{host}:{parts.port}"
    if parts.username:
        host = f"{parts.username}@{host}"
    return urlunsplit((parts.scheme, host, parts.path, "", ""))


def _passwords(url: str) -> set[str]:
    """Those in *url*; one that is also a name in it is no secret: the name is shown."""
    parts = urlsplit(url)
    spelled = parts.password or ""
    names = {"", parts.username, parts.hostname, parts.path.removeprefix("/")}
    return {spelled, unquote(spelled), *parse_qs(parts.query).get("password", [])} - names


def check_origin(url: str, *, insecure_http: bool) -> None:
    """Make sure that the key, which goes there in a header, cannot be read on the way.

    Raises UsageError for plain HTTP, but for this machine itself or if *insecure_http* allows it.
    """
    parts = urlsplit(url)
    if parts.scheme != "https" and not insecure_http and not _is_loopback(parts.hostname or ""):
        raise UsageError(
            f"the key would go to {url} unencrypted",
            hint="POLYGON_BASE_URL: https, or --insecure-http where the network is yours",
        )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def load_settings(
    environment: Mapping[str, str] | None = None,
    *,
    database_url: str | None = None,
    script_folder: Path | None = None,
) -> Settings:
    """Settings from *environment* (default: the process's, completed by a ``.env`` file).

    ``.env`` is read from the working folder, else from *script_folder*: cron's working folder is not the
    checkout. What the environment itself sets wins over the file. *database_url*: from the command line.

    Raises UsageError for a value that cannot be used.
    """
    values = dict(_dotenv(script_folder) if environment is None else {})
    values.update({k: v for k, v in (os.environ if environment is None else environment).items() if v})
    return Settings(
        home=_home(values),
        api_key=Secret(_header_safe(values.get("POLYGON_API_KEY") or values.get("MASSIVE_API_KEY") or "")),
        base_url=_base_url(
            values.get("POLYGON_BASE_URL") or values.get("MASSIVE_BASE_URL") or DEFAULT_BASE_URL
        ),
        database_url=_database_url(database_url or values.get("DATABASE_URL")),
        alert_rules=_path(values["ALERT_RULES"], "ALERT_RULES") if values.get("ALERT_RULES") else None,
        alert_webhook=Secret(_webhook(values.get("ALERT_WEBHOOK_URL", ""))),
        smtp_user=values.get("ALERT_SMTP_USER", ""),
        smtp_password=Secret(values.get("ALERT_SMTP_PASSWORD", "")),
        database_patience_seconds=_seconds(values.get("BACKFILL_DATABASE_PATIENCE", "300")),
    )


def _dotenv(script_folder: Path | None) -> dict[str, str]:
    from dotenv import dotenv_values

    for folder in (Path.cwd(), script_folder):
        if folder and (file := folder / ".env").is_file():
            try:
                return {k: v for k, v in dotenv_values(file).items() if v}
            except (OSError, UnicodeDecodeError) as error:
                why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
                raise UsageError(f"{file} cannot be read: {why}") from None
    return {}


def _home(values: Mapping[str, str]) -> Path:
    if values.get("BACKFILL_HOME"):
        return _path(values["BACKFILL_HOME"], "BACKFILL_HOME").resolve()
    # Root's own folder is private, and PostgreSQL, which must not run as root, could not enter it.
    return ROOT_HOME if os.geteuid() == 0 else Path("~/.local/share/market-backfill").expanduser()


def _path(text: str, name: str) -> Path:
    try:
        if text.isprintable():
            return Path(text).expanduser()
    except RuntimeError:  # of somebody unknown
        pass
    raise UsageError(f"{name} {text[:40]!r} is not a path", hint=f"{name} is a plain path, or begins with ~/")


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise UsageError(f"{text[:40]!r} is no number of seconds", hint="BACKFILL_DATABASE_PATIENCE=300")
    return seconds


def _header_safe(key: str) -> str:
    key = key.strip()
    if not key.isascii() or not key.isprintable() or " " in key:
        raise UsageError(
            "the API key holds characters no key has", hint="check POLYGON_API_KEY: one line, no spaces"
        )
    return key


def _base_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        _ = parts.port
        more = parts.query or parts.fragment or "@" in parts.netloc
        usable = parts.scheme in ("http", "https") and _is_host(parts.hostname or "") and not more
    except ValueError:
        usable = False
    if not usable or not _is_plain(url):
        # Not repeated: it may be the key, put into the wrong line, or hold it.
        raise UsageError(
            "the vendor's address is not a base URL",
            hint="POLYGON_BASE_URL looks like https://api.massive.com, without a user or a query",
        )
    return url.rstrip("/")


def _is_plain(url: str) -> bool:
    """Whether it can stand in a request and on a line."""
    return url.isascii() and url.isprintable() and " " not in url


def _is_host(name: str) -> bool:
    if ":" in name:
        return _is_address(name)
    return len(name) <= 253 and _HOST.fullmatch(name) is not None


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _webhook(url: str) -> str:
    try:
        parts = urlsplit(url.strip())
        _ = parts.port
        readable = not url or (parts.scheme in ("http", "https") and _is_host(parts.hostname or ""))
        readable = readable and _is_plain(url.strip())
    except ValueError:
        readable = False
    if not readable:
        # The address is a secret: it is not repeated.
        raise UsageError(
            "the alert webhook is not an address",
            hint="ALERT_WEBHOOK_URL looks like https://host/services/...",
        ) from None
    return url.strip()


def _database_url(url: str | None) -> str | None:
    if url is None:
        return None
    try:
        parts = urlsplit(url)
        _ = parts.port  # reads it: a password with / or # in it ends up there
    except ValueError:
        # What could not be read may be a part of the password: the message is not repeated.
        raise UsageError(
            "the database URL cannot be read", hint="DATABASE_URL: percent-encode / @ : # % in the password"
        ) from None
    if not url.isprintable():
        raise UsageError(
            "the database URL holds signs no URL has", hint="DATABASE_URL: percent-encode what is no letter"
        )
    if parts.scheme not in ("postgres", "postgresql"):
        raise UsageError(
            "the database URL is not a PostgreSQL URL",
            hint="DATABASE_URL looks like postgresql://user@host/name",
        )
    return url
