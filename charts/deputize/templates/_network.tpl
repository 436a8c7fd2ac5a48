{{/* Parts of the network policy. */}}

{{/* A rule without `from` is for everybody, so an empty list gives no rule. */}}
{{- define "deputize.ingress" -}}
{{- $mesh := include "deputize.mesh" . }}
{{- $probed := ternary (list 8080 9191) (list 8080) (eq .Values.probes.readiness "grpc") }}
{{- with .Values.proxies }}
- from:
    {{- include "deputize.peers" . | trim | nindent 4 }}
  {{- include "deputize.ports" (list (ternary 15008 9191 (eq $mesh "ambient"))) | nindent 2 }}
{{- end }}
{{- range .Values.monitoring.from }}
- from:
    {{- include "deputize.peers" (list .) | trim | nindent 4 }}
  {{- /* A tunnel leads to every port, and only an account tells the mesh who may go no further than metrics. */}}
  {{- $hasTunnel := and (eq $mesh "ambient") (include "deputize.spiffeId" (list $ .)) }}
  {{- include "deputize.ports" (ternary (list 8080 15008) (list 8080) (not (empty $hasTunnel))) | nindent 2 }}
{{- end }}
{{- if eq $mesh "ambient" }}
# Istio gives probes of the kubelet this address.
- from: [{ipBlock: {cidr: 169.254.7.127/32}}]
  {{- include "deputize.ports" $probed | nindent 2 }}
{{- end }}
{{- with .Values.networkPolicy.nodeCidrs }}
- from:
    {{- range . }}
    - ipBlock: {cidr: {{ . | quote }}}
    {{- end }}
  {{- include "deputize.ports" (ternary (list 15020 15021) $probed (eq $mesh "sidecar")) | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Where the entries of a list like `proxies` are. */}}
{{- define "deputize.peers" -}}
{{- range . }}
{{- if .cidr }}
- ipBlock: {cidr: {{ .cidr | quote }}}
{{- else }}
- namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: {{ .namespace | quote }}}}
  {{- with .podLabels }}
  podSelector:
    matchLabels:
      {{- toYaml . | nindent 6 }}
  {{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "deputize.ports" -}}
ports:
{{- range . }}
  - {port: {{ int . }}, protocol: TCP}
{{- end }}
{{- end -}}
