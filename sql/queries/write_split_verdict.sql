-- Whether a split fits the bars around it, and whether it is applied.
-- $1 id   $2 verdict   $3 applied   $4 observed jump float8   $5 reason
UPDATE splits SET verdict = $2::text, applied = $3::boolean, observed = $4::float8, reason = $5::text WHERE id = $1::text
