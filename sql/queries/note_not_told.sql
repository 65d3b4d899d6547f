-- A channel could not be told of alerts.
-- $1 channel text   $2 alert_ids bigint[]   $3 now timestamptz
INSERT INTO alert_deliveries (alert_id, channel, attempts, tried_at)
SELECT alert_id, $1, 1, $3 FROM unnest($2::bigint[]) AS missed(alert_id)
ON CONFLICT (alert_id, channel)
DO UPDATE SET attempts = alert_deliveries.attempts + 1, tried_at = excluded.tried_at
