{{/*
What is wrong between values; each alone is checked by values.schema.json. One line for each, all at once:
where it is, and what to do.
*/}}
{{- define "deputize.problems" -}}
{{- include "deputize.problems.config" . -}}
{{- include "deputize.problems.files" (list . "config" "" .Values.config) -}}
{{- include "deputize.problems.callers" . -}}
{{- include "deputize.problems.tls" . -}}
{{- include "deputize.problems.istio" . -}}
{{- include "deputize.problems.pods" . -}}
{{- end -}}

{{- define "deputize.problems.config" -}}
{{- with .Values -}}
{{- if and .config .existingConfigMap }}
- existingConfigMap: has all of the configuration; remove `config`
{{- else if not .existingConfigMap }}
{{- if not (dig "peer" "trustDomains" list .config) }}
- config.peer.trustDomains: needed, the trust domains of agents
{{- end }}
{{- if not .config.issuers }}
- config.issuers: needed, the issuers whose tokens are accepted
{{- end }}
{{- end }}
{{- if not (or .policies .policyConfigMaps .kubernetes.enabled) }}
- policies: needed, or `policyConfigMaps`, or `kubernetes.enabled`: without a policy there is nothing to decide by
{{- end }}
{{- $own := printf "%s-policies" (include "deputize.fullname" $) }}
{{- if and .policies (has $own .policyConfigMaps) }}
- policyConfigMaps: {{ $own }} is the name of what the chart makes of `policies`
{{- end }}
{{- $names := list }}
{{- range .mounts }}
{{- if has .name $names }}
- mounts: {{ .name }} stands twice
{{- end }}
{{- $names = append $names .name }}
{{- end }}
{{- if and .replay.redis.existingSecret .networkPolicy.enabled (not .replay.redis.to) (ne .shape "sidecar") }}
- replay.redis.to: needed, where the server is; the network policy lets nothing else out
{{- end }}
{{- end -}}
{{- end -}}

{{/*
Files that the configuration names in folders of the chart, and nothing puts there; without them no pod is ever ready.
(list $ "where the value is" "the key it belongs to" $value)
*/}}
{{- define "deputize.problems.files" -}}
{{- $ := index . 0 -}}
{{- $at := index . 1 -}}
{{- $key := index . 2 -}}
{{- $value := index . 3 -}}
{{- if kindIs "map" $value -}}
{{- range $name, $inner := $value -}}
{{- include "deputize.problems.files" (list $ (printf "%s.%s" $at $name) $name $inner) -}}
{{- end -}}
{{- else if kindIs "slice" $value -}}
{{- range $position, $inner := $value -}}
{{- include "deputize.problems.files" (list $ (printf "%s[%d]" $at $position) $key $inner) -}}
{{- end -}}
{{- else if and (kindIs "string" $value) (regexMatch "^(file|profiles|.+File)$" $key) -}}
{{- /* Relative paths start at the configuration file. */ -}}
{{- $path := clean (ternary $value (printf "/etc/deputize/config/%s" $value) (hasPrefix "/" $value)) -}}
{{- if hasPrefix "/etc/deputize/files/" $path -}}
{{- $name := trimPrefix "/etc/deputize/files/" $path -}}
{{- if not (hasKey $.Values.files $name) }}
- {{ $at }}: no `files.{{ $name }}`; give it with `--set-file 'files.{{ replace "." "\\." $name }}=...'`
{{- end -}}
{{- else if hasPrefix "/etc/deputize/mounts/" $path -}}
{{- $name := trimPrefix "/etc/deputize/mounts/" $path | splitList "/" | first -}}
{{- $isMounted := false -}}
{{- range $.Values.mounts -}}
{{- if eq .name $name }}{{ $isMounted = true }}{{ end -}}
{{- end -}}
{{- if not $isMounted }}
- {{ $at }}: no entry `{{ $name }}` in `mounts`; name the Secret or ConfigMap there
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "deputize.problems.callers" -}}
{{- $hasPort := ne .Values.shape "sidecar" -}}
{{- if and $hasPort (not .Values.networkPolicy.enabled) (eq .Values.tls.source "none") (not (include "deputize.mesh" .)) }}
- networkPolicy.enabled: needed without `tls` and mesh; else everybody in the cluster can claim to be any agent
{{- end }}
{{- $isGuarded := or (ne .Values.tls.source "none") (include "deputize.mesh" .) -}}
{{- if and $hasPort .Values.networkPolicy.nodeCidrs (eq .Values.probes.readiness "grpc") (not $isGuarded) }}
- probes.readiness: must be `http` with `networkPolicy.nodeCidrs` and no mesh; else everything on a node can claim to be any agent
{{- end }}
{{- $names := "" -}}
{{- if include "deputize.mesh" . }}{{ $names = "`istio`" }}{{ end -}}
{{- if ne .Values.tls.source "none" }}{{ $names = "`tls`" }}{{ end -}}
{{- range $key, $entries := dict "proxies" .Values.proxies "monitoring.from" .Values.monitoring.from -}}
{{- range $position, $entry := $entries -}}
{{- with $entry -}}
{{- $at := printf "%s[%d]" $key $position -}}
{{- if not (or .namespace .cidr) }}
- {{ $at }}: needs `namespace` or `cidr`
{{- end }}
{{- if and .cidr .podLabels }}
- {{ $at }}.podLabels: of pods in a namespace, and there is `cidr`
{{- end }}
{{- if and .serviceAccount .spiffeId }}
- {{ $at }}: give one of `serviceAccount`, `spiffeId`
{{- end }}
{{- if and .serviceAccount (not .namespace) }}
- {{ $at }}.serviceAccount: needs `namespace`
{{- end }}
{{- if and $names (eq $key "proxies") (not (or .serviceAccount .spiffeId)) }}
- {{ $at }}.serviceAccount: needed with {{ $names }}, or `spiffeId`
{{- end }}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "deputize.problems.tls" -}}
{{- with .Values.tls -}}
{{- if and (eq .source "secret") (not .secretName) }}
- tls.secretName: needed with `tls.source: secret`
{{- end }}
{{- if and (eq .source "certManager") (not .certManager.issuerRef.name) }}
- tls.certManager.issuerRef.name: needed with `tls.source: certManager`
{{- end }}
{{- if and (eq .source "spire") (not .spire.image) }}
- tls.spire.image: needed with `tls.source: spire`, spiffe-helper as you have it
{{- end }}
{{- if and (eq .source "csiDriverSpiffe") (not $.Values.runAsGroup) }}
- runAsGroup: needed with `tls.source: csiDriverSpiffe`, whose files only root and a group may read
{{- end }}
{{- if ne .source "none" }}
{{- if eq $.Values.shape "sidecar" }}
- tls.source: must be `none` with `shape: sidecar`, which has a socket or loopback
{{- else if include "deputize.mesh" $ }}
- tls.source: must be `none` where the mesh does mTLS; or set `istio.dataplane: none`
{{- end }}
{{- if eq $.Values.probes.readiness "grpc" }}
- probes.readiness: must be `http` with `tls`, gRPC probes cannot do TLS
{{- end }}
{{- if eq "native" (dig "server" "transport" "" $.Values.config) }}
- config.server.transport: must be `grpcio` with `tls`, `native` has none
{{- end }}
{{- end }}
{{- end -}}
{{- end -}}

