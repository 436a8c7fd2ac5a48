{{/* What is allowed, and most likely not meant. */}}
{{- define "deputize.warnings" -}}
{{- with .Values -}}
{{- if ne .shape "sidecar" -}}
{{- if not .proxies }}
- NOBODY MAY ASK: `proxies` is empty, so every call that is asked about is refused. List the proxies.
{{- end }}
{{- if and (eq .tls.source "none") (not (include "deputize.mesh" $)) }}
- NEITHER TLS NOR MESH: whoever reaches the port can claim to be any agent, and only the network policy keeps others
  away. Set `tls.source`, or `istio.enabled`.
{{- end }}
{{- if not .networkPolicy.enabled }}
- NO NETWORK POLICY: everybody in the cluster can hold up checks.
{{- end }}
{{- if and (eq .shape "deployment") (not .autoscaling.enabled) (eq (int .replicas) 1) }}
- ONE POD: while it restarts, every call that is asked about is refused. Set `replicas`.
{{- end }}
{{- end }}
{{- range .istio.protect }}
{{- if not .hosts }}
- ONE API MAY ANSWER FOR ANOTHER: `istio.protect` {{ .name }} has no `hosts`. Gateways route by host; for all else give the
  names, or write a policy for each API as in istio/waypoint.
{{- end }}
{{- end }}
{{- if eq "observe" (dig "policyMode" "" .config) }}
- NOTHING IS ENFORCED: `config.policyMode` is `observe`, so what policies refuse is let in.
{{- end }}
{{- $brings := or .policies .policyConfigMaps (ne .tls.source "none") .replay.redis.existingSecret .kubernetes.enabled }}
{{- if and .existingConfigMap $brings }}
- `existingConfigMap`: policies, `tls`, `replay` and `kubernetes` only mount and permit; {{ .existingConfigMap }} must use
  what they bring: a policy that it does not name forbids nothing.
{{- end }}
{{- $areDefined := or .crds.install ($.Capabilities.APIVersions.Has "deputize.dev/v1alpha1/DelegationPolicy") }}
{{- if and .kubernetes.enabled (not $areDefined) }}
- `crds.install` is off: the cluster must have the definitions of DelegationPolicy and IssuerProfile, and has not.
{{- end }}
{{- end -}}
{{- end -}}
