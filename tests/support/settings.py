"""Every environment variable that our services read, taken from their settings."""

from pydantic_settings import BaseSettings

from services.approval.settings import ApprovalSettings
from services.drafter.settings import DrafterSettings
from services.embedder.settings import EmbedderSettings
from services.evaluator.settings import EvaluatorSettings
from services.ingest.settings import IngestSettings


def variables(settings: type[BaseSettings]) -> set[str]:
    """Names of the class's own variables and those of the groups in it."""
    found = set()
    for name, field in settings.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseSettings):
            found |= variables(field.annotation)
        else:
            found.add(f"{settings.model_config.get('env_prefix', '')}{name}".upper())
    return found


ALL = (ApprovalSettings, DrafterSettings, EmbedderSettings, EvaluatorSettings, IngestSettings)
KNOWN = {name for settings in ALL for name in variables(settings)} | {"COUNTERSIGN_LOG_FORMAT"}
