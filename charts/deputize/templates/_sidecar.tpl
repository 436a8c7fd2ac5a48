{{/*
The parts of a sidecar, for the patch and for charts that depend on this one:

  {{- include "deputize.sidecar.container" .Subcharts.deputize | nindent 8 }}     in initContainers
  {{- include "deputize.sidecar.volumes" .Subcharts.deputize | nindent 8 }}       in volumes
  {{- include "deputize.sidecar.annotations" .Subcharts.deputize | nindent 8 }}   in annotations of the pod
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
{{- if and .Values.istio.enabled (include "deputize.hasSocket" .) -}}
sidecar.istio.io/userVolumeMount: '[{"name":"deputize-socket","mountPath":"/run/deputize","readOnly":true}]'
{{- end -}}
{{- end -}}

{{- define "deputize.sidecar.patch" -}}
spec:
  template:
    {{- with include "deputize.sidecar.annotations" . }}
    metadata:
      annotations:
        {{- . | nindent 8 }}
    {{- end }}
    spec:
      initContainers:
        {{- include "deputize.sidecar.container" . | nindent 8 }}
      volumes:
        {{- include "deputize.sidecar.volumes" . | nindent 8 }}
{{- end -}}
