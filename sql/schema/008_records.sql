-- What every run did, symbol by symbol, and how far each series is.

ALTER TABLE backfill_runs
    ADD COLUMN host            text,
    ADD COLUMN pid             integer,
    ADD COLUMN exit_status     integer,
    ADD COLUMN error           text,
    ADD COLUMN requests        bigint,
    ADD COLUMN rate_limited    bigint,
    ADD COLUMN bars            bigint,
    ADD COLUMN api_seconds     double precision,
    ADD COLUMN db_seconds      double precision,
    ADD COLUMN compute_seconds double precision;
COMMENT ON TABLE backfill_runs IS 'every run of every script, from its start';
COMMENT ON COLUMN backfill_runs.status IS 'running also after a kill: whether the process lives, pid on host tells';
COMMENT ON COLUMN backfill_runs.exit_status IS 'NULL: interrupted by a signal, or still running';
COMMENT ON COLUMN backfill_runs.error IS 'what ended it early';
COMMENT ON COLUMN backfill_runs.bars IS 'new and changed bars; of backfill_features, rows of features';
COMMENT ON COLUMN backfill_runs.api_seconds IS 'while a request was under way; the three overlap';

UPDATE backfill_runs
SET requests = (audit #>> '{requests,total}')::bigint,
    rate_limited = (audit #>> '{requests,rate_limited}')::bigint,
    api_seconds = (audit #>> '{timing,api_seconds}')::double precision,
    db_seconds = (audit #>> '{timing,db_seconds}')::double precision,
    compute_seconds = (audit #>> '{timing,compute_seconds}')::double precision
WHERE audit IS NOT NULL;

CREATE TABLE run_results (
    run_id    text NOT NULL REFERENCES backfill_runs ON DELETE CASCADE,
    symbol    text COLLATE "C" NOT NULL,
    timeframe text COLLATE "C" NOT NULL,
    status    text NOT NULL,
    written   bigint NOT NULL,
    requests  bigint NOT NULL,
    seconds   double precision NOT NULL,
    error     text,
    PRIMARY KEY (run_id, symbol, timeframe)
);
COMMENT ON TABLE run_results IS 'what came of each series of a run; of those with an error, the log of failures';
COMMENT ON COLUMN run_results.timeframe IS 'of corporate actions: splits or dividends, for all symbols together';
COMMENT ON COLUMN run_results.status IS 'as in the audit of the run';
COMMENT ON COLUMN run_results.written IS 'bars, rows of features or events that were new or had changed';
CREATE INDEX run_results_failed ON run_results (symbol, timeframe, run_id) WHERE error IS NOT NULL;

-- One small row a series, changed with every page that is written: room is left in each page of the table, so that
-- a change needs no new index entry.
CREATE TABLE series_status (
    symbol         text COLLATE "C" NOT NULL,
    timeframe      text COLLATE "C" NOT NULL,
    n_bars         bigint NOT NULL DEFAULT 0,
    n_lost         bigint NOT NULL DEFAULT 0,
    first_ts       timestamptz,
    last_ts        timestamptz,
    answered_until timestamptz,
    empty_until    timestamptz,
    refused_until  timestamptz,
    written_at     timestamptz,
    attempted_at   timestamptz,
    failures       integer NOT NULL DEFAULT 0,
    error          text,
    PRIMARY KEY (symbol, timeframe)
) WITH (fillfactor = 60);
COMMENT ON TABLE series_status IS 'how far each series is; kept by the transactions that write its bars, ledger and gaps';
COMMENT ON COLUMN series_status.n_bars IS 'by the audited counts';
COMMENT ON COLUMN series_status.n_lost IS 'of those, found to be gone by the gaps that are open';
COMMENT ON COLUMN series_status.answered_until IS
    'up to here the vendor has answered with bars: later minutes without one are minutes without a trade';
COMMENT ON COLUMN series_status.empty_until IS 'up to here the vendor has answered that there are none';
COMMENT ON COLUMN series_status.refused_until IS 'up to here the plan does not include it';
COMMENT ON COLUMN series_status.written_at IS 'when bars of it were new or changed';
COMMENT ON COLUMN series_status.attempted_at IS 'when a run last ended that was to fetch it';
COMMENT ON COLUMN series_status.failures IS 'such runs that failed in a row, up to now';
COMMENT ON COLUMN series_status.error IS 'why the last of them failed';

-- The ways into a table of any size: the first and last bar of each series by the primary key, without reading on.
CREATE FUNCTION stored_series()
RETURNS TABLE (symbol text, timeframe text, first_ts timestamptz, last_ts timestamptz)
LANGUAGE sql STABLE AS $$
    WITH RECURSIVE series AS (
        (SELECT m.symbol, m.timeframe FROM market_data AS m ORDER BY m.symbol, m.timeframe LIMIT 1)
        UNION ALL
        SELECT n.symbol, n.timeframe
        FROM series AS s
        CROSS JOIN LATERAL (SELECT m.symbol, m.timeframe FROM market_data AS m
                            WHERE (m.symbol, m.timeframe) > (s.symbol, s.timeframe)
                            ORDER BY m.symbol, m.timeframe LIMIT 1) AS n
    )
    SELECT s.symbol, s.timeframe,
           (SELECT m.timestamp FROM market_data AS m WHERE m.symbol = s.symbol AND m.timeframe = s.timeframe
            ORDER BY m.timestamp LIMIT 1),
           (SELECT m.timestamp FROM market_data AS m WHERE m.symbol = s.symbol AND m.timeframe = s.timeframe
            ORDER BY m.timestamp DESC LIMIT 1)
    FROM series AS s
$$;

-- What databases had before this table was made. Derived series were answered with their base.
INSERT INTO series_status (symbol, timeframe, n_bars, first_ts, last_ts, answered_until, empty_until, refused_until)
WITH audited AS (
    SELECT symbol, timeframe, sum(n_bars)::bigint AS n_bars FROM session_audit GROUP BY symbol, timeframe
),
answered AS (
    SELECT symbol, timeframe, max(upper(rng)) FILTER (WHERE n_bars > 0) AS answered_until,
           max(upper(rng)) FILTER (WHERE outcome = 'empty') AS empty_until,
           max(upper(rng)) FILTER (WHERE outcome = 'not_entitled') AS refused_until
    FROM fetch_log GROUP BY symbol, timeframe
),
stored AS (SELECT * FROM stored_series()),
every AS (
    SELECT symbol, timeframe FROM audited UNION SELECT symbol, timeframe FROM answered
    UNION SELECT symbol, timeframe FROM stored
)
SELECT e.symbol, e.timeframe, coalesce(a.n_bars, 0), s.first_ts, s.last_ts,
       coalesce(own.answered_until, CASE WHEN own.symbol IS NULL THEN base.answered_until END),
       coalesce(own.empty_until, CASE WHEN own.symbol IS NULL THEN base.empty_until END),
       coalesce(own.refused_until, CASE WHEN own.symbol IS NULL THEN base.refused_until END)
FROM every AS e
LEFT JOIN audited AS a ON a.symbol = e.symbol AND a.timeframe = e.timeframe
LEFT JOIN stored AS s ON s.symbol = e.symbol AND s.timeframe = e.timeframe
LEFT JOIN answered AS own ON own.symbol = e.symbol AND own.timeframe = e.timeframe
LEFT JOIN answered AS base
    ON base.symbol = e.symbol AND base.timeframe = CASE WHEN e.timeframe IN ('1d', '1w') THEN '1d' ELSE '1m' END;

-- What operators ask.

CREATE VIEW latest_bars AS
SELECT s.symbol, s.timeframe, s.n_bars - s.n_lost AS n_bars, s.first_ts, s.last_ts, s.answered_until, s.written_at
FROM series_status AS s
WHERE s.last_ts IS NOT NULL;
COMMENT ON VIEW latest_bars IS 'the first and the newest bar of each series, and how many there are';

CREATE VIEW symbol_records AS
SELECT t.symbol, t.asset_class, t.vendor_ticker, t.active, coalesce(s.n_bars, 0) AS n_bars, s.first_ts, s.last_ts,
       coalesce(g.gaps, 0) AS open_gaps, coalesce(g.days, 0) AS open_gap_days
FROM tracked_symbols AS t
LEFT JOIN (SELECT symbol, sum(n_bars - n_lost)::bigint AS n_bars, min(first_ts) AS first_ts, max(last_ts) AS last_ts
           FROM series_status GROUP BY symbol) AS s USING (symbol)
LEFT JOIN (SELECT symbol, count(*) AS gaps, sum(days) AS days
           FROM backfill_gaps WHERE NOT filled GROUP BY symbol) AS g USING (symbol);
COMMENT ON VIEW symbol_records IS 'per tracked symbol: records, first and last bar and open gaps, all timeframes together';

CREATE VIEW open_gaps AS
SELECT symbol, timeframe, gap_start, gap_end, days, state, attempts, reason, detected_at
FROM backfill_gaps
WHERE NOT filled;
COMMENT ON VIEW open_gaps IS 'the gaps that the last runs and scans left; gap_end is the day after the last missing session';

CREATE VIEW recent_runs AS
SELECT run_id, script, started_at, finished_at, extract(epoch FROM finished_at - started_at)::double precision AS seconds,
       status, exit_status, error, host, pid, requests, rate_limited, bars, api_seconds, db_seconds, compute_seconds
FROM backfill_runs;
COMMENT ON VIEW recent_runs IS 'the runs with their durations, without their audits';

CREATE VIEW run_failures AS
SELECT r.run_id, b.script, b.started_at, r.symbol, r.timeframe, r.status, r.error
FROM run_results AS r JOIN backfill_runs AS b USING (run_id)
WHERE r.error IS NOT NULL;
COMMENT ON VIEW run_failures IS 'what failed in which run and why';

-- A run that was interrupted says nothing about the vendor or the data: it neither counts as a failure nor ends a
-- row of them. One that brought a part ends the row. failed_days: its dates in UTC, for an hourly job fails three
-- times in three hours.
CREATE VIEW run_statistics AS
SELECT script, count(*) AS runs, count(*) FILTER (WHERE status = 'complete') AS complete,
       round(100.0 * count(*) FILTER (WHERE status = 'complete') / count(*), 1) AS success_percent,
       percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM finished_at - started_at)) AS median_seconds,
       max(extract(epoch FROM finished_at - started_at))::double precision AS longest_seconds,
       max(started_at) AS last_started_at, max(finished_at) FILTER (WHERE status = 'complete') AS last_complete_at,
       count(*) FILTER (WHERE status = 'failed' AND nth < coalesce(first_good, nth + 1)) AS failures_in_a_row,
       count(DISTINCT (started_at AT TIME ZONE 'UTC')::date)
           FILTER (WHERE status = 'failed' AND nth < coalesce(first_good, nth + 1)) AS failed_days,
       (array_agg(status ORDER BY nth))[1] AS last_status, (array_agg(error ORDER BY nth))[1] AS last_error,
       (array_agg(requests ORDER BY nth))[1] AS last_requests,
       (array_agg(rate_limited ORDER BY nth))[1] AS last_rate_limited
FROM (SELECT *, min(nth) FILTER (WHERE status IN ('complete', 'partial')) OVER (PARTITION BY script) AS first_good
      FROM (SELECT script, status, started_at, finished_at, error, requests, rate_limited,
                   row_number() OVER (PARTITION BY script ORDER BY started_at DESC) AS nth
            FROM backfill_runs
            WHERE status NOT IN ('running', 'interrupted')) AS ended
      WHERE nth <= 30) AS numbered
GROUP BY script;
COMMENT ON VIEW run_statistics IS 'of the last 30 runs of each script that ended: how many went well, how long they took';

CREATE VIEW feature_status AS
SELECT s.symbol, s.timeframe, s.last_ts AS last_bar, f.version, f.computed_at,
       CASE WHEN e.error IS NOT NULL THEN 'failed'
            WHEN f.computed IS NULL THEN 'never'
            WHEN f.computed @> s.last_ts THEN 'current'
            ELSE 'stale' END AS state,
       e.error
FROM series_status AS s
LEFT JOIN feature_state AS f USING (symbol, timeframe)
LEFT JOIN LATERAL (
    SELECT r.error
    FROM run_results AS r JOIN backfill_runs AS b USING (run_id)
    WHERE r.symbol = s.symbol AND r.timeframe = s.timeframe AND r.error IS NOT NULL
      AND b.script = 'backfill_features' AND b.started_at > coalesce(f.computed_at, '-infinity')
    ORDER BY r.run_id DESC LIMIT 1
) AS e ON true
WHERE s.last_ts IS NOT NULL;
COMMENT ON VIEW feature_status IS
    'the features of each series: current up to its newest bar, stale, never computed, or failed since and why';
