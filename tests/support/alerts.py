"""Answers of Prometheus's `/api/v1/rules`, and a server that gives one."""

import json
from typing import Any

from fastapi import FastAPI, Response

from services.approval.alerts.catalogue import CATALOGUE


def rule(name: str, *alerts: dict[str, Any], health: str = "ok", kind: str = "alerting") -> dict[str, Any]:
    return {"name": name, "type": kind, "health": health, "alerts": list(alerts)}


def alert(state: str = "firing", since: str = "2026-11-30T01:00:00.123456789Z", **labels: str) -> dict[str, Any]:
    labels = {"alertname": "x", "severity": "warning"} | labels
    return {"labels": labels, "annotations": {"summary": "3 cases wait"}, "state": state, "activeAt": since}


def answer(*rules: dict[str, Any]) -> bytes:
    return json.dumps({"status": "success", "data": {"groups": [{"name": "g", "rules": list(rules)}]}}).encode()


EVERY = [rule(name) for name in CATALOGUE]  # and none fires


def prometheus_app(body: bytes) -> FastAPI:
    app = FastAPI()

    @app.get("/api/v1/rules")
    async def rules() -> Response:
        return Response(body, media_type="application/json")

    return app
