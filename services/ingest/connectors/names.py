"""Name the documents of declared sources without reading them, for a check of the golden queries."""

from services.ingest.connectors.folder import files_of, read_bounded
from services.ingest.connectors.formulary import document_name
from services.ingest.documents.blocks import UnreadableDocumentError
from services.ingest.documents.rows import MAX_FORMULARY_BYTES, read_rows
from shared.contracts.errors import PermanentError
from shared.knowledge.knowledge_file import FormularySource, KnowledgeFile


def document_names(file: KnowledgeFile) -> list[tuple[str, str]]:
    """Return source and name of each document. Addresses count as they are declared.

    Raises PermanentError for a folder or a formulary that cannot be read.
    """
    found: list[tuple[str, str]] = []
    for source in file.sources:
        if isinstance(source, FormularySource):
            found += [(source.name, name) for name in _medicines(source)]
        elif source.folder is not None:
            found += [(source.name, name) for name in files_of(source.folder)]
        else:
            found += [(source.name, str(url)) for url in source.urls]
    return found


def _medicines(source: FormularySource) -> set[str]:
    try:
        rows = read_rows(source.file.name, read_bounded(source.file, MAX_FORMULARY_BYTES))
    except (OSError, UnreadableDocumentError) as error:
        raise PermanentError(f"the formulary {source.file} cannot be read ({error})") from None
    return {name for row in rows if (name := document_name(row, source))}
