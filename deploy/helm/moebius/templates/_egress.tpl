{{/* Where edges and workers may connect to: names, Redis, and the collector of traces. */}}

{{- define "moebius.egress" -}}
{{- $policy := .Values.networkPolicy -}}
- ports:
    - {port: 53, protocol: UDP}
    - {port: 53, protocol: TCP}
  {{- with $policy.dnsTo }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- if .Values.redis.trial.enabled }}
- ports:
    - {port: redis, protocol: TCP}
  to:
    - podSelector:
        matchLabels:
          {{- include "moebius.componentSelector" (dict "root" $ "component" "redis") | nindent 10 }}
{{- else }}
- ports:
    {{- range $policy.redisPorts }}
    - {port: {{ . }}, protocol: TCP}
    {{- end }}
  {{- with $policy.redisTo }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
{{- with .Values.settings.otlp_endpoint }}
- ports:
    - {port: {{ include "moebius.portOf" . }}, protocol: TCP}
  {{- with $policy.tracesTo }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
{{- end }}

{{/* The port of a URL: the one that it names, or its scheme's. */}}
{{- define "moebius.portOf" -}}
{{- $url := urlParse . -}}
{{- regexFind "[0-9]+$" (regexFind ":[0-9]+$" $url.host) | default (eq $url.scheme "https" | ternary "443" "80") }}
{{- end }}
