"""Refused requests about webhooks as problem details."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response

from services.approval.webhooks.service import UnknownWebhookError, WebhookRefusedError
from shared.outbound import NotAllowedError
from shared.runtime.api_route import ApiRoute
from shared.runtime.problems import ProblemError


class WebhookRoute(ApiRoute):
    """Answers a refusal with its problem."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_or_refuse(request: Request) -> Response:
            try:
                return await handle(request)
            except UnknownWebhookError:
                raise ProblemError(404, "There is no such webhook or delivery") from None
            except NotAllowedError as refused:
                raise ProblemError(422, "The URL cannot be that of a webhook", f"url: {refused}.") from None
            except WebhookRefusedError as refused:
                raise ProblemError(409, "That is not possible now", str(refused)) from None

        return handle_or_refuse
