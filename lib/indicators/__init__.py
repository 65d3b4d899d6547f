"""Technical indicators of a series of bars: pure, on arrays.

``FEATURES`` says what each one is; ``compute`` gives them all.
"""

from lib.indicators.features import FEATURE_SET_VERSION, FEATURES, LOOKBACK_BARS, Feature
from lib.indicators.series import adjusted, compute

__all__ = ["FEATURES", "FEATURE_SET_VERSION", "LOOKBACK_BARS", "Feature", "adjusted", "compute"]
