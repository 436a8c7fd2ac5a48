{{/* Where the certificate of the port that proxies ask on comes from; always tls.crt, tls.key and ca.crt. */}}

{{- define "deputize.tlsSecret" -}}
{{- ternary .Values.tls.secretName (printf "%s-tls" (include "deputize.fullname" .)) (eq .Values.tls.source "secret") -}}
{{- end -}}

{{- define "deputize.tlsVolumes" -}}
{{- with .Values.tls -}}
{{- if or (eq .source "secret") (eq .source "certManager") }}
- name: deputize-tls
  secret: {secretName: {{ include "deputize.tlsSecret" $ | quote }}}
{{- else if eq .source "csiDriverSpiffe" }}
- name: deputize-tls
  csi:
    driver: {{ .csiDriverSpiffe.driver | quote }}
    readOnly: true
    # The files are root's and its group's, else.
    volumeAttributes: {spiffe.csi.cert-manager.io/fs-group: {{ $.Values.runAsGroup | toString | quote }}}
{{- else if eq .source "spire" }}
- name: deputize-tls
  emptyDir: {medium: Memory, sizeLimit: 1Mi}
- name: deputize-spiffe-helper
  configMap: {name: {{ printf "%s-spiffe-helper" (include "deputize.fullname" $) | quote }}}
- name: deputize-spire
  csi: {driver: {{ .spire.driver | quote }}, readOnly: true}
{{- end }}
{{- end -}}
{{- end -}}

{{/* The first writes the files once, so that they are there when the service starts; the second keeps them fresh. */}}
{{- define "deputize.spiffeHelpers" -}}
{{- range $name := list "fetch-svid" "renew-svid" }}
{{- $isDaemon := eq $name "renew-svid" }}
- name: {{ $name | quote }}
  image: {{ $.Values.tls.spire.image | quote }}
  imagePullPolicy: {{ $.Values.image.pullPolicy }}
  args: [-config, /etc/spiffe-helper/helper.conf, -daemon-mode={{ $isDaemon }}]
  {{- if $isDaemon }}
  restartPolicy: Always
  {{- end }}
  resources:
    requests: {cpu: 5m, memory: 16Mi}
    limits: {memory: 64Mi}
  securityContext:
    {{- include "deputize.containerSecurity" $ | nindent 4 }}
  volumeMounts:
    - {name: deputize-spiffe-helper, mountPath: /etc/spiffe-helper, readOnly: true}
    - {name: deputize-spire, mountPath: /spiffe-workload-api, readOnly: true}
    - {name: deputize-tls, mountPath: /etc/deputize/tls}
{{- end }}
{{- end -}}
