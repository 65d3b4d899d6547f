-- What the keys are hashed with in this database.
-- -> salt bytea
SELECT salt FROM rate_budget_salt
