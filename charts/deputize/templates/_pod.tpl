{{/* The pod, the same in every shape. */}}

{{- define "deputize.containerSecurity" -}}
allowPrivilegeEscalation: false
capabilities: {drop: [ALL]}
privileged: false
readOnlyRootFilesystem: true
runAsNonRoot: true
{{- with .Values.runAsUser }}
runAsUser: {{ int . }}
{{- end }}
{{- with .Values.runAsGroup }}
runAsGroup: {{ int . }}
{{- end }}
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "deputize.container" -}}
name: deputize
image: {{ include "deputize.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
args: [serve, --config, /etc/deputize/config/config.yaml]
ports:
  {{- if ne .Values.shape "sidecar" }}
  - {name: grpc, containerPort: 9191, protocol: TCP}
  {{- end }}
  - {name: {{ ternary "deputize-http" "http" (eq .Values.shape "sidecar") }}, containerPort: {{ include "deputize.httpPort" . }}, protocol: TCP}
startupProbe:
  httpGet: {path: /healthz, port: {{ include "deputize.httpPort" . }}}
  periodSeconds: 2
  failureThreshold: 30
livenessProbe:
  httpGet: {path: /healthz, port: {{ include "deputize.httpPort" . }}}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 3
readinessProbe:
  {{- if eq .Values.probes.readiness "grpc" }}
  grpc: {port: 9191}
  {{- else }}
  httpGet: {path: /readyz, port: {{ include "deputize.httpPort" . }}}
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

{{/* Whole folders, never `subPath`: a file mounted by it is never updated. */}}
{{- define "deputize.volumeMounts" -}}
- {name: deputize-config, mountPath: /etc/deputize/config, readOnly: true}
{{- if .Values.policies }}
- {name: deputize-policies, mountPath: /etc/deputize/policies/values, readOnly: true}
{{- end }}
{{- range $position, $name := .Values.policyConfigMaps }}
- {name: deputize-policies-{{ $position }}, mountPath: /etc/deputize/policies/{{ $name }}, readOnly: true}
{{- end }}
{{- if .Values.files }}
- {name: deputize-files, mountPath: /etc/deputize/files, readOnly: true}
{{- end }}
{{- range .Values.mounts }}
- {name: deputize-mount-{{ .name }}, mountPath: /etc/deputize/mounts/{{ .name }}, readOnly: true}
{{- end }}
{{- if .Values.replay.redis.existingSecret }}
- {name: deputize-redis, mountPath: /etc/deputize/redis, readOnly: true}
{{- end }}
{{- if ne .Values.tls.source "none" }}
- {name: deputize-tls, mountPath: /etc/deputize/tls, readOnly: true}
{{- end }}
{{- if and (eq .Values.shape "sidecar") (eq .Values.sidecar.listen "socket") }}
- {name: deputize-socket, mountPath: /run/deputize}
{{- end }}
{{- end -}}

{{- define "deputize.volumes" -}}
- name: deputize-config
  configMap: {name: {{ include "deputize.configMapName" . }}}
{{- if .Values.policies }}
- name: deputize-policies
  configMap: {name: {{ include "deputize.fullname" . }}-policies}
{{- end }}
{{- range $position, $name := .Values.policyConfigMaps }}
- name: deputize-policies-{{ $position }}
  configMap: {name: {{ $name }}}
{{- end }}
{{- if .Values.files }}
- name: deputize-files
  configMap: {name: {{ include "deputize.fullname" . }}-files}
{{- end }}
{{- range .Values.mounts }}
- name: deputize-mount-{{ .name }}
  {{- if .secret }}
  secret: {secretName: {{ .secret }}}
  {{- else }}
  configMap: {name: {{ .configMap }}}
  {{- end }}
{{- end }}
{{- with .Values.replay.redis }}
{{- if .existingSecret }}
- name: deputize-redis
  secret:
    secretName: {{ .existingSecret }}
    items: [{key: {{ .key }}, path: url}]
{{- end }}
{{- end }}
{{- include "deputize.tlsVolumes" . }}
{{- if and (eq .Values.shape "sidecar") (eq .Values.sidecar.listen "socket") }}
- name: deputize-socket
  emptyDir: {medium: Memory, sizeLimit: 1Mi}
{{- end }}
{{- end -}}

{{- define "deputize.podTemplate" -}}
metadata:
  labels:
    {{- include "deputize.labels" . | nindent 4 }}
    {{- with .Values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with .Values.podAnnotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  serviceAccountName: {{ include "deputize.serviceAccountName" . }}
  automountServiceAccountToken: {{ .Values.kubernetes.enabled }}
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ .Values.terminationGracePeriodSeconds | default (add (include "deputize.endSeconds" .) 5) }}
  {{- with .Values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- with .Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  securityContext:
    runAsNonRoot: true
    seccompProfile: {type: RuntimeDefault}
    {{- with .Values.fsGroup }}
    fsGroup: {{ int . }}
    {{- end }}
  containers:
    - {{- include "deputize.container" . | nindent 6 }}
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
  {{- if eq .Values.shape "deployment" }}
  {{- with .Values.topologySpreadConstraints }}
  topologySpreadConstraints:
    {{- range . }}
    - topologyKey: {{ .topologyKey }}
      maxSkew: {{ int .maxSkew }}
      whenUnsatisfiable: {{ .whenUnsatisfiable }}
      labelSelector:
        matchLabels:
          {{- include "deputize.selectorLabels" $ | nindent 10 }}
      matchLabelKeys: [pod-template-hash]
    {{- end }}
  {{- end }}
  {{- end }}
{{- end -}}
