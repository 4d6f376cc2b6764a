"""What was done to the service, and by whom: a log of its own, written at every level."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from typing import Final

from .events import RequestServed
from .json_log import Entry, Structured, moment

log = logging.getLogger(__name__)

# By the routes of those who may change the service.
ACTIONS: Final = {
    "/catalog/reload": "reload",
    "/datasets/{dataset_id}/refresh": "refresh",
}


class Action(Structured):
    """One thing that somebody did or tried: the status says whether it was done."""

    def __init__(self, created: float, action: str, **fields: object) -> None:
        self._created = created
        self._fields = {"action": action, **{name: v for name, v in fields.items() if v}}

    def entries(self) -> Iterable[Entry]:
        """The one line."""
        yield Entry(self._created, f"admin: {self._fields['action']}", self._fields)

    def __str__(self) -> str:
        words = [f"{name}={value}" for name, value in self._fields.items()]
        return " ".join([f"time={moment(self._created)}", "level=info", *words])


def write_action(event: RequestServed) -> None:
    """Log the request, if it came by a route of admins; the id finds its line among the others."""
    action = ACTIONS.get(event.route)
    if action is not None:
        log.info(
            Action(
                event.ended,
                action,
                dataset=event.dataset,
                key=event.key,
                client=event.client,
                status=event.status,
                id=event.id,
            )
        )


def write_signalled(action: str) -> None:
    """Log what whoever may signal the process asked for."""
    log.info(Action(time.time(), action, by="SIGHUP"))
