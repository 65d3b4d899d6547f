"""What each feature is. The table's columns, the tests and the documents are made from this list."""

from dataclasses import dataclass
from typing import Literal

FEATURE_SET_VERSION = 1  # raise it whenever a value changes: stored ones are then computed anew

WINDOW_BARS = 271  # the longest look-back over a fixed number of bars: volatility_rank_252
RECURSIVE_BARS = 1000  # after so many bars what came before them weighs (13/14)^1000, 1e-32, in RSI, ATR, ADX
LOOKBACK_BARS = RECURSIVE_BARS
HOLE_BARS = WINDOW_BARS + 1

OHLC = ("open", "high", "low", "close")
HLC = ("high", "low", "close")
HL = ("high", "low")
HLCV = ("high", "low", "close", "volume")
CLOSE = ("close",)


@dataclass(frozen=True, slots=True)
class Feature:
    """One column of ``market_data_v2``.

    *inputs*: the columns it reads. *period*: bars in its window; None where it has none. *warmup*: how many
    bars of a series have no value (NULL), which is the index of the first that has one. *lookback*: bars
    needed before one to compute it as if from the series' beginning; None: it continues from its stored
    value. *scales_with*: what it is proportional to; None: unchanged when prices or volumes are multiplied.
    *formula*, *source*: for people; C, H, L, O, V: the bar's columns, C[-1] the close before, ln the natural
    logarithm, TP = (H + L + C) / 3, mean/sd(x, n): of the last n values.
    """

    name: str
    inputs: tuple[str, ...]
    period: int | None
    warmup: int
    formula: str
    source: str
    scales_with: Literal["price", "volume"] | None = None
    recursive: bool = False

    @property
    def lookback(self) -> int | None:
        if self.name == "obv":
            return None
        return RECURSIVE_BARS if self.recursive else max(self.warmup, (self.period or 1) - 1)


_TALIB = "TA-Lib {}"
_OWN = "own definition"

