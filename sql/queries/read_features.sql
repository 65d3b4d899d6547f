-- The rows of features of one series in [start, end), oldest first, for COPY TO STDOUT: no NULL, so that every row has
-- one length.
-- $1 symbol text   $2 timeframe text   $3 start timestamptz   $4 end timestamptz
-- -> timestamp timestamptz, open, high, low, close, volume, vwap float8 (NaN = none), trades bigint
--    (-1 = unknown), each feature float8 (NaN = none)
-- relies on the primary key (symbol, timeframe, timestamp)
SELECT timestamp, coalesce(open, 'NaN'), coalesce(high, 'NaN'), coalesce(low, 'NaN'), coalesce(close, 'NaN'),
       coalesce(volume, 'NaN'), coalesce(vwap, 'NaN'), coalesce(trades, -1),
       coalesce(return_1, 'NaN'), coalesce(log_return, 'NaN'), coalesce(gap, 'NaN'), coalesce(roc_10, 'NaN'),
       coalesce(volatility_20, 'NaN'), coalesce(volatility_rank_252, 'NaN'), coalesce(parkinson_20, 'NaN'),
       coalesce(garman_klass_20, 'NaN'), coalesce(sma_20, 'NaN'), coalesce(sma_50, 'NaN'),
       coalesce(sma_200, 'NaN'), coalesce(trend_200, 'NaN'), coalesce(ema_12, 'NaN'), coalesce(ema_26, 'NaN'),
       coalesce(macd, 'NaN'), coalesce(macd_signal, 'NaN'), coalesce(macd_hist, 'NaN'), coalesce(rsi_14, 'NaN'),
       coalesce(atr_14, 'NaN'), coalesce(adx_14, 'NaN'), coalesce(bb_upper, 'NaN'), coalesce(bb_middle, 'NaN'),
       coalesce(bb_lower, 'NaN'), coalesce(bb_percent, 'NaN'), coalesce(stoch_k, 'NaN'), coalesce(stoch_d, 'NaN'),
       coalesce(williams_r_14, 'NaN'), coalesce(cci_20, 'NaN'), coalesce(mfi_14, 'NaN'), coalesce(obv, 'NaN'),
       coalesce(vwap_20, 'NaN'), coalesce(volume_z_20, 'NaN'), coalesce(high_distance_20, 'NaN'),
       coalesce(low_distance_20, 'NaN'), coalesce(structure_20, 'NaN'), coalesce(bars_since_hole, 'NaN')
FROM market_data_v2
WHERE symbol = $1::text AND timeframe = $2::text AND timestamp >= $3::timestamptz AND timestamp < $4::timestamptz
ORDER BY timestamp
