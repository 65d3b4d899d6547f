"""The library of market-backfill. Floors, top to bottom; imports run downward only.

commands     what the user types and sees
jobs         in what order things happen
wiring       opens and closes the outside things, hands them to a job
vendor       the vendor's words: client, pages, error answers; the emulator that speaks the same protocol
store        PostgreSQL: embedded server, schema, COPY, ledger, locks
notify       where alerts go: webhook, mail
alerts       what deserves to wake somebody, and what each channel has been told
metrics      the figures of a database in the format of Prometheus
page         matrix and calendars of a run as one HTML file
audit        the JSON document of a run
entitlement  what the plan turned out not to include
health       whether the database can be trusted, and why not
estimate     what asking costs: requests by kind, pages, bytes
cover plan rollup adjustment checks gaps verification indicators freshness      pure
actions coverage sessions retry breaker budget concurrency sql redaction       tiny
settings outcome bars symbols zones timeframe clock errors   words spoken in several rooms
"""
