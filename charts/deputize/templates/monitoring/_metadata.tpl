{{/* `metadata` of an object that something of the cluster finds by labels: (list $ "suffix of the name" $section). */}}
{{- define "deputize.monitoringMetadata" -}}
{{- $ := index . 0 -}}{{- $section := index . 2 -}}
name: {{ include "deputize.fullname" $ }}{{ with index . 1 }}-{{ . }}{{ end }}
namespace: {{ $.Release.Namespace }}
labels:
  {{- merge (deepCopy $section.labels) (include "deputize.labels" $ | fromYaml) | toYaml | nindent 2 }}
{{- with merge (deepCopy ($section.annotations | default dict)) ($.Values.annotations | default dict) }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}
