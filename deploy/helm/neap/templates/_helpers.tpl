{{- define "neap.fullname" -}}
{{- if .Values.fullnameOverride -}}{{ .Values.fullnameOverride }}
{{- else if contains .Chart.Name .Release.Name -}}{{ .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else -}}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" }}{{- end -}}
{{- end -}}

{{- define "neap.selector" -}}
app.kubernetes.io/name: {{ .root.Chart.Name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "neap.labels" -}}
{{ include "neap.selector" . }}
app.kubernetes.io/part-of: neap
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end -}}

{{- define "neap.image" -}}
{{ .root.Values.image.prefix }}{{ .name }}:{{ .root.Values.image.tag | default .root.Chart.AppVersion }}
{{- end -}}

{{- define "neap.podSecurity" -}}
runAsNonRoot: true
runAsUser: {{ . }}
runAsGroup: {{ . }}
fsGroup: {{ . }}
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "neap.security" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities: {drop: [ALL]}
{{- end -}}

{{- define "neap.natsURL" -}}
{{- if .Values.nats.bundled.enabled -}}nats://{{ include "neap.fullname" . }}-nats:4222
{{- else -}}{{ required "nats.url is empty and nats.bundled.enabled is false: set one of the two" .Values.nats.url }}{{- end -}}
{{- end -}}

{{- define "neap.redisAddress" -}}
{{- if .Values.redis.bundled.enabled -}}{{ include "neap.fullname" . }}-redis:6379{{- else -}}{{ .Values.redis.address }}{{- end -}}
{{- end -}}

{{/* How a user reaches NATS: a user of its own, and certificates, where there are some. */}}
{{- define "neap.natsEnv" -}}
- {name: NATS_URL, value: {{ include "neap.natsURL" .root | quote }}}
{{- if .root.Values.access.existingSecret }}
- {name: NATS_NKEY_FILE, value: /access/{{ .user }}.nk}
- {name: NATS_INBOX_PREFIX, value: _INBOX_{{ .user }}}
{{- end }}
{{- with .root.Values.nats.tls }}
{{- if .existingSecret }}
- {name: NATS_CA_FILE, value: /tls/nats/ca.crt}
{{- if .clientCertificate }}
- {name: NATS_CERT_FILE, value: /tls/nats/tls.crt}
- {name: NATS_KEY_FILE, value: /tls/nats/tls.key}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "neap.redisEnv" -}}
{{- $address := include "neap.redisAddress" .root }}
{{- if and $address (has .user (list "watcher" "planner" "operator")) }}
- {name: REDIS_URL, value: "{{ if .root.Values.redis.tls.existingSecret }}rediss{{ else }}redis{{ end }}://{{ if .root.Values.access.existingSecret }}{{ .user }}@{{ end }}{{ $address }}/0"}
{{- if .root.Values.access.existingSecret }}
- {name: REDIS_PASSWORD_FILE, value: /access/{{ .user }}.redis}
{{- end }}
{{- with .root.Values.redis.tls }}
{{- if .existingSecret }}
- {name: REDIS_TLS_CA_FILE, value: /tls/redis/ca.crt}
{{- if .clientCertificate }}
- {name: REDIS_TLS_CERT_FILE, value: /tls/redis/tls.crt}
- {name: REDIS_TLS_KEY_FILE, value: /tls/redis/tls.key}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "neap.mounts" -}}
{{- if .root.Values.access.existingSecret }}
- {name: access, mountPath: /access, readOnly: true}
{{- end }}
{{- if .root.Values.nats.tls.existingSecret }}
- {name: nats-tls, mountPath: /tls/nats, readOnly: true}
{{- end }}
{{- if .root.Values.redis.tls.existingSecret }}
- {name: redis-tls, mountPath: /tls/redis, readOnly: true}
{{- end }}
{{- end -}}

{{/* Of the access secret each pod gets what is its own user's. */}}
{{- define "neap.volumes" -}}
{{- if .root.Values.access.existingSecret }}
- name: access
  secret:
    secretName: {{ .root.Values.access.existingSecret }}
    items:
    - {key: {{ .user }}.nk, path: {{ .user }}.nk}
    {{- if has .user (list "watcher" "planner" "operator") }}
    - {key: {{ .user }}.redis, path: {{ .user }}.redis}
    {{- end }}
{{- end }}
{{- with .root.Values.nats.tls.existingSecret }}
- {name: nats-tls, secret: {secretName: {{ . }}}}
{{- end }}
{{- with .root.Values.redis.tls.existingSecret }}
- {name: redis-tls, secret: {secretName: {{ . }}}}
{{- end }}
{{- end -}}

{{- define "neap.placement" -}}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
{{- range . }}
- name: {{ . }}
{{- end }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end -}}
