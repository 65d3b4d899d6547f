"""Where alerts go: a webhook and a mail server. One message, its text in ``message``, by channels of one shape."""

from lib.notify.channel import Channel, channels
from lib.notify.message import Message, compose

__all__ = ["Channel", "Message", "channels", "compose"]
