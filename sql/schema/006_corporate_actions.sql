-- Splits and dividends, what is applied of them, and bars adjusted by them as they are read.

CREATE TABLE splits (
    id             text COLLATE "C" PRIMARY KEY,
    symbol         text COLLATE "C" NOT NULL,
    execution_date date NOT NULL,
    split_from     numeric NOT NULL CHECK (split_from > 0),
    split_to       numeric NOT NULL CHECK (split_to > 0),
    kind           text,
    verdict        text NOT NULL DEFAULT 'unchecked' CHECK (verdict IN ('unchecked', 'fits', 'suspect')),
    applied        boolean NOT NULL DEFAULT true,
    forced         boolean,
    observed       double precision,
    reason         text,
    seen_at        timestamptz NOT NULL,
    changed_at     timestamptz,
    missing_since  timestamptz,
    withdrawn_at   timestamptz,
    previous       jsonb NOT NULL DEFAULT '[]'
);
CREATE INDEX splits_symbol ON splits (symbol, execution_date);
COMMENT ON COLUMN splits.id IS 'the vendor''s; own: where it gave none';
COMMENT ON COLUMN splits.split_to IS 'split_to new shares for split_from old ones, before the open of execution_date';
COMMENT ON COLUMN splits.verdict IS 'whether the day bars around it show such a jump; unchecked: they are not stored';
COMMENT ON COLUMN splits.applied IS 'whether prices are adjusted for it; forced wins over the verdict';
COMMENT ON COLUMN splits.forced IS 'set by hand: true applies it, false does not, whatever the bars show';
COMMENT ON COLUMN splits.observed IS 'last close before over first open or close after, whichever fits better';
COMMENT ON COLUMN splits.missing_since IS 'the vendor no longer listed it then; asked again before it is believed';
COMMENT ON COLUMN splits.withdrawn_at IS 'the vendor has taken it back; it is not applied';
COMMENT ON COLUMN splits.previous IS 'what it said before the vendor changed it, oldest first';

CREATE TABLE dividends (
    id               text COLLATE "C" PRIMARY KEY,
    symbol           text COLLATE "C" NOT NULL,
    ex_date          date NOT NULL,
    cash_amount      numeric NOT NULL CHECK (cash_amount > 0),
    currency         text NOT NULL,
    kind             text,
    frequency        integer,
    declaration_date date,
    record_date      date,
    pay_date         date,
    seen_at          timestamptz NOT NULL,
    changed_at       timestamptz,
    missing_since    timestamptz,
    withdrawn_at     timestamptz,
    previous         jsonb NOT NULL DEFAULT '[]'
);
CREATE INDEX dividends_symbol ON dividends (symbol, ex_date);
COMMENT ON COLUMN dividends.cash_amount IS 'as paid, per share of the ex date';

CREATE TABLE corporate_action_checks (
    symbol     text COLLATE "C" NOT NULL,
    kind       text NOT NULL CHECK (kind IN ('splits', 'dividends')),
    checked_at timestamptz NOT NULL,
    full_at    timestamptz NOT NULL,
    PRIMARY KEY (symbol, kind)
);
COMMENT ON TABLE corporate_action_checks IS 'when the vendor was last asked for the events of a symbol';
COMMENT ON COLUMN corporate_action_checks.full_at IS 'and when for all of them, not only for those since the last time';

CREATE TABLE price_jumps (
    symbol       text COLLATE "C" NOT NULL,
    session_date date NOT NULL,
    observed     double precision NOT NULL,
    looks_like   text NOT NULL,
    noted_at     timestamptz NOT NULL,
    dismissed    boolean NOT NULL DEFAULT false,
    PRIMARY KEY (symbol, session_date)
);
COMMENT ON TABLE price_jumps IS 'day bars that look like a split of which the vendor knows nothing; nothing is adjusted for them';
COMMENT ON COLUMN price_jumps.observed IS 'close before over close after';
COMMENT ON COLUMN price_jumps.dismissed IS 'set by hand: looked at, no longer reported';

CREATE TABLE split_bases (
    symbol  text COLLATE "C" PRIMARY KEY,
    applied text NOT NULL,
    basis   text NOT NULL,
    since   timestamptz NOT NULL
);
COMMENT ON TABLE split_bases IS 'the splits by which a symbol was adjusted when it was last looked at; no row: none';
COMMENT ON COLUMN split_bases.applied IS 'the splits that split_eras rests on, announced ones included';
COMMENT ON COLUMN split_bases.basis IS 'those that had been executed; a change makes the symbol''s features stale';

