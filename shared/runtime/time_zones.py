"""Settings of the time zones of the hospital and its departments."""

import json
import re
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BeforeValidator, Field
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from shared.contracts.subjects import DEPARTMENT


def parse_zone(value: object) -> object:
    """Parse `"America/Chicago"` as a time zone; an empty variable counts as not set.

    Raises ValueError for an unknown name.
    """
    if not isinstance(value, str):
        return value
    if not value:
        return None
    try:
        return ZoneInfo(value)
    # OSError: the name is that of a folder of time zones, such as "Europe".
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"{value!r} is not a time zone such as America/Chicago or Europe/Berlin") from None


def parse_zones(value: object) -> object:
    """Parse JSON of department → name into department → time zone.

    Raises ValueError naming the invalid ones.
    """
    if isinstance(value, str):
        try:
            value = json.loads(value or "{}")
        except ValueError:
            raise ValueError("is not valid JSON") from None
    if not isinstance(value, dict):
        raise ValueError("must be an object: department → time zone")
    if wrong := [name for name in value if not re.fullmatch(DEPARTMENT, name)]:
        raise ValueError(f"{wrong[0]!r} is not a department such as internal-medicine")
    zones = {department: parse_zone(zone) for department, zone in value.items()}
    if missing := [department for department, zone in zones.items() if not isinstance(zone, ZoneInfo)]:
        raise ValueError(f"{missing[0]} has no time zone")
    return zones


class TimeZones(BaseSettings):
    """Time zones of the hospital and its departments."""

    model_config = SettingsConfigDict(env_prefix="COUNTERSIGN_", extra="ignore", frozen=True)

    time_zone: Annotated[ZoneInfo | None, BeforeValidator(parse_zone)] = Field(
        default=None, description="the hospital's IANA time zone; documents, pages and messages use it"
    )
    department_time_zones: Annotated[dict[str, ZoneInfo], NoDecode, BeforeValidator(parse_zones)] = Field(
        default={}, description="department → time zone, for departments in another time zone"
    )

    def of(self, department: str) -> ZoneInfo | None:
        """Return the department's time zone; None where none is set."""
        return self.department_time_zones.get(department, self.time_zone)
