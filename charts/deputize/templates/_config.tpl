{{/* The ServiceConfig: what `config` says, and over it what only the chart can know. */}}

{{- define "deputize.config" -}}
{{- $grpc := dict "listen" (list (include "deputize.checkAddress" .)) -}}
{{- if ne .Values.tls.source "none" -}}
{{- $_ := set $grpc "tls" (dict
      "certificateFile" "/etc/deputize/tls/tls.crt"
      "privateKeyFile" "/etc/deputize/tls/tls.key"
      "clientCaFile" "/etc/deputize/tls/ca.crt"
      "allowedCallers" (include "deputize.callers" . | fromYamlArray)) -}}
{{- end -}}
{{- $http := dict "listen" (printf "%s:%s" .Values.listenHost (include "deputize.httpPort" .)) -}}
{{- $own := dict "server" (dict "grpc" $grpc "http" $http) -}}
{{- with include "deputize.policyFolders" . | fromYamlArray -}}
{{- $_ := set $own "policies" . -}}
{{- end -}}
{{- if .Values.replay.redis.existingSecret -}}
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

{{/*
An annotation of pods: a digest of the settings that are read at start only (docs/operations.md#reload). So `helm upgrade`
replaces pods when one of these changes, rather than leave them with the old until somebody restarts them; all else is
read while they run, and is not in it. A ConfigMap of others is not ours to read.
*/}}
{{- define "deputize.startSettings" -}}
{{- if not .Values.existingConfigMap -}}
{{- $spec := (include "deputize.config" . | fromYaml).spec -}}
{{- $settings := pick $spec "server" "audit" "kubernetes" "replay" -}}
{{- $_ := set $settings "token.cacheEntries" (dig "token" "cacheEntries" "" $spec) -}}
deputize.dev/start-settings: {{ toJson $settings | sha256sum | quote }}
{{- end -}}
{{- end -}}

{{- define "deputize.checkAddress" -}}
{{- if ne .Values.shape "sidecar" -}}
{{ .Values.listenHost }}:9191
{{- else if eq .Values.sidecar.listen "socket" -}}
unix:/run/deputize/check.sock
{{- else -}}
127.0.0.1:9191
{{- end -}}
{{- end -}}

{{/* In the pod of an application 8080 is most likely taken. */}}
{{- define "deputize.httpPort" -}}
{{- ternary "9192" "8080" (eq .Values.shape "sidecar") -}}
{{- end -}}

{{/* Who may ask by TLS. The list cannot be empty: with nobody in it, the only one is this service itself. */}}
{{- define "deputize.callers" -}}
{{- $callers := list -}}
{{- range .Values.proxies -}}
{{- with include "deputize.spiffeId" (list $ .) }}{{ $callers = append $callers . }}{{ end -}}
{{- end -}}
{{- $callers | default (list (include "deputize.ownSpiffeId" .)) | uniq | toYaml -}}
{{- end -}}

{{/* ConfigMaps with policies. Each is a folder of its own: in one folder a file could hide another of its name. */}}
{{- define "deputize.policyMaps" -}}
{{- $own := ternary (list (printf "%s-policies" (include "deputize.fullname" .))) list (not (empty .Values.policies)) -}}
{{- concat $own .Values.policyConfigMaps | toYaml -}}
{{- end -}}

{{- define "deputize.policyFolders" -}}
{{- range include "deputize.policyMaps" . | fromYamlArray }}
- /etc/deputize/policies/{{ . }}
{{- end -}}
{{- end -}}

{{- define "deputize.kubernetesNamespaces" -}}
{{- .Values.kubernetes.namespaces | default (list .Release.Namespace) | toYaml -}}
{{- end -}}

{{- define "deputize.configMapName" -}}
{{- .Values.existingConfigMap | default (printf "%s-config" (include "deputize.fullname" .)) -}}
{{- end -}}

{{/* Seconds that ending may take: on purpose, for running checks, and at most ten for what is left to write. */}}
{{- define "deputize.endSeconds" -}}
{{- $delay := dig "server" "drain" "delaySeconds" 5 .Values.config -}}
{{- $grace := dig "server" "drain" "graceSeconds" 10 .Values.config -}}
{{- add $delay $grace 10 -}}
{{- end -}}

{{/* What the configuration fetches, by URL. */}}
{{- define "deputize.urls" -}}
{{- $urls := list -}}
{{- range .Values.config.issuers -}}
{{- $urls = append $urls (ternary .issuer .keys.url (eq true .keys.discovery)) -}}
{{- $urls = append $urls (dig "introspection" "url" "" .) -}}
{{- $urls = concat $urls (dig "statusLists" "uriPrefixes" list .) -}}
{{- end -}}
{{- range concat (.Values.config.denyLists | default list) (dig "peer" "bundles" list .Values.config) -}}
{{- $urls = append $urls .url -}}
{{- end -}}
{{- range dig "approvals" "services" list .Values.config -}}
{{- $urls = append $urls .keys.url -}}
{{- end -}}
{{- compact $urls | uniq | toYaml -}}
{{- end -}}
