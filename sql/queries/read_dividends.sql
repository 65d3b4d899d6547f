-- Dividends of these symbols with dates from a day on, and whatever else has one of these ids.
-- $1 symbols text[]   $2 since date (NULL = ever)   $3 ids text[]
-- -> id, symbol, ex_date, cash_amount, currency, kind, frequency, declaration_date, record_date, pay_date,
--    missing_since, withdrawn_at
-- relies on index dividends_symbol and on the primary key
SELECT id, symbol, ex_date, cash_amount, currency, kind, frequency, declaration_date, record_date, pay_date,
       missing_since, withdrawn_at
FROM dividends
WHERE (symbol = ANY($1::text[]) AND ex_date >= coalesce($2::date, '-infinity')) OR id = ANY($3::text[])
