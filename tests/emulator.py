"""The emulator with the key of the tests: one that is looked for in all that a test leaves."""

from lib.vendor.emulator import server
from lib.vendor.emulator.settings import DEFAULT_KEY, EmulatorSettings
from tests.leaks import KEY


class Emulator(server.Emulator):
    """As the library's, but that it accepts the key of the tests where no other is set."""

    def __init__(self, market, settings=None, clock=None, **options):
        settings = settings or EmulatorSettings()
        if settings.key == DEFAULT_KEY:
            settings = settings.changed({"key": KEY})
        super().__init__(market, settings, clock, **options)
