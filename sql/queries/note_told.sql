-- A channel was told of alerts as they are.
-- $1 channel text   $2 alert_ids bigint[]   $3 now timestamptz
INSERT INTO alert_deliveries (alert_id, channel, told_severity, told_end, tried_at)
SELECT alert_id, $1, severity, resolved_at IS NOT NULL, $3 FROM alerts WHERE alert_id = ANY($2::bigint[])
ON CONFLICT (alert_id, channel)
DO UPDATE SET told_severity = excluded.told_severity, told_end = excluded.told_end, attempts = 0,
              tried_at = excluded.tried_at
