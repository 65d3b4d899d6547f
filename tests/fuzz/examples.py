"""How many examples a property is tried on: a few and always the same, or many new ones (``make fuzz``)."""

import os

from hypothesis import HealthCheck, settings

TIMES = int(os.environ.get("FUZZ_TIMES", "1"))


def examples(count: int) -> settings:
    """*count* examples, or ``FUZZ_TIMES`` as many; nothing depends on how long one takes."""
    return settings(
        max_examples=count * TIMES,
        derandomize=TIMES == 1,
        deadline=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
    )
