"""Mail, handed to an SMTP server by aiosmtplib: unlike smtplib in a thread it can be cancelled."""

import ssl
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from typing import Any

import aiosmtplib

from lib.alerts import Mail
from lib.errors import DeliveryFailed, DeliveryRefused
from lib.notify.message import Message
from lib.settings import Secret

TIMEOUT_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where mail is handed in. Certificates are checked."""

    mail: Mail
    user: str
    password: Secret
    name: str = "mail"

    async def deliver(self, message: Message) -> None:
        """Raises DeliveryFailed, or DeliveryRefused for an answer that will stay the same (5xx)."""
        where = f"the mail server {self.mail.host}:{self.mail.port}"
        try:
            await aiosmtplib.send(self._written(message), **self._options())
        except aiosmtplib.SMTPTimeoutError:
            raise DeliveryFailed(f"{where} did not answer within {TIMEOUT_SECONDS:g} s") from None
        except (aiosmtplib.SMTPResponseException, aiosmtplib.SMTPRecipientsRefused) as error:
            # Not from the foreign error: an answer may quote what was sent to it.
            raise _refusal(where, error) from None
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            raise DeliveryFailed(f"{where} cannot be used: {_cause(error)}") from None

    def _options(self) -> dict[str, Any]:
        mail = self.mail
        options: dict[str, Any] = {
            "hostname": mail.host,
            "port": mail.port,
            "use_tls": mail.security == "ssl",
            "start_tls": mail.security == "starttls",
            "timeout": TIMEOUT_SECONDS,
        }
        if mail.security != "none":
            options["tls_context"] = ssl.create_default_context(cafile=mail.ca_file)
        if self.user or self.password:
            options |= {"username": self.user, "password": self.password.reveal()}
        return options

    def _written(self, message: Message) -> EmailMessage:
        written = EmailMessage()
        written["From"], written["To"] = self.mail.sender, ", ".join(self.mail.to)
        written["Subject"] = message.subject
        written["Date"], written["Message-ID"] = formatdate(), make_msgid(domain="market-backfill")
        written["Auto-Submitted"] = "auto-generated"
        written.set_content(message.body + "\n")
        return written


def _refusal(
    where: str, error: aiosmtplib.SMTPResponseException | aiosmtplib.SMTPRecipientsRefused
) -> DeliveryFailed:
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
        codes = {refused.code for refused in error.recipients}
    else:
        codes = {error.code}
    kind = DeliveryRefused if all(code >= 500 for code in codes) else DeliveryFailed
    what = "login" if isinstance(error, aiosmtplib.SMTPAuthenticationError) else "message"
    return kind(f"{where} refused the {what} ({', '.join(map(str, sorted(codes)))})")


def _cause(error: Exception) -> str:
    cause = error.__cause__ or error
    return f"{type(cause).__name__}: {cause}" if isinstance(cause, OSError) else type(cause).__name__
