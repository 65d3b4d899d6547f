-- What operations remember: alerts and who was told of them, and from when on bars are kept.

CREATE TABLE alerts (
    alert_id    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    rule        text COLLATE "C" NOT NULL,
    subject     text COLLATE "C" NOT NULL,
    severity    text NOT NULL CHECK (severity IN ('warning', 'critical')),
    text        text NOT NULL,
    raised_at   timestamptz NOT NULL,
    seen_at     timestamptz NOT NULL,
    resolved_at timestamptz
);
CREATE UNIQUE INDEX alerts_open ON alerts (rule, subject) WHERE resolved_at IS NULL;
COMMENT ON TABLE alerts IS 'every condition from its beginning to its end; while it holds it stays the same row';
COMMENT ON COLUMN alerts.seen_at IS 'when it was last found to hold';

CREATE TABLE alert_deliveries (
    alert_id      bigint NOT NULL REFERENCES alerts ON DELETE CASCADE,
    channel       text COLLATE "C" NOT NULL,
    told_severity text CHECK (told_severity IN ('warning', 'critical')),
    told_end      boolean NOT NULL DEFAULT false,
    attempts      integer NOT NULL DEFAULT 0,
    tried_at      timestamptz NOT NULL,
    PRIMARY KEY (alert_id, channel)
);
COMMENT ON TABLE alert_deliveries IS 'what each channel knows of an alert';
COMMENT ON COLUMN alert_deliveries.told_severity IS 'the highest it was told; null: it could not be reached yet';
COMMENT ON COLUMN alert_deliveries.attempts IS 'runs in which it could not be reached, since it last was';

CREATE TABLE retention (
    symbol    text COLLATE "C" NOT NULL,
    timeframe text COLLATE "C" NOT NULL,
    kept_from date NOT NULL,
    pruned_at timestamptz NOT NULL,
    PRIMARY KEY (symbol, timeframe)
);
COMMENT ON TABLE retention IS 'series whose old bars were dropped on purpose: before kept_from none is missing';
