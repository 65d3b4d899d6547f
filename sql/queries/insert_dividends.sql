-- Dividends the vendor lists for the first time.
-- $1 ids text[]   $2 symbols text[]   $3 ex dates date[]   $4 amounts numeric[]   $5 currencies text[]
-- $6 kinds text[]   $7 frequencies integer[]   $8 declaration, $9 record, $10 pay dates date[]   $11 now timestamptz
INSERT INTO dividends (id, symbol, ex_date, cash_amount, currency, kind, frequency, declaration_date, record_date,
                       pay_date, seen_at)
SELECT *, $11::timestamptz
FROM unnest($1::text[], $2::text[], $3::date[], $4::numeric[], $5::text[], $6::text[], $7::integer[], $8::date[],
            $9::date[], $10::date[])