FEATURES = (
    Feature("return_1", CLOSE, 1, 1, "C / C[-1] - 1", "simple return"),
    Feature("log_return", CLOSE, 1, 1, "ln(C / C[-1])", "log return"),
    Feature("gap", ("open", "close"), 1, 1, "O / C[-1] - 1", "opening gap"),
    Feature("roc_10", CLOSE, 10, 10, "100 * (C / C[-10] - 1)", "TA-Lib ROC"),
    Feature(
        "volatility_20",
        CLOSE,
        20,
        20,
        "sd(log_return, 20) * sqrt(bars per year); sd of a sample (n - 1); the year's bars by the calendar",
        "realised volatility",
    ),
    Feature(
        "volatility_rank_252",
        CLOSE,
        252,
        271,
        "percent of the 251 volatilities before this one that lie below it, equal ones half; "
        "equal are those on one step of floor(1000 log2(sd(log_return, 20)))",
        _OWN,
    ),
    Feature(
        "parkinson_20",
        HL,
        20,
        19,
        "sqrt(mean(ln(H / L)^2, 20) / (4 ln 2)) * sqrt(bars per year)",
        "Parkinson 1980",
    ),
    Feature(
        "garman_klass_20",
        OHLC,
        20,
        19,
        "sqrt(mean(0.5 ln(H / L)^2 - (2 ln 2 - 1) ln(C / O)^2, 20)) * sqrt(bars per year); not below 0",
        "Garman and Klass 1980",
    ),
    Feature("sma_20", CLOSE, 20, 19, "mean(C, 20)", "TA-Lib SMA", "price"),
    Feature("sma_50", CLOSE, 50, 49, "mean(C, 50)", "TA-Lib SMA", "price"),
    Feature("sma_200", CLOSE, 200, 199, "mean(C, 200)", "TA-Lib SMA", "price"),
    Feature("trend_200", CLOSE, 200, 199, "C / sma_200 - 1", _OWN),
    Feature(
        "ema_12", CLOSE, 12, 11, "ema + 2/13 * (C - ema), begun with mean(C, 12)", "TA-Lib EMA", "price", True
    ),
    Feature(
        "ema_26", CLOSE, 26, 25, "ema + 2/27 * (C - ema), begun with mean(C, 26)", "TA-Lib EMA", "price", True
    ),
    Feature(
        "macd", CLOSE, 26, 33, "EMA 12 - EMA 26, both begun at the same bar", "TA-Lib MACD", "price", True
    ),
    Feature("macd_signal", CLOSE, 9, 33, "EMA 9 of macd", "TA-Lib MACD", "price", True),
    Feature("macd_hist", CLOSE, 9, 33, "macd - macd_signal", "TA-Lib MACD", "price", True),
    Feature(
        "rsi_14",
        CLOSE,
        14,
        14,
        "100 * U / (U + D), Wilder's means of rises and falls; 50, and begun anew, after 200 equal closes",
        "TA-Lib RSI (Wilder 1978)",
        recursive=True,
    ),
    Feature(
        "atr_14", HLC, 14, 14, "Wilder's mean of the true range", "TA-Lib ATR (Wilder 1978)", "price", True
    ),
    Feature(
        "adx_14",
        HLC,
        14,
        27,
        "Wilder's mean of 100 * |DI+ - DI-| / (DI+ + DI-); 0, and begun anew, after 200 bars without one",
        "TA-Lib ADX (Wilder 1978)",
        recursive=True,
    ),
    Feature(
        "bb_upper", CLOSE, 20, 19, "bb_middle + 2 sd(C, 20); sd of a population (n)", "TA-Lib BBANDS", "price"
    ),
    Feature("bb_middle", CLOSE, 20, 19, "mean(C, 20)", "TA-Lib BBANDS", "price"),
    Feature("bb_lower", CLOSE, 20, 19, "bb_middle - 2 sd(C, 20)", "TA-Lib BBANDS", "price"),
    Feature(
        "bb_percent",
        CLOSE,
        20,
        19,
        "(C - bb_lower) / (bb_upper - bb_lower); 0.5 where all 20 closes are equal",
        "Bollinger's %b",
    ),
    Feature(
        "stoch_k",
        HLC,
        14,
        17,
        "mean(100 * (C - lowest L of 14) / (highest H - lowest L), 3); a flat window counts 50",
        "TA-Lib STOCH 14, 3, 3",
    ),
    Feature("stoch_d", HLC, 3, 17, "mean(stoch_k, 3)", "TA-Lib STOCH 14, 3, 3"),
    Feature(
        "williams_r_14",
        HLC,
        14,
        13,
        "-100 * (highest H of 14 - C) / (highest H - lowest L); -50 in a flat window",
        "TA-Lib WILLR",
    ),
    Feature(
        "cci_20",
        HLC,
        20,
        19,
        "(TP - mean(TP, 20)) / (0.015 * mean(|TP - its mean|, 20)); 0 in a flat window",
        "TA-Lib CCI (Lambert 1980)",
    ),
    Feature(
        "mfi_14",
        HLCV,
        14,
        14,
        "100 * P / (P + N), sums of TP * V over the last 14 bars whose TP rose or fell; 50 without any",
        "TA-Lib MFI; TP within 1e-12 of each other are equal",
    ),
    Feature(
        "obv",
        ("close", "volume"),
        None,
        0,
        "running sum of V where C rose, of -V where it fell, begun with the first bar's V",
        "TA-Lib OBV (Granville 1963)",
        "volume",
        True,
    ),
    Feature(
        "vwap_20",
        ("high", "low", "close", "volume", "vwap"),
        20,
        19,
        "mean of the bars' vwap (TP where unknown) weighted by V, 20 bars; unweighted without volume",
        "volume-weighted average price",
        "price",
    ),
    Feature(
        "volume_z_20",
        ("volume",),
        20,
        19,
        "(V - mean(V, 20)) / sd(V, 20), sd of a sample; 0 where all 20 are equal",
        "standard score",
    ),
    Feature(
        "high_distance_20", ("high", "close"), 20, 19, "C / highest H of 20 - 1", "distance from the high"
    ),
    Feature("low_distance_20", ("low", "close"), 20, 19, "C / lowest L of 20 - 1", "distance from the low"),
    Feature(
        "structure_20",
        HL,
        20,
        19,
        "half the sum of the signs of: highest H of 10 bars less that of the 10 before, lowest L likewise; "
        "1 higher highs and higher lows, -1 lower ones, 0 neither",
        _OWN,
    ),
    Feature(
        "bars_since_hole",
        (),
        272,
        0,
        "bars in a row, this one included, without a missing session between them; counts to 272",
        _OWN,
    ),
)
