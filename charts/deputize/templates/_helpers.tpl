{{/* Names and labels. */}}

{{- define "deputize.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* Release `deputize` gives `deputize`, release `orders` gives `orders-deputize`. Suffixes follow, so it is kept short. */}}
{{- define "deputize.fullname" -}}
{{- $name := include "deputize.name" . -}}
{{- $full := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) -}}
{{- default $full .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{/* What selects our pods. The same in all versions: a selector cannot be changed. */}}
{{- define "deputize.selectorLabels" -}}
app.kubernetes.io/name: {{ include "deputize.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{- define "deputize.ownLabels" -}}
{{ include "deputize.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "deputize.labels" -}}
{{- merge (include "deputize.ownLabels" . | fromYaml) .Values.labels | toYaml -}}
{{- end -}}

{{/* `metadata` of an object: (list $ "suffix of its name" "its namespace, if another"). */}}
{{- define "deputize.metadata" -}}
{{- $ := first . -}}
{{- $suffix := index . 1 -}}
name: {{ compact (list (include "deputize.fullname" $) $suffix) | join "-" | quote }}
namespace: {{ ternary (last .) $.Release.Namespace (gt (len .) 2) | quote }}
labels:
  {{- include "deputize.labels" $ | nindent 2 }}
{{- with $.Values.annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "deputize.serviceAccountName" -}}
{{- .Values.serviceAccount.name | default (include "deputize.fullname" .) -}}
{{- end -}}

{{- define "deputize.image" -}}
{{- with .Values.image -}}
{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}{{ with .digest }}@{{ . }}{{ end }}
{{- end -}}
{{- end -}}

{{/* The name by which proxies reach us. */}}
{{- define "deputize.host" -}}
{{ include "deputize.fullname" . }}.{{ .Release.Namespace }}.svc.{{ .Values.clusterDomain }}
{{- end -}}

{{/* The SPIFFE ID of an entry of `proxies`, empty if it has none: (list $ $entry). */}}
{{- define "deputize.spiffeId" -}}
{{- $ := first . -}}
{{- with last . -}}
{{- if .spiffeId -}}
{{ .spiffeId }}
{{- else if .serviceAccount -}}
spiffe://{{ .trustDomain | default $.Values.trustDomain }}/ns/{{ .namespace }}/sa/{{ .serviceAccount }}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Our own SPIFFE ID. */}}
{{- define "deputize.ownSpiffeId" -}}
{{- $self := dict "namespace" .Release.Namespace "serviceAccount" (include "deputize.serviceAccountName" .) -}}
{{- include "deputize.spiffeId" (list . $self) -}}
{{- end -}}

{{/* Whether pods are part of the mesh: `sidecar` or `ambient`, else empty. */}}
{{- define "deputize.mesh" -}}
{{- if and .Values.istio.enabled (ne .Values.istio.dataplane "none") (ne .Values.shape "sidecar") -}}
{{ .Values.istio.dataplane }}
{{- end -}}
{{- end -}}
