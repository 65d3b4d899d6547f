-- What came of each series of a run.
-- $1 run_id   $2 symbols text[]   $3 timeframes text[]   $4 statuses text[]   $5 written bigint[]   $6 requests bigint[]
-- $7 seconds float8[]   $8 errors text[]
INSERT INTO run_results (run_id, symbol, timeframe, status, written, requests, seconds, error)
SELECT $1, a.*
FROM unnest($2::text[], $3::text[], $4::text[], $5::bigint[], $6::bigint[], $7::float8[], $8::text[]) AS a
