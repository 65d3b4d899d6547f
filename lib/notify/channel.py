"""The channels that the settings and the rules name."""

from typing import Protocol

from lib.alerts import Rules
from lib.errors import AlertRulesInvalid
from lib.notify.message import Message
from lib.settings import Settings


class Channel(Protocol):
    """A way to somebody."""

    @property
    def name(self) -> str:
        """As the table alert_deliveries knows it; no address."""
        ...

    async def deliver(self, message: Message) -> None:
        """One try. Raises DeliveryFailed, or DeliveryRefused where another try now would not help."""
        ...


def channels(settings: Settings, rules: Rules) -> list[Channel]:
    """Every channel that is set up; none is, where nothing is.

    Raises AlertRulesInvalid for a mail server that cannot be used as it is set up.
    """
    found: list[Channel] = []
    if settings.alert_webhook:
        from lib.notify.webhook import Webhook

        found.append(Webhook(settings.alert_webhook))
    if rules.mail.to:
        from lib.notify.mail import MailServer

        if settings.smtp_password and rules.mail.security == "none":
            raise AlertRulesInvalid("mail.security: a password is sent over starttls or ssl only")
        found.append(MailServer(rules.mail, settings.smtp_user, settings.smtp_password))
    return found
