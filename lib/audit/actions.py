"""What the audit says of splits and dividends: the part ``corporate_actions`` of the document."""

from typing import Annotated, TypedDict


class ActionKind(TypedDict):
    """What came of asking for the splits, or for the dividends."""

    status: Annotated[
        str, "ok, failed, not_entitled, interrupted, or left: for the next run; what was known stays in force"
    ]
    error: Annotated[str | None, "why not all could be had; null if it could"]
    requests: Annotated[int, "requests answered, pages included; 0 if each symbol was asked about this day"]
    new: Annotated[int, "events not known before"]
    changed: Annotated[list[str], "events that the vendor has changed; what they were is kept"]
    missing: Annotated[
        list[str], "events no longer listed; believed once they still are not half an hour later"
    ]
    withdrawn: Annotated[list[str], "events taken back by the vendor: marked, no longer applied"]
    back: Annotated[list[str], "events listed again after they had been missing"]
    duplicates: Annotated[int, "events listed twice; dropped"]
    refused: Annotated[list[str], "events that cannot be used, and why: a ratio of 0, a missing date"]
    ignored: Annotated[int, "events of symbols that were not asked about"]


class SuspectSplit(TypedDict):
    """A split that the day bars around it do not show."""

    symbol: Annotated[str, "whose"]
    date: Annotated[str, "its execution date"]
    ratio: Annotated[str, "new shares : old ones"]
    observed: Annotated[float | None, "close before over open or close after, whichever fits better"]
    applied: Annotated[bool, "whether prices are adjusted for it all the same"]
    reason: Annotated[str | None, "what does not fit"]
    new: Annotated[bool, "whether that was found by this run"]


class PriceJump(TypedDict):
    """Day bars that look like a split of which the vendor knows nothing."""

    symbol: Annotated[str, "whose"]
    date: Annotated[str, "the session after the jump"]
    observed: Annotated[float, "close before over close after"]
    looks_like: Annotated[str, "the common ratio, new shares : old ones"]
    new: Annotated[bool, "whether it was found by this run"]


class CorporateActions(TypedDict):
    """What a run learnt of splits and dividends, and what follows for prices and features."""

    splits: Annotated[ActionKind, "what came of asking for the splits"]
    dividends: Annotated[ActionKind, "what came of asking for the dividends"]
    suspect: Annotated[list[SuspectSplit], "splits that do not fit the day bars around them"]
    jumps: Annotated[list[PriceJump], "jumps that look like a split of which the vendor knows nothing"]
    unusable_dividends: Annotated[list[str], "dividends that total returns leave out, and why"]
    features_stale: Annotated[
        list[str], "symbols whose split adjustment changed: their features are computed anew by the next run"
    ]


ACTION_SHAPES = (CorporateActions, ActionKind, SuspectSplit, PriceJump)
