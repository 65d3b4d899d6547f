-- The date on which the oldest bar of any series begins.
-- -> date, by UTC; NULL if there is no bar
-- reads series_status only
SELECT (min(first_ts) AT TIME ZONE 'UTC')::date FROM series_status
