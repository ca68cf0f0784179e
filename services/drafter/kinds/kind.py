"""A kind of document: its declaration, its prompt, and a digest of both."""

from dataclasses import dataclass

from services.drafter.kinds.declaration import Declaration
from services.drafter.prompts import PromptTemplate
from shared.contracts.draft import DocumentType, Narrative, PartCode
from shared.contracts.quality_gate import GateLimits

DISCHARGE, DEATH = "discharge-summary", "death-summary"


@dataclass(frozen=True, slots=True)
class KindDefinition:
    """A kind. `digest` is the SHA-256 of everything that declares it, including what it extends."""

    name: str
    declared: Declaration
    prompt: PromptTemplate
    digest: str

    @property
    def type(self) -> DocumentType:
        return self.declared.type

    @property
    def gate(self) -> GateLimits:
        """Return the limits that the kind declares, without the defaults."""
        return {str(name): limits for name, limits in self.declared.gate.items()}

    def part_of(self, narrative: Narrative) -> PartCode | None:
        """Return the part of a narrative; None where the kind has no such narrative."""
        if narrative == "patient-instructions" and not self.declared.patient_instructions:
            return None
        return next((part.code for part in self.declared.parts if part.holds == narrative), None)


@dataclass(frozen=True, slots=True)
class KindRegistry:
    """All kinds of documents, including the two defaults."""

    all: dict[str, KindDefinition]

    def of(self, name: str, *, died: bool = False) -> KindDefinition:
        """Return the kind of that name, or the default one."""
        return self.all.get(name) or self.general(died)

    def general(self, died: bool) -> KindDefinition:
        return self.all[DEATH if died else DISCHARGE]
