"""From the symbols a user names to instruments: tracked ones at once, others looked up at the vendor."""

from collections.abc import Sequence

from lib.concurrency import run_bounded
from lib.errors import BudgetSpent, KeyRefused, NotFound, SymbolUnknown, VendorError
from lib.estimate import Purpose
from lib.outcome import SymbolOutcome
from lib.symbols import Instrument
from lib.wiring import Toolkit


async def resolve(
    toolkit: Toolkit, names: Sequence[str] | None
) -> tuple[list[Instrument], list[SymbolOutcome]]:
    """The instruments of *names* (None: every active one), and an outcome for each name that is none.

    A name that is not tracked is looked up once at the vendor and tracked from then on.
    """
    known = {i.symbol: i for i in await toolkit.store.instruments(names)}

    async def one(name: str) -> Instrument | SymbolOutcome:
        try:
            return known.get(name) or await look_up(toolkit, name)
        except KeyRefused:
            raise
        except BudgetSpent as error:
            return SymbolOutcome(name, error=f"not looked up: {error}", left=True)
        except (SymbolUnknown, VendorError) as error:
            return SymbolOutcome(name, error=f"{error} ({error.hint})" if error.hint else str(error))

    wanted = names if names is not None else list(known)
    found = await run_bounded(wanted, one, limit=toolkit.windows_at_once)
    instruments = [one for one in found if isinstance(one, Instrument)]
    return instruments, [one for one in found if isinstance(one, SymbolOutcome)]


async def look_up(toolkit: Toolkit, symbol: str, vendor_ticker: str | None = None) -> Instrument:
    """Ask the vendor what *symbol* is and track it.

    *vendor_ticker*: what the vendor calls it, if it is another name than the one typed.
    Raises SymbolUnknown if the vendor does not know it or it is of a class this toolkit does not store.
    """
    try:
        with toolkit.sent.request(Purpose.LOOK_UPS) as sent:
            details = await toolkit.vendor.ticker_details(vendor_ticker or symbol)
            sent.pages += 1
    except NotFound as error:
        raise SymbolUnknown(f"the vendor does not know the symbol {symbol}") from error
    if details.asset_class is None:
        raise SymbolUnknown(
            f"{symbol} is of the market {details.market!r}",
            hint="stocks, ETFs and coins are kept; others are not",
        )
    instrument = Instrument(
        symbol,
        details.asset_class,
        details.vendor_ticker,
        listed_from=details.listed_from,
        listed_until=details.listed_until,
    )
    await toolkit.store.register(instrument)
    return instrument
