{{/* What the pods of edges and workers have in common. */}}

{{/* Of a pod's spec: (dict "root" $ "part" .Values.edge), part having the keys of placement. */}}
{{- define "moebius.podBasics" -}}
serviceAccountName: {{ include "moebius.serviceAccountName" .root }}
automountServiceAccountToken: false
# Kubernetes would set MOEBIUS_PORT for a Service named moebius, which is a setting of ours.
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile:
    type: RuntimeDefault
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .part.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .part.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .part.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .part.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "moebius.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{/* Spread by zone and node where that can be had: the selector's labels come in. */}}
{{- define "moebius.spread" -}}
{{- range $key := list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
- maxSkew: 1
  topologyKey: {{ $key }}
  whenUnsatisfiable: ScheduleAnyway
  labelSelector:
    matchLabels:
      {{- $.selector | nindent 6 }}
{{- end }}
{{- end }}

{{- define "moebius.sharedEnvironment" -}}
- name: MOEBIUS_REDIS_URL
  valueFrom:
    secretKeyRef:
      name: {{ .Values.redis.existingSecret }}
      key: {{ .Values.redis.urlKey }}
- name: HOME
  value: /tmp
{{- end }}

{{/* Pods are made anew when a setting changes. */}}
{{- define "moebius.settingsChecksum" -}}
checksum/settings: {{ include (print .Template.BasePath "/settings.yaml") . | sha256sum }}
{{- end }}

{{/* A probe's HTTP request: (dict "path" "/livez" "port" "http"). */}}
{{- define "moebius.get" -}}
httpGet:
  path: {{ .path }}
  port: {{ .port }}
{{- end }}
