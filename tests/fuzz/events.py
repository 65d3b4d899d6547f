"""Splits and dividends as the vendor lists them, and whether a row of an answer says an event."""

from decimal import Decimal, InvalidOperation

from hypothesis import strategies as st

from tests.fuzz.documents import changed

SPLIT = {"id": "E1", "ticker": "AAPL", "execution_date": "2020-08-31", "split_from": 1, "split_to": 4}
SPLIT["adjustment_type"] = "forward_split"
PAID = {"id": "D1", "ticker": "KO", "ex_dividend_date": "2024-11-08", "cash_amount": 0.25, "currency": "USD"}
PAID |= {"distribution_type": "recurring", "frequency": 4, "pay_date": "2024-11-14", "record_date": None}
CURSOR = {"next_url": "https://vendor.example/stocks/v1/splits?cursor=abc"}


def wrapped(result, **more):
    return {"status": "OK", "request_id": "1", "results": result} | more


events_answers = st.sampled_from([wrapped([SPLIT, PAID]), wrapped([SPLIT, PAID], **CURSOR)]).flatmap(changed)


def is_in(event, row):
    """Whether *row* of an answer says what is to be stored as *event*."""
    if event.symbol != row.get("ticker"):
        return False
    if hasattr(event, "split_to"):
        numbers, day = {"split_from": event.split_from, "split_to": event.split_to}, row.get("execution_date")
    else:
        numbers, day = {"cash_amount": event.cash_amount}, row.get("ex_dividend_date")
    return str(day).startswith(event.day.isoformat()) and all(
        value == number_of(row.get(name)) for name, value in numbers.items()
    )


def number_of(value):
    try:
        return Decimal(str(value))
    except InvalidOperation:
        return None
