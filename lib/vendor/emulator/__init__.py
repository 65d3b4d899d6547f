"""A local server that speaks the vendor's protocol: for tests, for ``--demo``, and to be run by hand.

    server        the socket, the order of checks, the control endpoints
    routes        which path is which question
    aggregates    bars of a range, with limit, paging and the dropped partial window
    grouped       bars of a whole market on one date
    actions       splits and dividends, both generations
    reference     tickers, market status, holidays
    feed          what a market shows at an instant: clock, delay, withheld minutes, split adjustment
    entitlement   what the plan refuses
    windows       the vendor's windows and the roll-up into them
    market        the port to a market, and one kept in memory
    folder        a market of CSV files
    simulated     a market made up, for any ticker and date;  traits: what an instrument in it is like
    nyse          the exchange's sessions and holidays, by rule
    faults        when something goes wrong;  defects: what;  delivery: how it reaches the wire
    limits        the vendor's rate limit;  counts: what was asked
    parameters    reading a question's parameters;  question: one request as those who answer see it
    wire          bars and answers as JSON
    settings      all of its knobs;  clock: a clock that shows any time

Nothing here imports the client, the roll-up or the calendar of the toolkit: they are checked against it.
"""
