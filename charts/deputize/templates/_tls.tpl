{{/* Where the certificate of the Check port comes from. */}}

{{- define "deputize.tlsVolumes" -}}
{{- end -}}