-- One row per timeframe, so that the join below is on both columns of the key of market_data.
CREATE TABLE split_eras (
    symbol      text COLLATE "C" NOT NULL,
    timeframe   text COLLATE "C" NOT NULL,
    era_start   timestamptz NOT NULL,
    era_end     timestamptz NOT NULL CHECK (era_end > era_start),
    factor      double precision CHECK (factor > 0),
    as_of_start timestamptz NOT NULL,
    as_of_end   timestamptz NOT NULL CHECK (as_of_end > as_of_start),
    PRIMARY KEY (symbol, timeframe, as_of_start, era_start)
);
COMMENT ON TABLE split_eras IS 'by how much the bars of an era are adjusted; bars in no era are as they are';
COMMENT ON COLUMN split_eras.factor IS
    'shares now for a share then: prices are divided by it, volume multiplied; null: a week with a split inside';
COMMENT ON COLUMN split_eras.as_of_start IS 'the row counts for who looks at or after this and before as_of_end';

CREATE TYPE adjusted_bar AS (
    symbol     text COLLATE "C",
    timeframe  text COLLATE "C",
    timestamp  timestamptz,
    open       double precision,
    high       double precision,
    low        double precision,
    close      double precision,
    volume     double precision,
    vwap       double precision,
    trades     bigint,
    source     text,
    fetched_at timestamptz
);

-- The week [week_start, week_end), in which a split was executed after the first session, from its adjusted
-- days: the raw week holds prices of two bases. All null if no days are stored.
CREATE FUNCTION adjusted_week(wanted_symbol text, week_start timestamptz, week_end timestamptz, moment timestamptz)
RETURNS adjusted_bar LANGUAGE sql STABLE AS $$
    SELECT wanted_symbol, '1w', week_start,
           (array_agg(open ORDER BY timestamp))[1], max(high), min(low),
           (array_agg(close ORDER BY timestamp DESC))[1], sum(volume),
           CASE WHEN sum(volume) > 0 AND count(vwap) = count(*) THEN sum(vwap * volume) / sum(volume) END,
           NULL::bigint, NULL::text, NULL::timestamptz
    FROM (SELECT d.timestamp, d.open / coalesce(e.factor, 1) AS open, d.high / coalesce(e.factor, 1) AS high,
                 d.low / coalesce(e.factor, 1) AS low, d.close / coalesce(e.factor, 1) AS close,
                 d.volume * coalesce(e.factor, 1) AS volume, d.vwap / coalesce(e.factor, 1) AS vwap
          FROM market_data AS d
          LEFT JOIN split_eras AS e
            ON e.symbol = d.symbol AND e.timeframe = d.timeframe
           AND d.timestamp >= e.era_start AND d.timestamp < e.era_end
           AND e.as_of_start <= moment AND e.as_of_end > moment
          WHERE d.symbol = wanted_symbol AND d.timeframe = '1d'
            AND d.timestamp >= week_start AND d.timestamp < week_end) AS days
$$;

-- Bars adjusted for the splits executed up to *moment*. One SELECT, so that it is planned as a part of the
-- query that uses it: a condition on symbol, timeframe and timestamp reaches the primary key.
CREATE FUNCTION adjusted_as_of(moment timestamptz)
RETURNS SETOF adjusted_bar LANGUAGE sql STABLE AS $$
    SELECT m.symbol, m.timeframe, m.timestamp,
           CASE WHEN e.symbol IS NULL THEN m.open WHEN e.factor IS NOT NULL THEN m.open / e.factor
                ELSE (adjusted_week(m.symbol, e.era_start, e.era_end, moment)).open END,
           CASE WHEN e.symbol IS NULL THEN m.high WHEN e.factor IS NOT NULL THEN m.high / e.factor
                ELSE (adjusted_week(m.symbol, e.era_start, e.era_end, moment)).high END,
           CASE WHEN e.symbol IS NULL THEN m.low WHEN e.factor IS NOT NULL THEN m.low / e.factor
                ELSE (adjusted_week(m.symbol, e.era_start, e.era_end, moment)).low END,
           CASE WHEN e.symbol IS NULL THEN m.close WHEN e.factor IS NOT NULL THEN m.close / e.factor
                ELSE (adjusted_week(m.symbol, e.era_start, e.era_end, moment)).close END,
           CASE WHEN e.symbol IS NULL THEN m.volume WHEN e.factor IS NOT NULL THEN m.volume * e.factor
                ELSE (adjusted_week(m.symbol, e.era_start, e.era_end, moment)).volume END,
           CASE WHEN e.symbol IS NULL THEN m.vwap WHEN e.factor IS NOT NULL THEN m.vwap / e.factor
                ELSE (adjusted_week(m.symbol, e.era_start, e.era_end, moment)).vwap END,
           m.trades, m.source, m.fetched_at
    FROM market_data AS m
    LEFT JOIN split_eras AS e
      ON e.symbol = m.symbol AND e.timeframe = m.timeframe
     AND m.timestamp >= e.era_start AND m.timestamp < e.era_end
     AND e.as_of_start <= moment AND e.as_of_end > moment
