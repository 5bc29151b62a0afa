{{/* A trigger of KEDA that asks Prometheus: (dict "root" $ "name" "waiting" "threshold" 420 "activation" 0 "query" "..."). */}}

{{- define "moebius.prometheusTrigger" -}}
- type: prometheus
  name: {{ .name }}
  metricType: AverageValue
  metadata:
    serverAddress: {{ .root.Values.prometheus.serverAddress | quote }}
    query: >-
      {{- .query | nindent 6 }}
    threshold: {{ .threshold | toJson | quote }}
    activationThreshold: {{ .activation | toJson | quote }}
    # No answer is a failure and not a 0.
    ignoreNullValues: "false"
    {{- with .root.Values.prometheus.authModes }}
    authModes: {{ . | quote }}
    {{- end }}
  {{- with .root.Values.prometheus.authenticationRef }}
  authenticationRef:
    name: {{ . }}
  {{- end }}
{{- end }}

{{/*
The group's part of the model's waiting cost: as much as it has of the capacity of all its scaled groups. Each edge tells
all of the queue, hence max. Where edges are and nothing has ever waited, the answer is 0; without edges, or while
they can't reach Redis, there is none.
*/}}
{{- define "moebius.waitingCost" -}}
{{ .part }} * (
sum(max by (priority) (inpaint_queue_ready_cost{ {{- .release }}, model={{ .group.model | quote }}}))
or 0 * max(inpaint_queue_jobs{ {{- .release }}}))
{{- end }}

{{/* Places that are taken in the group's workers: the queue is empty while they hold everything. */}}
{{- define "moebius.takenPlaces" -}}
sum(inpaint_places{ {{- .release }}, worker_group={{ .name | quote }}, state="taken"}) or vector(0)
{{- end }}
