-- What a channel may have to be told: open alerts, and ended ones of whose end it does not know; oldest first.
-- $1 channel text
-- -> alert_id, rule, subject, severity, text, raised_at, resolved_at, tried boolean, told_severity, attempts
-- relies on index alerts_open and the primary key of alert_deliveries
SELECT a.alert_id, a.rule, a.subject, a.severity, a.text, a.raised_at, a.resolved_at,
       d.alert_id IS NOT NULL AS tried, d.told_severity, d.attempts
FROM alerts AS a LEFT JOIN alert_deliveries AS d ON d.alert_id = a.alert_id AND d.channel = $1
WHERE a.resolved_at IS NULL
UNION ALL
SELECT a.alert_id, a.rule, a.subject, a.severity, a.text, a.raised_at, a.resolved_at,
       true, d.told_severity, d.attempts
FROM alert_deliveries AS d JOIN alerts AS a ON a.alert_id = d.alert_id
WHERE d.channel = $1 AND NOT d.told_end AND a.resolved_at IS NOT NULL
ORDER BY raised_at, alert_id
