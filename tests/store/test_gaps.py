"""The state of every session: what is missing, lost, pending, not ours to have or not there to be had."""




async def test_try(market):
    await market.answered("AAPL", "1d", "2024-11-25", "2025-02-01")
    assert await market.states("AAPL", "1d", "2024-11-25", "2025-02-01") == []
