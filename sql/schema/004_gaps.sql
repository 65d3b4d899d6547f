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
-- day_start, day_end: local midnights around all bars that count for the unit.
-- cover_start, cover_end: what the ledger must hold for the unit to be covered.
-- ends: when the unit is over; it settles some time after.
CREATE FUNCTION session_units(wanted_calendar text, wanted_timeframe text, first date, past date)
RETURNS TABLE (unit_date date, last_date date, day_start timestamptz, day_end timestamptz,
               cover_start timestamptz, cover_end timestamptz, ends timestamptz)
LANGUAGE sql STABLE AS $$
    WITH local AS (
        SELECT s.*, c.zone,
               s.session_date::timestamp AT TIME ZONE c.zone AS midnight,
               (s.session_date + 1)::timestamp AT TIME ZONE c.zone AS next_midnight,
               s.session_date - extract(dow FROM s.session_date)::integer AS sunday
        FROM sessions AS s JOIN calendars AS c USING (calendar)
        WHERE s.calendar = wanted_calendar
          AND CASE WHEN wanted_timeframe = '1w'
              THEN s.session_date >= first - extract(dow FROM first)::integer
                   AND s.session_date < past + (7 - extract(dow FROM past)::integer) % 7
              ELSE s.session_date >= first AND s.session_date < past END
    )
    SELECT session_date, session_date, midnight, next_midnight,
           CASE WHEN wanted_timeframe = '1d' THEN midnight ELSE extended_open_utc END,
           CASE wanted_timeframe
                WHEN '1d' THEN next_midnight
                -- Windows of 4 h do not end with the session in winter; all shorter ones do.
                WHEN '4h' THEN to_timestamp(ceil(extract(epoch FROM extended_close_utc) / 14400) * 14400)
                ELSE extended_close_utc END,
           CASE wanted_timeframe
                WHEN '4h' THEN to_timestamp(ceil(extract(epoch FROM extended_close_utc) / 14400) * 14400)
                ELSE extended_close_utc END
    FROM local WHERE wanted_timeframe <> '1w'
    UNION ALL
    SELECT sunday, sunday + 6,
           sunday::timestamp AT TIME ZONE min(zone), (sunday + 7)::timestamp AT TIME ZONE min(zone),
           sunday::timestamp AT TIME ZONE min(zone), (sunday + 7)::timestamp AT TIME ZONE min(zone),
           max(extended_close_utc)
    FROM local WHERE wanted_timeframe = '1w' GROUP BY sunday
$$;
