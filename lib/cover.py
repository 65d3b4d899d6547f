"""The cheapest way to day bars: one request a symbol, or one a date for all symbols at once. Pure.

Every missing (symbol, date) must be covered by its symbol's request (any range of days fits one page) or by
its date's (a whole market's day). That is a minimum vertex cover of a bipartite graph, which by König's
theorem is a minimum cut. Symbols that lack the same dates are one node, and dates that the same symbols lack,
so the graph stays small: a nightly increment is one node on each side.
"""

from collections.abc import Hashable, Mapping
from typing import TypeVar

D = TypeVar("D", bound=Hashable)

# A date's request is a little dearer, so that equals go to the symbol: it needs no other symbol's answer.
_SYMBOL_COST, _DATE_COST = 1000, 1001


def dates_worth_grouping(missing: Mapping[str, frozenset[D]]) -> set[D]:
    """The dates to ask for all symbols at once; what they leave missing is asked symbol by symbol.

    *missing*: per symbol the dates it lacks. The number of requests is the least possible.
    """
    symbols: dict[frozenset[D], int] = {}
    for dates in missing.values():
        if dates:
            symbols[dates] = symbols.get(dates, 0) + 1
    if sum(symbols.values()) < 2:
        return set()
    classes = list(symbols)
    lacking: dict[frozenset[int], set[D]] = {}
    for day in frozenset().union(*classes):
        who = frozenset(i for i, dates in enumerate(classes) if day in dates)
        lacking.setdefault(who, set()).add(day)
    chosen = _cheapest([symbols[dates] for dates in classes], {who: len(d) for who, d in lacking.items()})
    return {day for who in chosen for day in lacking[who]}


def _cheapest(symbols: list[int], dates: Mapping[frozenset[int], int]) -> list[frozenset[int]]:
    """The classes of dates in the cheapest cover.

    *symbols*: how many are in each class; *dates*: likewise, by the classes of symbols that lack them.
    """
    import networkx as nx

    graph = nx.DiGraph()
    for i, count in enumerate(symbols):
        graph.add_edge("source", i, capacity=count * _SYMBOL_COST)
    for who, count in dates.items():
        graph.add_edge(who, "sink", capacity=count * _DATE_COST)
        for i in who:
            graph.add_edge(i, who)  # without a capacity: never cut
    _, (reachable, _) = nx.minimum_cut(graph, "source", "sink")
    return [who for who in dates if who in reachable]
