"""The scripted vendor over its socket, and the whole toolkit in process."""

from tests.end_to_end.conftest import jump_clock, workbench_of
from tests.vendor.conftest import aapl, clock, open_client, vendor

__all__ = ["aapl", "clock", "jump_clock", "open_client", "vendor", "workbench_of"]
