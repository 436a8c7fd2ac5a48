{{/* What is mounted where. Whole folders, never `subPath`: a file mounted by it is never updated. */}}

{{- define "deputize.volumeMounts" -}}
- {name: deputize-config, mountPath: /etc/deputize/config, readOnly: true}
{{- range $position, $name := include "deputize.policyMaps" . | fromYamlArray }}
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
{{- if include "deputize.hasSocket" . }}
- {name: deputize-socket, mountPath: /run/deputize}
{{- end }}
{{- if include "deputize.needsTmp" . }}
- {name: deputize-tmp, mountPath: /tmp}
{{- end }}
{{- end -}}

{{- define "deputize.volumes" -}}
- name: deputize-config
  configMap: {name: {{ include "deputize.configMapName" . | quote }}}
{{- range $position, $name := include "deputize.policyMaps" . | fromYamlArray }}
- name: deputize-policies-{{ $position }}
  configMap: {name: {{ $name | quote }}}
{{- end }}
{{- if .Values.files }}
- name: deputize-files
  configMap: {name: {{ printf "%s-files" (include "deputize.fullname" .) | quote }}}
{{- end }}
{{- range .Values.mounts }}
- name: deputize-mount-{{ .name }}
  {{- if .secret }}
  secret: {secretName: {{ .secret | quote }}}
  {{- else }}
  configMap: {name: {{ .configMap | quote }}}
  {{- end }}
{{- end }}
{{- with .Values.replay.redis }}
{{- if .existingSecret }}
- name: deputize-redis
  secret: {secretName: {{ .existingSecret | quote }}, items: [{key: {{ .key | quote }}, path: url}]}
{{- end }}
{{- end }}
{{- include "deputize.tlsVolumes" . }}
{{- if include "deputize.hasSocket" . }}
- name: deputize-socket
  emptyDir: {medium: Memory, sizeLimit: 1Mi}
{{- end }}
{{- if include "deputize.needsTmp" . }}
- name: deputize-tmp
  emptyDir: {medium: Memory, sizeLimit: 1Mi}
{{- end }}
{{- end -}}

{{- define "deputize.hasSocket" -}}
{{- if and (eq .Values.shape "sidecar") (eq .Values.sidecar.listen "socket") }}yes{{ end -}}
{{- end -}}

{{/* The transport `native` has a socket of its own there. */}}
{{- define "deputize.needsTmp" -}}
{{- if eq "native" (dig "server" "transport" "" .Values.config) }}yes{{ end -}}
{{- end -}}