$$;

CREATE VIEW market_data_adjusted AS SELECT * FROM adjusted_as_of(now());
COMMENT ON VIEW market_data_adjusted IS 'bars adjusted for splits, not for dividends';

-- What a dividend does to the prices before it, by the method of CRSP: on the ex date the price falls by the
-- dividend, so that prices before it are multiplied by 1 - D / P, with D the dividends of that date and P the last
-- close before it, both per share of one basis. era_factor: the product over this and all later ex dates; it
-- multiplies the split-adjusted prices of [era_start, ex_time). factor is null where it cannot be had: no day bar
-- in the ten days before, or a dividend as large as the price; such a one does not count.
CREATE TYPE dividend_era AS (
    symbol       text COLLATE "C",
    era_start    timestamptz,
    ex_time      timestamptz,
    cash         double precision,
    close_before double precision,
    factor       double precision,
    era_factor   double precision
);

CREATE FUNCTION dividend_eras(moment timestamptz)
RETURNS SETOF dividend_era LANGUAGE sql STABLE AS $$
    SELECT symbol, coalesce(lag(ex_time) OVER by_date, '-infinity'), ex_time, cash, close_before, factor,
           exp(sum(coalesce(ln(factor), 0)) OVER (PARTITION BY symbol ORDER BY ex_time DESC))
    FROM (SELECT x.symbol, x.ex_time, x.cash / coalesce(e.factor, 1) AS cash, before.close AS close_before,
                 CASE WHEN x.cash / coalesce(e.factor, 1) < before.close
                      THEN 1 - x.cash / coalesce(e.factor, 1) / before.close END AS factor
          FROM (SELECT d.symbol, d.ex_date::timestamp AT TIME ZONE 'America/New_York' AS ex_time,
                       sum(d.cash_amount)::double precision AS cash
                FROM dividends AS d
                WHERE d.withdrawn_at IS NULL AND d.currency = 'USD'
                  AND d.ex_date::timestamp AT TIME ZONE 'America/New_York' <= moment
                GROUP BY d.symbol, d.ex_date) AS x
          LEFT JOIN split_eras AS e
            ON e.symbol = x.symbol AND e.timeframe = '1d' AND x.ex_time >= e.era_start AND x.ex_time < e.era_end
           AND e.as_of_start <= moment AND e.as_of_end > moment
          LEFT JOIN LATERAL
               (SELECT a.close FROM adjusted_as_of(moment) AS a
                WHERE a.symbol = x.symbol AND a.timeframe = '1d'
                  AND a.timestamp < x.ex_time AND a.timestamp >= x.ex_time - interval '10 days'
                ORDER BY a.timestamp DESC LIMIT 1) AS before ON true) AS factors
    WINDOW by_date AS (PARTITION BY symbol ORDER BY ex_time)
$$;

CREATE TYPE total_return_bar AS (
    symbol             text COLLATE "C",
    timeframe          text COLLATE "C",
    timestamp          timestamptz,
    close              double precision,
    total_return_close double precision
);

-- A close belongs to the end of its bar: that of a week is after every ex date in it.
CREATE FUNCTION total_return_as_of(moment timestamptz)
RETURNS SETOF total_return_bar LANGUAGE sql STABLE AS $$
    SELECT a.symbol, a.timeframe, a.timestamp, a.close, a.close * coalesce(d.era_factor, 1)
    FROM adjusted_as_of(moment) AS a
    LEFT JOIN dividend_eras(moment) AS d
      ON d.symbol = a.symbol
     AND a.timestamp + CASE a.timeframe WHEN '1w' THEN interval '156 hours' ELSE interval '0' END >= d.era_start
     AND a.timestamp + CASE a.timeframe WHEN '1w' THEN interval '156 hours' ELSE interval '0' END < d.ex_time
$$;

CREATE VIEW market_data_total_return AS SELECT * FROM total_return_as_of(now());
COMMENT ON VIEW market_data_total_return IS
    'closes adjusted for splits, and for splits and dividends: the ratio of two of the latter is what an owner gained';
