-- What is missing: the units in which completeness is counted, and the ledger of gaps.

CREATE TABLE backfill_gaps (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    symbol      text COLLATE "C" NOT NULL,
    timeframe   text COLLATE "C" NOT NULL,
    gap_start   date NOT NULL,
    gap_end     date NOT NULL CHECK (gap_end > gap_start),
    days        integer NOT NULL CHECK (days > 0),
    state       text NOT NULL
                CHECK (state IN ('missing', 'lost', 'contradiction', 'vendor_hole', 'suspect')),
    attempts    integer NOT NULL DEFAULT 0,
    reason      text,
    detected_at timestamptz NOT NULL,
    filled      boolean NOT NULL DEFAULT false,
    filled_at   timestamptz,
    run_id      text,
    CHECK (filled = (filled_at IS NOT NULL))
);
CREATE INDEX backfill_gaps_open ON backfill_gaps (symbol, timeframe, gap_start) WHERE NOT filled;
COMMENT ON TABLE backfill_gaps IS 'every gap from its detection to its filling; seen again, it stays the same row';
COMMENT ON COLUMN backfill_gaps.gap_end IS 'the day after the last missing session';
COMMENT ON COLUMN backfill_gaps.days IS 'missing sessions; weeks for 1w';
COMMENT ON COLUMN backfill_gaps.attempts IS 'rounds in which it was asked for';
COMMENT ON COLUMN backfill_gaps.run_id IS 'the run that saw it last or filled it';

-- The sessions of a calendar (1m..1d), or its Sunday weeks (1w), whose dates lie in [first, past).
-- bars_start, bars_end, grid: its bars begin at multiples of the grid in [bars_start, bars_end), which is the local
-- date for 1m..4h and its first instant for 1d and 1w.
-- cover_start, cover_end: what the ledger must hold for the unit to be covered.
-- ends: when the unit is over; it settles some time after.
-- STRICT keeps it from being inlined, so that the planner believes ROWS: it cannot know how many sessions a range has.
CREATE FUNCTION session_units(wanted_calendar text, wanted_timeframe text, first date, past date)
RETURNS TABLE (unit_date date, last_date date, bars_start timestamptz, bars_end timestamptz, grid interval,
               cover_start timestamptz, cover_end timestamptz, ends timestamptz)
LANGUAGE sql STABLE STRICT ROWS 500 AS $$
    WITH wanted AS (
        SELECT CASE wanted_timeframe WHEN '1m' THEN interval '1 minute' WHEN '5m' THEN interval '5 minutes'
                    WHEN '15m' THEN interval '15 minutes' WHEN '30m' THEN interval '30 minutes'
                    WHEN '1h' THEN interval '1 hour' WHEN '4h' THEN interval '4 hours' END AS step
    ),
    local AS (
        SELECT s.session_date, s.extended_open_utc, s.extended_close_utc, c.zone,
               s.session_date::timestamp AT TIME ZONE c.zone AS midnight,
               (s.session_date + 1)::timestamp AT TIME ZONE c.zone AS next_midnight,
               s.session_date - extract(dow FROM s.session_date)::integer AS sunday
        FROM sessions AS s JOIN calendars AS c USING (calendar)
        WHERE s.calendar = wanted_calendar AND first < past
          AND s.session_date
              >= first - CASE WHEN wanted_timeframe = '1w' THEN extract(dow FROM first)::integer ELSE 0 END
          AND s.session_date
              < past + CASE WHEN wanted_timeframe = '1w' THEN (7 - extract(dow FROM past)::integer) % 7 ELSE 0 END
    )
    -- The windows at both edges belong to the session whole: one of 4 h may reach beyond its hours.
    SELECT session_date, session_date, midnight, next_midnight, step,
           date_bin(step, extended_open_utc, 'epoch'),
           date_bin(step, extended_close_utc - interval '1 microsecond', 'epoch') + step,
           date_bin(step, extended_close_utc - interval '1 microsecond', 'epoch') + step
    FROM local CROSS JOIN wanted WHERE wanted_timeframe NOT IN ('1d', '1w')
    UNION ALL
    SELECT session_date, session_date, midnight, midnight + interval '1 microsecond', interval '1 microsecond',
           midnight, next_midnight, extended_close_utc
    FROM local WHERE wanted_timeframe = '1d'
    UNION ALL
    SELECT sunday, sunday + 6, midnight, midnight + interval '1 microsecond', interval '1 microsecond',
           midnight, next_midnight, ends
    FROM (SELECT sunday, sunday::timestamp AT TIME ZONE min(zone) AS midnight,
                 (sunday + 7)::timestamp AT TIME ZONE min(zone) AS next_midnight, max(extended_close_utc) AS ends
          FROM local WHERE wanted_timeframe = '1w' GROUP BY sunday) AS weeks
$$;
