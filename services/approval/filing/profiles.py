"""Build the write-back profiles of an installation from its settings."""

from services.approval.ehr_tasks.tasks import Devices
from services.approval.filing.basic_fhir_write_back import BasicFhirWriteBack
from services.approval.filing.fhir_write_back import FhirWriteBack
from services.approval.filing.filing import Filing
from services.approval.filing.manual_transfer import ManualTransfer, Notify
from services.approval.filing.mdm.outbox import Outbox
from services.approval.filing.mdm.sender import MdmSender, lease_of
from services.approval.filing.mdm.write_back import MdmWriteBack
from services.approval.filing.profile_choice import choose
from services.approval.filing.renditions.make import PDF, TEXT
from services.approval.filing.renditions.writer import Renditions
from services.approval.filing.retraction import RetractionFiling
from services.approval.filing.write_back import ChartRepair, WriteBack, WriteBacks
from services.approval.settings import ApprovalSettings
from shared.clinical.fhir_client import FhirClient
from shared.contracts.errors import PermanentError
from shared.contracts.events import WriteBackProfile
from shared.messaging.connection import NatsConnection
from shared.messaging.steps import Clock


def build_write_backs(
    settings: ApprovalSettings,
    bus: NatsConnection,
    ehr: FhirClient,
    filing: Filing,
    devices: Devices,
    clock: Clock,
    notify: Notify,
) -> WriteBacks:
    """Return the profiles. Raises PermanentError for MDM settings that are missing or cannot be used."""

    def renditions(*wanted: str) -> Renditions:
        return Renditions(bus, ehr, devices, wanted, settings.paper)

    basic = settings.basic_content_type
    fhir = FhirWriteBack(filing, RetractionFiling(ehr, filing, clock), renditions(*settings.ehr_contents))
    without = BasicFhirWriteBack(ehr, filing, devices, renditions(basic), basic, clock)
    repairs: dict[WriteBackProfile, ChartRepair] = {"fhir": fhir, "fhir-basic": without}
    profiles: dict[WriteBackProfile, WriteBack] = {
        "fhir": fhir,
        "fhir-basic": without,
        "none": ManualTransfer(notify),
    }
    if settings.mdm.configured:
        to, outbox = settings.mdm.address(), Outbox(bus)
        sender = MdmSender(to, lease_of(bus, to))
        wanted = (TEXT, PDF) if settings.mdm.content == "pdf" else (TEXT,)
        made = renditions(*wanted)
        profiles["mdm"] = MdmWriteBack(settings.mdm, sender, outbox, ehr, made, clock, settings.zones.of)
    elif settings.write_back == "mdm":
        raise PermanentError("COUNTERSIGN_WRITE_BACK=mdm needs COUNTERSIGN_MDM_HOST")

    async def chosen() -> WriteBackProfile:
        if settings.write_back != "auto":
            return settings.write_back
        return choose("auto", await ehr.capabilities(), mdm=settings.mdm.configured).profile

    return WriteBacks(chosen, profiles, repairs)
