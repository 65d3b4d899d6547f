-- Indicators beside their bars, one row a bar, and how far they have come.

-- Fixed-size columns first: the values of a row are found without looking at the texts before them.
CREATE TABLE market_data_v2 (
    timestamp           timestamptz NOT NULL,
    computed_at         timestamptz NOT NULL,
    open                double precision,
    high                double precision,
    low                 double precision,
    close               double precision,
    volume              double precision,
    vwap                double precision,
    trades              bigint,
    return_1            double precision,
    log_return          double precision,
    gap                 double precision,
    roc_10              double precision,
    volatility_20       double precision,
    volatility_rank_252 double precision,
    parkinson_20        double precision,
    garman_klass_20     double precision,
    sma_20              double precision,
    sma_50              double precision,
    sma_200             double precision,
    trend_200           double precision,
    ema_12              double precision,
    ema_26              double precision,
    macd                double precision,
    macd_signal         double precision,
    macd_hist           double precision,
    rsi_14              double precision,
    atr_14              double precision,
    adx_14              double precision,
    bb_upper            double precision,
    bb_middle           double precision,
    bb_lower            double precision,
    bb_percent          double precision,
    stoch_k             double precision,
    stoch_d             double precision,
    williams_r_14       double precision,
    cci_20              double precision,
    mfi_14              double precision,
    obv                 double precision,
    vwap_20             double precision,
    volume_z_20         double precision,
    high_distance_20    double precision,
    low_distance_20     double precision,
    structure_20        double precision,
    bars_since_hole     double precision,
    symbol              text COLLATE "C" NOT NULL,
    timeframe           text COLLATE "C" NOT NULL,
    PRIMARY KEY (symbol, timeframe, timestamp)
);
COMMENT ON TABLE market_data_v2 IS 'bars adjusted for splits, with their indicators; NULL where one has no value yet';
COMMENT ON COLUMN market_data_v2.timestamp IS 'start of the bar''s window';

CREATE TABLE feature_state (
    symbol      text COLLATE "C" NOT NULL,
    timeframe   text COLLATE "C" NOT NULL,
    version     integer NOT NULL,
    basis       text NOT NULL,
    computed    tstzmultirange NOT NULL,
    changes     bigint NOT NULL DEFAULT 0,
    computed_at timestamptz NOT NULL,
    PRIMARY KEY (symbol, timeframe)
);
COMMENT ON TABLE feature_state IS 'which rows of market_data_v2 are what their bars give';
COMMENT ON COLUMN feature_state.version IS 'of the set of features; another one than the code''s makes all rows stale';
COMMENT ON COLUMN feature_state.basis IS
    'fingerprint of what else the values rest on: splits, sessions, bars per year; another one makes all rows stale';
COMMENT ON COLUMN feature_state.changes IS 'how often what the features rest on was written';
COMMENT ON COLUMN feature_state.computed IS
    'stamps of the rows that are current: a bar written later takes its own stamp and all after it out';