{{- define "deputize.problems.istio" -}}
{{- $server := dig "server" dict .Values.config -}}
{{- with .Values.istio -}}
{{- if and .protect (not .enabled) }}
- istio.protect: needs `istio.enabled`
{{- end }}
{{- $decision := dig "decisionTimeoutMillis" 150 $server }}
{{- if le (int .timeoutMillis) (int $decision) }}
- istio.timeoutMillis: must be above `config.server.decisionTimeoutMillis` ({{ int $decision }}), so that the answer is ours
{{- end }}
{{- $message := dig "grpc" "maxMessageBytes" 8388608 $server }}
{{- if ge (add .body.maxBytes 131072) (int $message) }}
- istio.body.maxBytes: must be 131072 below `config.server.grpc.maxMessageBytes` ({{ int $message }}), which has the headers, too
{{- end }}
{{- /* A policy without labels in the root namespace is for the whole mesh. */}}
{{- $widest := list .rootNamespace (ternary "" $.Release.Namespace (eq $.Values.shape "sidecar")) }}
{{- range $position, $_ := .protect }}
{{- if and .podLabels .targetRefs }}
- istio.protect[{{ $position }}]: give one of `podLabels`, `targetRefs`
{{- else if and (has .namespace $widest) (not (or .podLabels .targetRefs)) }}
- istio.protect[{{ $position }}]: would have this service ask itself; give `podLabels` or `targetRefs`
{{- end }}
{{- if and .podLabels (not .hosts) }}
- istio.protect[{{ $position }}].hosts: needed with `podLabels`: the names these workloads answer to
{{- end }}
{{- end }}
{{- end -}}
{{- end -}}

{{- define "deputize.problems.pods" -}}
{{- with .Values -}}
{{- $least := include "deputize.endSeconds" $ | int }}
{{- if and .terminationGracePeriodSeconds (le (int .terminationGracePeriodSeconds) $least) }}
- terminationGracePeriodSeconds: must be above {{ $least }}: `drain.delaySeconds` + `drain.graceSeconds` + 10
{{- end }}
{{- if .autoscaling.enabled }}
{{- if ne .shape "deployment" }}
- autoscaling.enabled: only with `shape: deployment`
{{- end }}
{{- if gt (int .autoscaling.minReplicas) (int .autoscaling.maxReplicas) }}
- autoscaling.minReplicas: above `maxReplicas`
{{- end }}
{{- end }}
{{- if and (not .serviceAccount.create) (not .serviceAccount.name) }}
- serviceAccount.name: needed with `serviceAccount.create: false`
{{- end }}
{{- $own := include "deputize.ownLabels" $ | fromYaml | keys }}
{{- if .istio.enabled }}
{{- $own = concat $own (include "deputize.meshLabels" $ | fromYaml | keys) }}
{{- end }}
{{- range $key, $labels := dict "labels" .labels "podLabels" .podLabels }}
{{- range $label := keys $labels | sortAlpha }}
{{- if has $label $own }}
- {{ $key }}: {{ $label }} is set by the chart
{{- end }}
{{- end }}
{{- end }}
{{- range $annotation := include "deputize.startSettings" $ | fromYaml | keys }}
{{- if hasKey $.Values.podAnnotations $annotation }}
- podAnnotations: {{ $annotation }} is set by the chart
{{- end }}
{{- end }}
{{- if include "deputize.mesh" $ }}
{{- range $annotation, $value := .podAnnotations }}
{{- if or (has $annotation (include "deputize.pastMesh" $ | fromYamlArray)) (contains "interceptionMode" $value) }}
- podAnnotations: {{ $annotation }} could lead calls past the mesh, which says who may ask
{{- end }}
{{- end }}
{{- end }}
{{- if eq .shape "sidecar" }}
{{- if .kubernetes.enabled }}
- kubernetes.enabled: not with `shape: sidecar`: each application would need the rights to read policies
{{- end }}
{{- if eq .probes.readiness "grpc" }}
- probes.readiness: must be `http` with `shape: sidecar`, whose other port the kubelet cannot reach
{{- end }}
{{- end }}
{{- end -}}
{{- end -}}
