{{/* PromQL: the labels that Prometheus gives the series it scrapes by our monitor. */}}
{{- define "deputize.scrapedSeries" -}}
{{- if eq .Values.shape "sidecar" -}}
job={{ printf "%s/%s" .Release.Namespace (include "deputize.fullname" .) | quote }}
{{- else -}}
namespace={{ .Release.Namespace | quote }},job={{ include "deputize.fullname" . | quote }}
{{- end -}}
{{- end -}}

{{/* PromQL: the labels of kube-state-metrics for our containers. */}}
{{- define "deputize.containerSeries" -}}
{{- if ne .Values.shape "sidecar" -}}
namespace={{ .Release.Namespace | quote }},pod=~{{ printf "%s-.+" (include "deputize.fullname" .) | quote }},
{{- end -}}
container="deputize"
{{- end -}}
