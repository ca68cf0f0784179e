{{- /* Generated from deploy/k8s by `python -m tools.helm`: change it there. */}}
{{- define "countersign.settings" -}}
COUNTERSIGN_APPROVAL_URL: http://approval:8080
COUNTERSIGN_HOST: 0.0.0.0
COUNTERSIGN_LOG_FORMAT: json
COUNTERSIGN_MODE: production
COUNTERSIGN_NATS_CA_FILE: /run/secrets/countersign/ca.crt
COUNTERSIGN_NATS_MONITOR_URL: http://nats-headless:8222
COUNTERSIGN_NATS_SEED_FILE: /run/secrets/countersign/seed
COUNTERSIGN_NATS_URL: tls://nats-0.nats-headless:4222,tls://nats-1.nats-headless:4222,tls://nats-2.nats-headless:4222
COUNTERSIGN_QDRANT_API_KEY_FILE: /run/secrets/countersign/qdrant.key
COUNTERSIGN_QDRANT_URL: http://qdrant:6333
COUNTERSIGN_TOKENS_FILE: /run/secrets/countersign/tokens.json
COUNTERSIGN_TRITON_URL: triton:8001
OTEL_EXPORTER_OTLP_ENDPOINT: http://otel-collector:4318
OTEL_METRIC_EXPORT_INTERVAL: '15000'
{{- end }}
