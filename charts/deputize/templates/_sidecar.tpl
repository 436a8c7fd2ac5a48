{{/*
The parts of a sidecar, for the patch and for charts that depend on this one:

  {{- include "deputize.sidecar.container" .Subcharts.deputize | nindent 8 }}     in initContainers
  {{- include "deputize.sidecar.volumes" .Subcharts.deputize | nindent 8 }}       in volumes
  {{- include "deputize.sidecar.annotations" .Subcharts.deputize | nindent 8 }}   in annotations of the pod
  {{- include "deputize.sidecar.podSecurity" .Subcharts.deputize | nindent 8 }}   in securityContext of the pod
*/}}

{{/* A native sidecar: it starts before the containers of the application, and ends after them. */}}
{{- define "deputize.sidecar.container" -}}
- name: deputize
  restartPolicy: Always
  {{- include "deputize.container" . | nindent 2 }}
{{- end -}}

{{- define "deputize.sidecar.volumes" -}}
{{- include "deputize.volumes" . -}}
{{- end -}}

{{/* Lets Istio's proxy see the socket. Read only is enough to connect. */}}
{{- define "deputize.sidecar.annotations" -}}
{{- include "deputize.startSettings" . }}
{{- if and .Values.istio.enabled (include "deputize.hasSocket" .) }}
sidecar.istio.io/userVolumeMount: '[{"name":"deputize-socket","mountPath":"/run/deputize","readOnly":true}]'
{{- end -}}
{{- end -}}

{{/* The folder of the socket, and so the socket, is its group's, and every container is a member: the proxy is another
user, and could not connect. An fsGroup that the pod has already does the same. */}}
{{- define "deputize.sidecar.podSecurity" -}}
{{- if and .Values.runAsGroup (include "deputize.hasSocket" .) -}}
fsGroup: {{ int64 .Values.runAsGroup }}
{{- end -}}
{{- end -}}

{{- define "deputize.sidecar.patch" -}}
spec:
  template:
    {{- with include "deputize.sidecar.annotations" . }}
    metadata:
      annotations:
        {{- . | trim | nindent 8 }}
    {{- end }}
    spec:
      {{- with include "deputize.sidecar.podSecurity" . }}
      # Without this line where the pod has an fsGroup of its own, which does as well.
      securityContext:
        {{- . | nindent 8 }}
      {{- end }}
      initContainers:
        {{- include "deputize.sidecar.container" . | nindent 8 }}
      volumes:
        {{- include "deputize.sidecar.volumes" . | nindent 8 }}
{{- end -}}
