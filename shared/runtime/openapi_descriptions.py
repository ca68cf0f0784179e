"""What the OpenAPI document says of the API as a whole: its description, its tags, parameters that many routes have."""

DESCRIPTION = """\
The HTTP API of a Countersign service. Every error is a problem document (RFC 9457, `application/problem+json`), also
for unknown paths (404) and methods (405, with `Allow`). Unknown query parameters are refused with 422. Lists answer
with `items`; those that are read in pages take `limit` and `after`, and answer with `next`: the cursor of the next
page, null at the end. A POST that is sent again with its `Idempotency-Key` gets the first answer. 429 and 503 carry
`Retry-After`. Where a limit counts the request, `RateLimit` says what is left.
"""
TAGS = {
    "absences": "Who is away, and who gets their reviews.",
    "access": "Who looked at cases, and who was refused.",
    "after filing": "Correct, append to and retract documents that are filed.",
    "audit": "What happened, for auditors.",
    "cases": "Cases and their events.",
    "dead letters": "Messages that no retry could handle.",
    "drafters": "Configurations of the drafter: evaluated, compared, promoted.",
    "erasure": "Erase texts, and keep them by a legal hold.",
    "events": "Case events as they happen.",
    "filing": "Signed documents on their way to the chart.",
    "health": "For probes.",
    "ingest": "What the EHR and its interface engine report.",
    "knowledge": "The knowledge base: refreshes, versions, search.",
    "models": "The models in use.",
    "reviews": "Drafts that wait for a physician, and decisions about them.",
    "sessions": "Sign-in and sessions.",
    "system": "The state of the installation.",
    "webhooks": "Endpoints that get case events.",
}
# Of parameters that mean the same in every route and are not described there.
PARAMETERS = {
    "after": "cursor from `next`",
    "case_id": "id of the case",
    "department": "only of this department",
    "digest": "SHA-256 of the drafter configuration, or enough of its first characters",
    "limit": "lines of a page, at most",
}
