{{/* The pod of Deployment and DaemonSet, and the container of all shapes. */}}

{{- define "deputize.podTemplate" -}}
metadata:
  labels:
    {{- include "deputize.podLabels" . | nindent 4 }}
  {{- with merge (include "deputize.startSettings" . | fromYaml) .Values.podAnnotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  serviceAccountName: {{ include "deputize.serviceAccountName" . | quote }}
  # Nothing here speaks to the Kubernetes API but the source of policies in it.
  automountServiceAccountToken: {{ .Values.kubernetes.enabled }}
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ int (.Values.terminationGracePeriodSeconds | default (add (include "deputize.endSeconds" .) 5)) }}
  {{- with .Values.priorityClassName }}
  priorityClassName: {{ . | quote }}
  {{- end }}
  {{- with .Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  securityContext:
    {{- include "deputize.userSecurity" . | nindent 4 }}
  {{- if eq .Values.tls.source "spire" }}
  initContainers:
    {{- include "deputize.spiffeHelpers" . | trim | nindent 4 }}
  {{- end }}
  containers:
    - name: deputize
      {{- include "deputize.container" . | nindent 6 }}
  volumes:
    {{- include "deputize.volumes" . | nindent 4 }}
  {{- with .Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if and .Values.topologySpreadConstraints (eq .Values.shape "deployment") }}
  topologySpreadConstraints:
    {{- range .Values.topologySpreadConstraints }}
    - topologyKey: {{ .topologyKey | quote }}
      maxSkew: {{ int .maxSkew }}
      whenUnsatisfiable: {{ .whenUnsatisfiable }}
      labelSelector:
        matchLabels:
          {{- include "deputize.selectorLabels" $ | nindent 10 }}
      # Counts pods of this version only, so that an update does not spread by those that go.
      matchLabelKeys: [pod-template-hash]
    {{- end }}
  {{- end }}
{{- end -}}

{{/* Without the version of the chart, so that a chart that changes nothing here does not restart pods. */}}
{{- define "deputize.podLabels" -}}
{{- $own := include "deputize.selectorLabels" . | fromYaml -}}
{{- $_ := set $own "app.kubernetes.io/version" .Chart.AppVersion -}}
{{- if .Values.istio.enabled -}}
{{- $own = merge $own (include "deputize.meshLabels" . | fromYaml) -}}
{{- end -}}
{{- merge $own .Values.podLabels .Values.labels | toYaml -}}
{{- end -}}

{{/* What follows the name of the container. */}}
{{- define "deputize.container" -}}
{{- $http := int (include "deputize.httpPort" .) -}}
{{- $isSidecar := eq .Values.shape "sidecar" -}}
image: {{ include "deputize.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
args: [serve, --config, /etc/deputize/config/config.yaml]
ports:
  {{- if not $isSidecar }}
  - {name: grpc, containerPort: 9191, protocol: TCP}
  {{- end }}
  - {name: {{ ternary "deputize-http" "http" $isSidecar }}, containerPort: {{ $http }}, protocol: TCP}
# Until the first configuration is read; then the other two begin.
startupProbe:
  httpGet: {path: /healthz, port: {{ $http }}}
  periodSeconds: 1
  failureThreshold: 60
# Whether the process lives. Patient: to restart it under load would take the others down, too.
livenessProbe:
  httpGet: {path: /healthz, port: {{ $http }}}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
# Whether it has what it decides by: keys, deny lists, bundles.
readinessProbe:
  {{- if eq .Values.probes.readiness "grpc" }}
  grpc: {port: 9191}
  {{- else }}
  httpGet: {path: /readyz, port: {{ $http }}}
  {{- end }}
  periodSeconds: 5
  timeoutSeconds: 2
  failureThreshold: 2
resources:
  {{- toYaml .Values.resources | nindent 2 }}
securityContext:
  {{- include "deputize.containerSecurity" . | nindent 2 }}
volumeMounts:
  {{- include "deputize.volumeMounts" . | nindent 2 }}
{{- end -}}

{{- define "deputize.userSecurity" -}}
runAsNonRoot: true
{{- with .Values.runAsUser }}
runAsUser: {{ int64 . }}
{{- end }}
{{- with .Values.runAsGroup }}
runAsGroup: {{ int64 . }}
{{- end }}
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "deputize.containerSecurity" -}}
{{ include "deputize.userSecurity" . }}
allowPrivilegeEscalation: false
privileged: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}
