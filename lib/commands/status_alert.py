"""``backfill_status.py alert``: judge and tell without a run."""

from typing import Any

from lib.alerts import Condition, Severity
from lib.audit import rfc3339
from lib.clock import SystemClock
from lib.commands.after import alerting_of, look_and_tell, report, show
from lib.commands.running import set_up_logging
from lib.commands.status_reading import Place
from lib.errors import UsageError
from lib.jobs.alerts import Delivery, deliver
from lib.notify.message import test_message

OK, WARNING, CRITICAL = 0, 1, 2  # as the monitors of the Nagios kind read it
_STATUS = {None: OK, Severity.WARNING: WARNING, Severity.CRITICAL: CRITICAL}


async def tell(place: Place) -> int:
    """Judge the database and tell what is new. The exit status says what holds, delivered or not."""
    settings, clock = place.settings(), SystemClock()
    set_up_logging(place.output, settings)
    seen = await look_and_tell(alerting_of(settings), settings, clock)
    if not place.output.as_json:
        show(place.output.console(always=True), seen)
        if not seen.conditions:
            place.output.console().print("nothing to tell")
    for delivery in seen.deliveries:
        report(delivery, place.output)
    place.output.result(
        {
            "timestamp": rfc3339(clock.now()),
            "severity": seen.worst,
            "conditions": [_document(condition) for condition in seen.conditions],
            "deliveries": [_delivery(delivery) for delivery in seen.deliveries],
        }
    )
    return _STATUS[seen.worst]


async def send_test(place: Place) -> int:
    """Send a test message to every channel; 1 where one did not arrive. Raises UsageError if there is none."""
    settings, clock = place.settings(), SystemClock()
    set_up_logging(place.output, settings)
    channels = alerting_of(settings).channels
    if not channels:
        raise UsageError(
            "no channel is set up",
            hint="set ALERT_WEBHOOK_URL, or mail.to in alerts.toml (see alerts.toml.example)",
        )
    message = test_message(settings.database_name, clock.now())
    done = [Delivery(one.name, (), await deliver(one, message, clock)) for one in channels]
    for delivery in done:
        report(delivery, place.output)
        if delivery.error is None:
            place.output.console().print(f"delivered by {delivery.channel}")
    place.output.result({"deliveries": [_delivery(delivery) for delivery in done]})
    return 1 if any(delivery.error for delivery in done) else OK


def _document(condition: Condition) -> dict[str, Any]:
    return {
        "rule": condition.rule,
        "subject": condition.subject,
        "severity": condition.severity,
        "text": condition.text,
        "next": condition.remedy,
    }


def _delivery(delivery: Delivery) -> dict[str, Any]:
    return {
        "channel": delivery.channel,
        "alerts": len(delivery.notices),
        "error": str(delivery.error) if delivery.error else None,
    }
