-- The vendor changed a dividend: what it said before is kept beside it, and it counts again.
-- $1 id stored   $2 symbol   $3 ex date   $4 amount   $5 currency   $6 kind   $7 frequency
-- $8 declaration, $9 record, $10 pay date   $11 now timestamptz
UPDATE dividends
SET previous = previous || jsonb_build_object(
        'until', $11::timestamptz, 'symbol', symbol, 'ex_date', ex_date, 'cash_amount', cash_amount,
        'currency', currency, 'kind', kind, 'frequency', frequency, 'declaration_date', declaration_date,
        'record_date', record_date, 'pay_date', pay_date),
    symbol = $2::text, ex_date = $3::date, cash_amount = $4::numeric, currency = $5::text, kind = $6::text,
    frequency = $7::integer, declaration_date = $8::date, record_date = $9::date, pay_date = $10::date,
    changed_at = $11::timestamptz, missing_since = NULL, withdrawn_at = NULL
WHERE id = $1::text
