"""What each stream and consumer is for, in words for operators."""

from shared.messaging.topology import SERVICES, advisory_consumer

STREAM_DESCRIPTIONS = {
    "EHR": "What the EHR reported: discharges, visits, appointments, Tasks. Kept 30 days.",
    "DISCHARGE": "The events of all cases: the audit trail. Kept for ever.",
    "KNOWLEDGE": "Refreshes of the knowledge base. Kept 90 days.",
    "DRAFTERS": "Drafter configurations, and who decided about them. Kept for ever.",
    "EVALUATIONS": "Evaluations of drafters on signed stays. Kept for ever.",
    "TIMERS": "Timers of escalations, and of the recurring jobs of approval.",
    "REFRESH_TIMERS": "Timers of refreshes, peak hours, polls of the EHR, and the nightly census.",
    "ALERTS": "Alert events. Kept 90 days.",
    "ACCESS": "The access log: sign-ins, views of drafts, refusals. Kept six years.",
    "NOTIFY": "Notifications and webhook deliveries, one message each, with their receipts. Kept 90 days.",
    "DEADLETTER": "Messages whose retries are exhausted, and how they were resolved. Kept for ever.",
    "ADVISORIES": "Notices of NATS about messages that were delivered too often without an answer. Kept 30 days.",
}

CONSUMER_DESCRIPTIONS = {
    "ingest-discharged": "Opens a case for each discharge.",
    "ingest-cancelled": "Withdraws the case of a discharge that the EHR cancelled.",
    "ingest-pending": "Asks for a draft before the discharge.",
    "ingest-visits": "Finds the Encounter of each visit that ADT messages report.",
    "ingest-encounters": "Reads Encounters that a notification or the poll named.",
    "ingest-appointments": "Reads Appointments that may plan a discharge.",
    "ingest-poll": "Polls the EHR for discharges.",
    "ingest-queue": "Keeps the queue of refreshes of the knowledge base.",
    "ingest-prepare": "Reads the sources of a refresh and splits them into passages.",
    "ingest-schedule": "Starts scheduled refreshes, and further attempts.",
    "ingest-census": "Asks for the drafts of the stays of each department, nightly.",
    "drafter-extract": "Reads the record of a stay from the EHR.",
    "drafter-draft": "Writes the draft of a case.",
    "drafter-prepare": "Writes drafts before the discharge.",
    "drafter-evaluate": "Drafts signed stays again, for an evaluation.",
    "approval-request": "Requests the review: the Task in the EHR and the first timer.",
    "approval-file": "Files signed documents in the chart.",
    "approval-settle": "Completes a rejection: a new draft, or the end of the case.",
    "approval-erase": "Erases texts of cases.",
    "approval-follow": "Updates Tasks and timers after a decision.",
    "approval-notify": "Makes a message for each channel of an escalation.",
    "approval-deliver": "Sends each notification to its channel.",
    "approval-webhook-queue": "Makes a delivery for each webhook of a case event.",
    "approval-webhook-send": "Posts case events to webhooks.",
    "approval-ehr-task": "Applies decisions that physicians make in the EHR.",
    "approval-reimport": "Takes signed documents over from the chart after a restore.",
    "approval-opened": "Marks the Task in the EHR when a physician opens the draft.",
    "approval-reconcile": "Runs the recurring jobs of approval.",
    "approval-escalate": "Escalates reviews whose time has come.",
    "embedder-peak": "Pauses the embedding during peak hours.",
    "embedder-embed": "Embeds passages of a refresh; paused during peak hours.",
    "embedder-settle": "Completes a refresh whose passages are embedded.",
    "embedder-retain": "Deletes vectors of old versions of the knowledge base.",
    "evaluator-judge": "Evaluates a new version of the knowledge base, and makes it live.",
    "evaluator-evaluate": "Starts evaluations of drafters.",
    "evaluator-compare": "Compares decisions about canaries, and watches live drafters for drift.",
    "evaluator-feedback": "Counts edits and ratings of each drafter configuration.",
} | {
    advisory_consumer(
        service
    ).name: f"Dead-letters messages that exceeded their maximum deliveries (service: {service})."
    for service in SERVICES
}
