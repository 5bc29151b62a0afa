{{/* Names and labels. "name" and "labels" of a component take a dict of the root context and the component. */}}

{{- define "moebius.chartName" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" }}
{{- end }}

{{/* Short enough for every suffix that a template adds. */}}
{{- define "moebius.fullName" -}}
{{- $chart := include "moebius.chartName" . }}
{{- $name := contains $chart .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $chart) }}
{{- default $name .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- end }}

{{- define "moebius.serviceAccountName" -}}
{{- default (.Values.serviceAccount.create | ternary (include "moebius.fullName" .) "default") .Values.serviceAccount.name }}
{{- end }}

{{- define "moebius.labels" -}}
{{ include "moebius.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: moebius
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "moebius.selector" -}}
app.kubernetes.io/name: {{ include "moebius.chartName" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* Of a component: (dict "root" $ "component" "worker" "group" "l4"); the group is left out for what has none. */}}
{{- define "moebius.componentSelector" -}}
{{ include "moebius.selector" .root }}
app.kubernetes.io/component: {{ .component }}
{{- with .group }}
worker-group: {{ . | quote }}
{{- end }}
{{- end }}

{{- define "moebius.componentLabels" -}}
{{ include "moebius.labels" .root }}
app.kubernetes.io/component: {{ .component }}
{{- with .group }}
worker-group: {{ . | quote }}
{{- end }}
{{- end }}

{{/* An image: (dict "root" $ "name" "worker-gpu"). */}}
{{- define "moebius.image" -}}
{{- $image := .root.Values.image }}
{{- $name := printf "moebius-%s" .name }}
{{- with $image.registry }}{{ . }}/{{ end }}{{ $name }}
{{- with get $image.digests .name }}@{{ . }}{{ else }}:{{ default .root.Chart.AppVersion $image.tag }}{{ end }}
{{- end }}
