"""Send messages through Apprise. https://github.com/caronc/apprise

A channel is an Apprise URL: `mailto://`, `msteams://`, `slack://`, `pagerduty://`, `json://` and a hundred more. URLs
hold secrets: they are in no log, no error and no message on the bus.
"""

import logging
from typing import Any, Literal

from shared.contracts.errors import PermanentError, TransientError
from shared.telemetry import instruments
from shared.telemetry.metric_definitions import CHANNEL, OUTCOME

NotifyType = Literal["warning", "failure"]


def kind_of(url: str) -> str:
    """Return the kind of a channel (`mailto`, `slack`), the only part of its address that may be shown."""
    return url.partition("://")[0].lower() if "://" in url else "unknown"


def is_supported(url: str) -> bool:
    """Return whether a plugin supports the address."""
    return _plugin(url) is not None


def send(url: str, title: str, text: str, weight: NotifyType) -> None:
    """Send the message to the channel. It blocks until the channel's own time-outs: run it in a thread.

    Raises PermanentError when the address is not understood, TransientError when the channel did not accept it.
    """
    plugin = _plugin(url)
    if plugin is None:
        raise PermanentError(f"the address of a {kind_of(url)} channel is not understood")
    try:
        taken = plugin.notify(body=text, title=title, notify_type=weight, body_format="text")
    except Exception as error:  # noqa: BLE001 - a plugin's own errors are as many as there are plugins
        _count(url, "failed")
        raise TransientError(f"a {kind_of(url)} channel failed ({type(error).__name__})") from None
    _count(url, "sent" if taken else "failed")
    if not taken:
        raise TransientError(f"a {kind_of(url)} channel did not take the message")


def _count(url: str, outcome: str) -> None:
    instruments.increment("countersign.notifications", 1, {CHANNEL: kind_of(url), OUTCOME: outcome})


def _plugin(url: str) -> Any:
    # Loading its plugins takes apprise more than a second: who has no channel does not pay for it.
    import apprise

    # What it logs is written by a hundred authors and may quote addresses; what carries its requests logs them whole.
    for name in ("apprise", "urllib3"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    return apprise.Apprise.instantiate(url, suppress_exceptions=True)
