{{/* Groups of workers, and what they share. */}}

{{/* The enabled groups by name, each over workerDefaults, as YAML. */}}
{{- define "moebius.groups" -}}
{{- $groups := dict }}
{{- range $name, $group := .Values.workers }}
  {{- $merged := mergeOverwrite (deepCopy $.Values.workerDefaults) (default dict $group) }}
  {{- if $merged.enabled }}
    {{- if gt (int $merged.scaling.min) (int $merged.scaling.max) }}
      {{- fail (printf "workers.%s.scaling.min is %v, above its max of %v. Lower min or raise max." $name $merged.scaling.min $merged.scaling.max) }}
    {{- end }}
    {{- $_ := set $groups $name $merged }}
  {{- end }}
{{- end }}
{{- $groups | toYaml }}
{{- end }}

{{/* For a group's worker to be ready: ten minutes until a node is there and has the image, and its own start. */}}
{{- define "moebius.rolloutSeconds" -}}
{{ add .startSeconds 600 }}
{{- end }}

{{/* What the scaled groups of a model can do together at most, in cost a second. */}}
{{- define "moebius.largestCapacity" -}}
{{- $capacity := 0.0 }}
{{- range $name, $group := .groups }}
  {{- if and $group.scaling.enabled (eq $group.model $.model) }}
    {{- $capacity = addf $capacity (mulf $group.scaling.throughput $group.scaling.max) }}
  {{- end }}
{{- end }}
{{- $capacity }}
{{- end }}

{{/* Models that no group keeps a worker of: requests are taken for them all the same, and wake one. */}}
{{- define "moebius.sleepingModels" -}}
{{- $sleeping := list }}
{{- $awake := list }}
{{- range $name, $group := include "moebius.groups" . | fromYaml }}
  {{- $kept := $group.scaling.enabled | ternary $group.scaling.min $group.replicas }}
  {{- if gt (int $kept) 0 }}
    {{- $awake = append $awake $group.model }}
  {{- else if $group.scaling.enabled }}
    {{- $sleeping = append $sleeping $group.model }}
  {{- end }}
{{- end }}
{{- range $awake }}
  {{- $sleeping = without $sleeping . }}
{{- end }}
{{- $sleeping | uniq | sortAlpha | join "," }}
{{- end }}

{{- define "moebius.checkDefaultModel" -}}
{{- $models := list }}
{{- range $name, $group := include "moebius.groups" . | fromYaml }}
  {{- $models = append $models $group.model }}
{{- end }}
{{- if not (has .Values.defaultModel $models) }}
  {{- fail (printf "defaultModel is %q, which no enabled group of workers loads. Loaded: %s. Set defaultModel or a group's model." .Values.defaultModel (join ", " (uniq $models))) }}
{{- end }}
{{- end }}
