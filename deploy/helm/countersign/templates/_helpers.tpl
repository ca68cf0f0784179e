{{- /* Labels of every object, beside those of the manifests. */}}
{{- define "countersign.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
{{- end }}

{{- /* An image by its entry in `images`: (list . "nats"). */}}
{{- define "countersign.image" -}}
{{- $root := index . 0 }}
{{- $image := get $root.Values.images (index . 1) }}
{{- printf "%s:%s" $image.repository ($image.tag | default $root.Chart.AppVersion) }}
{{- with $image.digest }}@{{ . }}{{ end }}
{{- end }}

{{- /* Addresses and ports of a NetworkPolicy's rule. */}}
{{- define "countersign.peers" -}}
{{- range $index, $cidr := .cidrs }}
{{- if $index }}{{ "\n" }}{{ end }}- ipBlock: {cidr: {{ $cidr | quote }}}
{{- end }}
{{- end }}
{{- define "countersign.ports" -}}
{{- range $index, $port := .ports }}
{{- if $index }}{{ "\n" }}{{ end }}- port: {{ $port }}
{{- end }}
{{- end }}

{{- /* All settings: the manifests', what `mode` and `nats.replicas` say, then `config`. */}}
{{- define "countersign.allSettings" -}}
{{- $settings := fromYaml (include "countersign.settings" .) }}
{{- $_ := set $settings "COUNTERSIGN_MODE" .Values.mode }}
{{- if eq (int .Values.nats.replicas) 1 }}
{{- $_ := set $settings "COUNTERSIGN_NATS_URL" "tls://nats:4222" }}
{{- end }}
{{- mergeOverwrite $settings .Values.config | toYaml }}
{{- end }}

{{- /* A Job cannot be changed: another version or other settings need one of another name. */}}
{{- define "countersign.provisionName" -}}
{{- $pod := list .Chart.Version (include "countersign.image" (list . "countersign")) .Values.nats.replicas .Values.nats.placement .Values.secrets .Values.imagePullSecrets (include "countersign.allSettings" .) }}
{{- printf "provision-%s" ($pod | toJson | sha256sum | trunc 10) }}
{{- end }}

{{- /* What no schema can say: values that need each other. */}}
{{- define "countersign.check" -}}
{{- if eq .Values.mode "production" }}
{{- range list "COUNTERSIGN_EHR_URL" "COUNTERSIGN_PUBLIC_URL" }}
{{- if not (get $.Values.config .) }}{{ fail (printf "mode is production: set config.%s" .) }}{{ end }}
{{- end }}
{{- if not (hasPrefix "https://" .Values.config.COUNTERSIGN_PUBLIC_URL) }}
{{- fail "mode is production: config.COUNTERSIGN_PUBLIC_URL must start with https://" }}
{{- end }}
{{- if ne (.Values.config.COUNTERSIGN_ALLOW_STATIC_TOKENS | default "") "true" }}
{{- range list "COUNTERSIGN_OIDC_ISSUER" "COUNTERSIGN_OIDC_CLIENT_ID" }}
{{- if not (get $.Values.config .) }}{{ fail (printf "mode is production: set config.%s" .) }}{{ end }}
{{- end }}
{{- end }}
{{- end }}
{{- if and .Values.vllm.enabled (not .Values.triton.gpu.enabled) }}
{{- fail "vllm.enabled needs triton.gpu.enabled: the model is in its claim `models`" }}
{{- end }}
{{- if and .Values.vllm.enabled (not .Values.generationEndpoints.enabled) }}
{{- fail "vllm.enabled needs generationEndpoints.enabled: the drafter asks vLLM as an endpoint" }}
{{- end }}
{{- if and .Values.batchEvaluation.enabled (not .Values.keda.enabled) }}
{{- fail "batchEvaluation.enabled needs keda.enabled: it starts and ends the pods" }}
{{- end }}
{{- range $name, $_ := .Values.config }}{{ include "countersign.noSecret" (list "config" $name) }}{{ end }}
{{- range $name, $service := .Values.services }}
{{- range $service.extraEnv }}{{ include "countersign.noSecret" (list (printf "services.%s.extraEnv" $name) .name) }}{{ end }}
{{- if gt (int $service.minReplicas) (int $service.maxReplicas) }}
{{- fail (printf "services.%s.minReplicas is greater than its maxReplicas" $name) }}
{{- end }}
{{- end }}
{{- end }}

{{- /* Helm stores values, and processes show their environment: (list "config" "COUNTERSIGN_X"). */}}
{{- define "countersign.noSecret" -}}
{{- if regexMatch "(SECRET|PASSWORD|TOKEN|SEED|KEY)$" (index . 1) }}
{{- fail (printf "%s: %s would be a secret among the values: create a Secret, and name its file by %s_FILE" (index . 0) (index . 1) (index . 1)) }}
{{- end }}
{{- end }}
