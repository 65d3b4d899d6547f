-- The eras of a symbol, for every timeframe they hold for.
-- $1 symbol   $2 era_start timestamptz[] (NULL = ever)   $3 era_end timestamptz[]   $4 factor float8[]
-- $5 as_of_start timestamptz[]   $6 as_of_end timestamptz[] (NULL = ever)   $7 weekly boolean[]   $8 timeframes text[]
INSERT INTO split_eras (symbol, timeframe, era_start, era_end, factor, as_of_start, as_of_end)
SELECT $1::text, timeframe, coalesce(era_start, '-infinity'), era_end, factor, as_of_start,
       coalesce(as_of_end, 'infinity')
FROM unnest($2::timestamptz[], $3::timestamptz[], $4::float8[], $5::timestamptz[], $6::timestamptz[], $7::boolean[])
     AS era (era_start, era_end, factor, as_of_start, as_of_end, weekly)
JOIN unnest($8::text[]) AS timeframe ON weekly = (timeframe = '1w')
