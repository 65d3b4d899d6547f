-- Symbols, bars, the ledger of answered requests, the audited counts, the runs.

CREATE TABLE tracked_symbols (
    symbol        text COLLATE "C" PRIMARY KEY,
    asset_class   text NOT NULL CHECK (asset_class IN ('stock', 'etf', 'crypto')),
    vendor_ticker text COLLATE "C" NOT NULL UNIQUE,
    calendar      text NOT NULL CHECK (calendar IN ('XNYS', '24/7')),
    timeframes    text[] NOT NULL DEFAULT '{1m,5m,15m,30m,1h,4h,1d,1w}'
                  CHECK (timeframes <@ '{1m,5m,15m,30m,1h,4h,1d,1w}'::text[]),
    active        boolean NOT NULL DEFAULT true,
    listed_from   date,
    listed_until  date,
    added_at      timestamptz NOT NULL DEFAULT now()
);
COMMENT ON COLUMN tracked_symbols.vendor_ticker IS 'as the vendor writes it, case-sensitive; coins as X:BTCUSD';
COMMENT ON COLUMN tracked_symbols.listed_from IS 'first date on which a bar may exist, where known';

INSERT INTO tracked_symbols (symbol, asset_class, vendor_ticker, calendar) VALUES
    ('AAPL', 'stock', 'AAPL', 'XNYS'), ('MSFT', 'stock', 'MSFT', 'XNYS'), ('NVDA', 'stock', 'NVDA', 'XNYS'),
    ('GOOGL', 'stock', 'GOOGL', 'XNYS'), ('AMZN', 'stock', 'AMZN', 'XNYS'), ('META', 'stock', 'META', 'XNYS'),
    ('TSLA', 'stock', 'TSLA', 'XNYS'), ('BRK.B', 'stock', 'BRK.B', 'XNYS'), ('JPM', 'stock', 'JPM', 'XNYS'),
    ('V', 'stock', 'V', 'XNYS'), ('JNJ', 'stock', 'JNJ', 'XNYS'), ('WMT', 'stock', 'WMT', 'XNYS'),
    ('XOM', 'stock', 'XOM', 'XNYS'), ('KO', 'stock', 'KO', 'XNYS'), ('IBM', 'stock', 'IBM', 'XNYS'),
    ('SPY', 'etf', 'SPY', 'XNYS'), ('QQQ', 'etf', 'QQQ', 'XNYS'), ('IWM', 'etf', 'IWM', 'XNYS'),
    ('GLD', 'etf', 'GLD', 'XNYS'), ('TLT', 'etf', 'TLT', 'XNYS'),
    ('BTC', 'crypto', 'X:BTCUSD', '24/7'), ('ETH', 'crypto', 'X:ETHUSD', '24/7'),
    ('SOL', 'crypto', 'X:SOLUSD', '24/7'), ('XRP', 'crypto', 'X:XRPUSD', '24/7'),
    ('DOGE', 'crypto', 'X:DOGEUSD', '24/7');

-- Wide fixed-size columns first: no padding between them, 109 + 32 bytes a bar with its key.
-- No second index and no foreign key: each would halve the speed of the COPY (BACKFILL_ARCHITECTURE.md).
CREATE TABLE market_data (
    timestamp  timestamptz NOT NULL,
    fetched_at timestamptz NOT NULL,
    open       double precision NOT NULL,
    high       double precision NOT NULL,
    low        double precision NOT NULL,
    close      double precision NOT NULL,
    volume     double precision NOT NULL,
    vwap       double precision,
    trades     bigint,
    symbol     text COLLATE "C" NOT NULL,
    timeframe  text COLLATE "C" NOT NULL,
    source     text NOT NULL,
    PRIMARY KEY (symbol, timeframe, timestamp)
);
COMMENT ON TABLE market_data IS 'raw bars: prices as traded, not adjusted for splits or dividends';
COMMENT ON COLUMN market_data.timestamp IS 'start of the bar''s window';
COMMENT ON COLUMN market_data.source IS 'polygon: as the vendor gave it; derived: rolled up here from 1m or 1d';

CREATE TABLE fetch_log (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    symbol       text COLLATE "C" NOT NULL,
    timeframe    text COLLATE "C" NOT NULL,
    rng          tstzrange NOT NULL CHECK (NOT isempty(rng) AND lower_inc(rng) AND NOT upper_inc(rng)
                                           AND NOT lower_inf(rng) AND NOT upper_inf(rng)),
    outcome      text NOT NULL CHECK (outcome IN ('data', 'empty', 'not_entitled')),
    n_bars       bigint NOT NULL CHECK (n_bars >= 0),
    attempt      integer NOT NULL CHECK (attempt >= 1),
    fetched_at   timestamptz NOT NULL,
    verify_after timestamptz
);
CREATE INDEX fetch_log_series ON fetch_log (symbol, timeframe, lower(rng));
COMMENT ON TABLE fetch_log IS 'ranges the vendor has answered; the rows of a series never overlap';
COMMENT ON COLUMN fetch_log.verify_after IS 'from then on the answer no longer counts and the range is asked again';

CREATE TABLE session_audit (
    symbol       text COLLATE "C" NOT NULL,
    timeframe    text COLLATE "C" NOT NULL,
    session_date date NOT NULL,
    n_bars       integer NOT NULL,
    n_regular    integer NOT NULL,
    first_ts     timestamptz,
    last_ts      timestamptz,
    PRIMARY KEY (symbol, timeframe, session_date)
);
COMMENT ON TABLE session_audit IS 'bars that must be in market_data, per local date of their start';
COMMENT ON COLUMN session_audit.n_regular IS 'of those, the ones whose window overlaps the regular session';

CREATE TABLE backfill_runs (
    run_id      text PRIMARY KEY,
    script      text NOT NULL,
    started_at  timestamptz NOT NULL,
    finished_at timestamptz,
    status      text NOT NULL CHECK (status IN ('running', 'complete', 'partial', 'failed', 'interrupted')),
    arguments   jsonb NOT NULL,
    summary     jsonb,
    audit       jsonb
);
CREATE INDEX backfill_runs_started ON backfill_runs (started_at);
