"""A webhook that takes the JSON of Slack, ``{"text": ...}``, as Mattermost and others do."""

import asyncio
from dataclasses import dataclass

import aiohttp

from lib.errors import DeliveryFailed, DeliveryRefused
from lib.notify.message import Message
from lib.settings import Secret

TIMEOUT_SECONDS = 10.0
_AGAIN = frozenset({408, 425, 429})


@dataclass(frozen=True, slots=True)
class Webhook:
    """*url* is a secret, whoever has it can write there: no message of ours quotes it, or what is made of it."""

    url: Secret
    name: str = "webhook"

    async def deliver(self, message: Message) -> None:
        """Raises DeliveryFailed, or DeliveryRefused for an answer that will stay the same."""
        text = _escaped(f"*{message.subject}*\n{message.body}")
        try:
            status = await self._post({"text": text})
        except TimeoutError:
            raise DeliveryFailed(f"the webhook did not answer within {TIMEOUT_SECONDS:g} s") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            # Not from the foreign error: that one quotes the address.
            raise DeliveryFailed(f"the webhook cannot be reached ({type(error).__name__})") from None
        if not 200 <= status < 300:
            refused = 300 <= status < 500 and status not in _AGAIN
            raise (DeliveryRefused if refused else DeliveryFailed)(f"the webhook answered {status}")

    async def _post(self, document: dict[str, str]) -> int:
        async with (
            asyncio.timeout(TIMEOUT_SECONDS),
            aiohttp.ClientSession() as session,
            # A redirect could lead anywhere, the message with it.
            session.post(self.url.reveal(), json=document, allow_redirects=False) as response,
        ):
            return response.status


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
