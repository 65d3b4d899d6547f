-- Trading calendars: which dates are sessions, and the hours of each.

CREATE TABLE calendars (
    calendar       text COLLATE "C" PRIMARY KEY,
    zone           text NOT NULL,
    extended_open  time,
    extended_after interval NOT NULL,
    version        text NOT NULL,
    known_from     date NOT NULL,
    horizon        date NOT NULL CHECK (horizon > known_from),
    refreshed_at   timestamptz NOT NULL DEFAULT now()
);
COMMENT ON COLUMN calendars.zone IS 'whose dates name the sessions';
COMMENT ON COLUMN calendars.extended_open IS 'wall clock of the zone at which bars may begin; null: with the session';
COMMENT ON COLUMN calendars.extended_after IS 'how long after the regular close bars may still appear';
COMMENT ON COLUMN calendars.version IS 'of the library that filled trading_sessions';
COMMENT ON COLUMN calendars.horizon IS 'first date no longer known; a date before it without a session is a closed day';

CREATE TABLE trading_sessions (
    calendar     text COLLATE "C" NOT NULL,
    session_date date NOT NULL,
    open_utc     timestamptz NOT NULL,
    close_utc    timestamptz NOT NULL,
    PRIMARY KEY (calendar, session_date),
    CHECK (open_utc < close_utc)
);
COMMENT ON TABLE trading_sessions IS 'regular hours as the library knows them; read the view sessions, where overrides count';

CREATE TABLE calendar_overrides (
    calendar     text COLLATE "C" NOT NULL,
    session_date date NOT NULL,
    kind         text NOT NULL CHECK (kind IN ('closed', 'early', 'late', 'open')),
    open_utc     timestamptz,
    close_utc    timestamptz,
    source       text NOT NULL,
    noted_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (calendar, session_date),
    CHECK (open_utc < close_utc),
    CHECK (CASE kind WHEN 'closed' THEN open_utc IS NULL AND close_utc IS NULL
                     WHEN 'early' THEN close_utc IS NOT NULL
                     WHEN 'late' THEN open_utc IS NOT NULL
                     ELSE open_utc IS NOT NULL AND close_utc IS NOT NULL END)
);
COMMENT ON TABLE calendar_overrides IS 'announced after the library''s release; they win over trading_sessions';
COMMENT ON COLUMN calendar_overrides.kind IS
    'closed: no session; early, late: another close or open, the other as it was; open: a session with these hours';
COMMENT ON COLUMN calendar_overrides.source IS 'who said so: a link or a name';

-- What counts: overrides applied, extended hours added, nothing beyond the known dates.
-- Two branches, so that a condition on the key reaches the primary keys of both tables.
CREATE VIEW sessions AS
SELECT c.calendar, e.session_date, e.open_utc, e.close_utc,
       least(e.open_utc, (e.session_date + c.extended_open) AT TIME ZONE c.zone) AS extended_open_utc,
       e.close_utc + c.extended_after AS extended_close_utc
FROM calendars c
JOIN (SELECT s.calendar, s.session_date,
             coalesce(o.open_utc, s.open_utc) AS open_utc, coalesce(o.close_utc, s.close_utc) AS close_utc
      FROM trading_sessions s
      LEFT JOIN calendar_overrides o ON o.calendar = s.calendar AND o.session_date = s.session_date
      WHERE o.kind IS DISTINCT FROM 'closed'
      UNION ALL
      SELECT o.calendar, o.session_date, o.open_utc, o.close_utc
      FROM calendar_overrides o
      WHERE o.kind = 'open'
        AND NOT EXISTS (SELECT FROM trading_sessions s
                        WHERE s.calendar = o.calendar AND s.session_date = o.session_date)) e
  ON e.calendar = c.calendar AND e.session_date >= c.known_from AND e.session_date < c.horizon;
COMMENT ON VIEW sessions IS 'the sessions in force: regular hours, and the extended ones in which bars may exist';
