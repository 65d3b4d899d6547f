-- A place for changed bars before they are merged; it goes with the transaction.
CREATE TEMPORARY TABLE IF NOT EXISTS bar_stage (LIKE market_data) ON COMMIT DROP
