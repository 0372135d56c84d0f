{{/* Which servers each role connects to. */}}

{{- define "boxoffice.flows" -}}
{{- $flows := dict
  "serve" (list "postgres" "valkey" "https")
  "sweep" (list "postgres")
  "relay" (list "postgres" "valkey")
  "messenger" (list "postgres" "https" "smtp")
  "cashier" (list "postgres" "valkey" "https")
  "archive" (list "postgres")
  "auditor" (list "postgres")
  "migrate" (list "postgres")
  "test" list -}}
{{- toJson (get $flows .) -}}
{{- end -}}

{{/* The rules of egress of a role. Takes root and role. */}}
{{- define "boxoffice.egress" -}}
{{- $policy := .root.Values.networkPolicy -}}
- ports:
    {{- range $policy.dns.ports }}
    - {port: {{ int . }}, protocol: UDP}
    - {port: {{ int . }}, protocol: TCP}
    {{- end }}
  {{- with $policy.dns.to }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- range include "boxoffice.flows" .role | fromJsonArray }}
{{- $server := get $policy . }}
- ports:
    {{- range $server.ports }}
    - {port: {{ int . }}, protocol: TCP}
    {{- end }}
  {{- with $server.to }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
{{- range list "all" .role }}
{{- with get $policy.extraEgress . }}
{{ toYaml . }}
{{- end }}
{{- end }}
{{- end -}}
