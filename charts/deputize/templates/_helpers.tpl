{{/* Names and labels. */}}

{{- define "deputize.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* Release "deputize" gives "deputize", release "orders" gives "orders-deputize". */}}
{{- define "deputize.fullname" -}}
{{- $name := include "deputize.name" . -}}
{{- $full := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) -}}
{{- default $full .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{/* What selects our pods; never changes between versions, selectors cannot. */}}
{{- define "deputize.selectorLabels" -}}
app.kubernetes.io/name: {{ include "deputize.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "deputize.labels" -}}
{{ include "deputize.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.labels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* `metadata` of an object: (list $ "suffix of the name"). */}}
{{- define "deputize.metadata" -}}
{{- $ := index . 0 -}}
name: {{ include "deputize.fullname" $ }}{{ with index . 1 }}-{{ . }}{{ end }}
namespace: {{ $.Release.Namespace }}
labels:
  {{- include "deputize.labels" $ | nindent 2 }}
{{- with $.Values.annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "deputize.serviceAccountName" -}}
{{- .Values.serviceAccount.name | default (ternary (include "deputize.fullname" .) "default" .Values.serviceAccount.create) -}}
{{- end -}}

{{- define "deputize.image" -}}
{{- $tag := .Values.image.tag | default .Chart.AppVersion -}}
{{- .Values.image.repository }}:{{ $tag }}{{ with .Values.image.digest }}@{{ . }}{{ end }}
{{- end -}}

{{/* Where proxies of the cluster find us. */}}
{{- define "deputize.host" -}}
{{ include "deputize.fullname" . }}.{{ .Release.Namespace }}.svc.{{ .Values.clusterDomain }}
{{- end -}}

{{/* The SPIFFE ID of one entry of `proxies`: (list $ $entry). */}}
{{- define "deputize.spiffeId" -}}
{{- $ := index . 0 -}}{{- $proxy := index . 1 -}}
spiffe://{{ $proxy.trustDomain | default $.Values.trustDomain }}/ns/{{ $proxy.namespace }}/sa/{{ $proxy.serviceAccount }}
{{- end -}}
