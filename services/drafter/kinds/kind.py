"""A kind of document: its declaration, its prompt, the digest of both."""

from dataclasses import dataclass

from services.drafter.kinds.declaration import Declaration
from services.drafter.prompts import PromptFile
from shared.contracts.draft import DocumentType, Narrative, PartCode

DISCHARGE, DEATH = "discharge-summary", "death-summary"


@dataclass(frozen=True, slots=True)
class KindDefinition:
    """`digest` is the SHA-256 of everything that declares it, with what it extends."""

    name: str
    declared: Declaration
    prompt: PromptFile
    digest: str

    @property
    def type(self) -> DocumentType:
        return self.declared.type

    def part_of(self, narrative: Narrative) -> PartCode | None:
        """The part that a narrative stands in; None where the kind has no such narrative."""
        if narrative == "patient-instructions" and not self.declared.patient_instructions:
            return None
        return next((part.code for part in self.declared.parts if part.holds == narrative), None)


@dataclass(frozen=True, slots=True)
class KindRegistry:
    """Every kind there is, the two that everything falls back to among them."""

    all: dict[str, KindDefinition]

    def of(self, name: str, *, died: bool = False) -> KindDefinition:
        """The kind of that name; where there is none, the general one."""
        return self.all.get(name) or self.general(died)

    def general(self, died: bool) -> KindDefinition:
        return self.all[DEATH if died else DISCHARGE]

    @property
    def models(self) -> frozenset[str]:
        """Models that kinds name for themselves."""
        return frozenset(kind.declared.model for kind in self.all.values() if kind.declared.model)
