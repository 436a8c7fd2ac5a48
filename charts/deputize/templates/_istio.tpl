{{/* What Istio's objects share. */}}

{{- define "deputize.meshLabels" -}}
{{- with .Values.istio -}}
{{- if eq .dataplane "ambient" -}}
istio.io/dataplane-mode: ambient
sidecar.istio.io/inject: "false"
{{- else if eq .dataplane "none" -}}
istio.io/dataplane-mode: none
sidecar.istio.io/inject: "false"
{{- else -}}
sidecar.istio.io/inject: "true"
{{- with .revision }}
istio.io/rev: {{ . | quote }}
{{- end }}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Annotations of pods by which calls reach them without Istio's proxy, or by another than Istio's. */}}
{{- define "deputize.pastMesh" -}}
- ambient.istio.io/bypass-inbound-capture
- ambient.istio.io/redirection
- inject.istio.io/templates
- proxy.istio.io/overrides
- sidecar.istio.io/bootstrapOverride
- sidecar.istio.io/inject
- sidecar.istio.io/interceptionMode
- traffic.sidecar.istio.io/excludeInboundPorts
- traffic.sidecar.istio.io/excludeInterfaces
- traffic.sidecar.istio.io/includeInboundPorts
{{- end -}}

{{/* Entries of a list like `proxies` as Istio names them: SPIFFE IDs without their scheme. (list $ $entries) */}}
{{- define "deputize.principals" -}}
{{- $ := first . -}}
{{- range last . -}}
{{- with include "deputize.spiffeId" (list $ .) }}
- {{ trimPrefix "spiffe://" . }}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Readers of metrics that are not in the mesh have no principal; the network policy alone tells them apart. */}}
{{- define "deputize.hasPlainReaders" -}}
{{- $ := . -}}
{{- range .Values.monitoring.from -}}
{{- if not (include "deputize.spiffeId" (list $ .)) }}yes{{ end -}}
{{- end -}}
{{- end -}}

{{/* The place that the mesh configuration names. */}}
{{- define "deputize.providerService" -}}
{{- if eq .Values.shape "sidecar" -}}
{{ .Release.Namespace }}/{{ include "deputize.sidecarHost" . }}
{{- else -}}
{{ include "deputize.host" . }}
{{- end -}}
{{- end -}}

{{- define "deputize.sidecarHost" -}}
deputize.sidecar.internal
{{- end -}}
