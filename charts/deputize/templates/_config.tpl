{{/* The ServiceConfig: what `config` says, and over it what only the chart can know. */}}

{{- define "deputize.isSidecar" -}}
{{- if eq .Values.shape "sidecar" }}yes{{ end -}}
{{- end -}}

{{/* The folders of policies, one for each ConfigMap: in one folder a name could hide another. */}}
{{- define "deputize.policyFolders" -}}
{{- $folders := list -}}
{{- if .Values.policies }}{{ $folders = append $folders "/etc/deputize/policies/values" }}{{ end -}}
{{- range .Values.policyConfigMaps }}{{ $folders = append $folders (printf "/etc/deputize/policies/%s" .) }}{{ end -}}
{{- toYaml $folders -}}
{{- end -}}

{{- define "deputize.checkAddress" -}}
{{- if not (include "deputize.isSidecar" .) -}}
{{ .Values.listenHost }}:9191
{{- else if eq .Values.sidecar.listen "socket" -}}
unix:/run/deputize/check.sock
{{- else -}}
127.0.0.1:9191
{{- end -}}
{{- end -}}

{{- define "deputize.callers" -}}
{{- $ := . -}}{{- $callers := list -}}
{{- range .Values.proxies }}{{ $callers = append $callers (include "deputize.spiffeId" (list $ .)) }}{{ end -}}
{{- if not $callers -}}
{{- /* Nobody: the list may not be empty, and the only holder of this name is this service. */ -}}
{{- $callers = list (include "deputize.spiffeId" (list $ (dict "namespace" .Release.Namespace "serviceAccount" (include "deputize.serviceAccountName" .)))) -}}
{{- end -}}
{{- $callers | uniq | toYaml -}}
{{- end -}}

{{- define "deputize.config" -}}
{{- $grpc := dict "listen" (list (include "deputize.checkAddress" .)) -}}
{{- if ne .Values.tls.source "none" -}}
{{- $_ := set $grpc "tls" (dict
      "certificateFile" "/etc/deputize/tls/tls.crt"
      "privateKeyFile" "/etc/deputize/tls/tls.key"
      "clientCaFile" "/etc/deputize/tls/ca.crt"
      "allowedCallers" (include "deputize.callers" . | fromYamlArray)) -}}
{{- end -}}
{{- $http := dict "listen" (printf "%s:%v" .Values.listenHost (include "deputize.httpPort" .)) -}}
{{- $own := dict "server" (dict "grpc" $grpc "http" $http) -}}
{{- with include "deputize.policyFolders" . | fromYamlArray }}{{ $_ := set $own "policies" . }}{{ end -}}
{{- with .Values.replay.redis.existingSecret -}}
{{- $_ := set $own "replay" (dict "store" "redis" "urlFile" "/etc/deputize/redis/url") -}}
{{- end -}}
{{- if .Values.kubernetes.enabled -}}
{{- $_ := set $own "kubernetes" (dict "namespaces" (include "deputize.kubernetesNamespaces" . | fromYamlArray)) -}}
{{- end -}}
apiVersion: deputize.dev/v1alpha1
kind: ServiceConfig
spec:
  {{- mergeOverwrite (deepCopy .Values.config) $own | toYaml | nindent 2 }}
{{- end -}}

{{/* In a sidecar the application most likely has 8080 for itself. */}}
{{- define "deputize.httpPort" -}}
{{- ternary 9192 8080 (eq .Values.shape "sidecar") -}}
{{- end -}}

{{- define "deputize.kubernetesNamespaces" -}}
{{- .Values.kubernetes.namespaces | default (list .Release.Namespace) | toYaml -}}
{{- end -}}

{{- define "deputize.configMapName" -}}
{{- .Values.existingConfigMap | default (printf "%s-config" (include "deputize.fullname" .)) -}}
{{- end -}}

{{/* Seconds a pod may take to end: delay, grace and ten more for the queue of audit events; five to spare. */}}
{{- define "deputize.endSeconds" -}}
{{- $drain := dig "server" "drain" (dict) .Values.config -}}
{{- add ($drain.delaySeconds | default 5) ($drain.graceSeconds | default 10) 10 -}}
{{- end -}}
