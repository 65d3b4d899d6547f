"""What was asked of the vendor so far, and what it cost."""

from dataclasses import dataclass


@dataclass(slots=True)
class Counters:
    """Counted from the start of the client.

    *total_requests*: sent, of any kind, so pages, retries, answers of 429 and look-ups of tickers.
    *pages*: answers believed, of bars or honestly without. *retries*: repeats after a failure of the
    service. *rate_limited_count*: answers of 429. *failed*: requests given up, after their retries.

    *api_seconds*: on the wire; *paced_seconds*: waiting for the rate budget; *decode_seconds*: from bytes
    to columns; each summed over what runs side by side. *bytes_received*: bodies as sent, compressed.
    """

    total_requests: int = 0
    pages: int = 0
    retries: int = 0
    rate_limited_count: int = 0
    failed: int = 0
    api_seconds: float = 0.0
    paced_seconds: float = 0.0
    decode_seconds: float = 0.0
    bytes_received: int = 0
