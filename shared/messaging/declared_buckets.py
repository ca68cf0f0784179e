"""The key-value buckets of an installation, in the order in which a backup reads them."""

# artifacts: texts by SHA-256 (context, draft, signed text, a physician's words). sources: the document index of the
# knowledge base. live: the live version, the evaluation of each version, the refresh queue. sessions: signed-in
# people. working: autosaved edits that are not signed. reconciled: positions of the reconciliation with the EHR, the
# status of documents on their way into the chart, the lease of the sender of MDM messages, and the last verifications
# that auditors started. ahead: reserved slots of fair queueing. reviews: checkpoints of projections, and views of lists
# that people have named. renditions: the artifacts that are filed for each decision.
# usage: requests and tokens of a case and of a day at an endpoint that drafts. drafters: drafter configurations by
# SHA-256, for as long as a draft may have to be explained. comparisons: what became of each canary's drafts,
# and what physicians changed in the drafts of each configuration.
# webhooks: the endpoints of integrators, with their signing secrets encrypted, and how long each has failed.
# department: absences of attending physicians with their covers, and the last reminder of each review.
# golden: edits of the golden queries, numbered, and the queries of their files whenever these had changed.
# idempotency: answers to requests with an `Idempotency-Key`, for a day.
# keys: the keys that encrypt each case's artifacts; last, so that a backup has the key of every text that it has.
# WRITTEN_ONCE: values cannot be replaced, whatever rights a user has.
# DELETABLE: messages can be deleted by users with that right: the server overwrites them on disk.
BUCKETS = (
    "artifacts",
    "sources",
    "live",
    "sessions",
    "working",
    "reconciled",
    "ahead",
    "reviews",
    "renditions",
    "usage",
    "drafters",
    "comparisons",
    "webhooks",
    "department",
    "golden",
    "idempotency",
    "keys",
)

WRITTEN_ONCE = frozenset({"artifacts", "drafters", "golden", "keys"})
DELETABLE = frozenset({"keys"})
