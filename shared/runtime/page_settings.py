"""Settings of services that have pages."""

from pydantic import Field

from shared.runtime.public_origin import PublicOrigin
from shared.runtime.settings import NameList, ServiceSettings


class PageSettings(ServiceSettings):
    """Settings of a service that has pages. All of them stand under one origin: paths lead from one to another."""

    public_url: str = Field(
        default="", description="URL under which people reach the pages; used for links and as the allowed origin"
    )
    origins: NameList = Field(default=(), description="further allowed origins of the pages, comma-separated")

    @property
    def public(self) -> PublicOrigin:
        return PublicOrigin(self.public_url, self.origins)
