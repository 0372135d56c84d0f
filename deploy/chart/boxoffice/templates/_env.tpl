{{/* The environment of the containers: what each role gets, and what is refused. */}}

{{/* Which roles need a setting that is a secret; not listed: all. */}}
{{- define "boxoffice.secretReaders" -}}
{{- $readers := dict "SMTP_URL" (list "messenger") -}}
{{- range list "S3_ACCESS_KEY" "S3_SECRET_KEY" -}}
{{- $_ := set $readers . (list "serve") -}}
{{- end -}}
{{- range list "TOSS_SECRET_KEY" "TOSS_CLIENT_KEY" "STRIPE_SECRET_KEY" "STRIPE_PUBLISHABLE_KEY" "STRIPE_WEBHOOK_SECRETS" -}}
{{- $_ := set $readers . (list "serve" "cashier") -}}
{{- end -}}
{{- toJson $readers -}}
{{- end -}}

{{/* Settings without which the settings beside them are refused, so that only their readers get them. */}}
{{- define "boxoffice.settingReaders" -}}
{{- dict "BOXOFFICE_POSTER_STORAGE" (list "serve") | toJson -}}
{{- end -}}

{{- define "boxoffice.check" -}}
{{- $given := dict "env" .Values.env "serve.env" .Values.serve.env "migrate.env" .Values.migrate.env -}}
{{- range $role, $own := .Values.roles -}}
{{- $_ := set $given (printf "roles.%s.env" $role) $own.env -}}
{{- end -}}
{{- $own := list "HOST" "PORT" "WORKERS" "DRAIN_DELAY_MS" "DRAIN_TIMEOUT_MS" "METRICS_PORT" "ROLE_METRICS_PORT" "RUNTIME_ROLE" -}}
{{- $secrets := concat (list "DATABASE_URL" "VALKEY_URL" "METRICS_TOKEN") (keys (include "boxoffice.secretReaders" . | fromJson)) -}}
{{- range $place, $env := $given -}}
{{- range $name, $_ := $env -}}
{{- $setting := trimPrefix "BOXOFFICE_" $name -}}
{{- if has $setting $own -}}
{{- fail (printf "%s: the chart sets %s itself, from a value of its own" $place $name) -}}
{{- else if and (hasPrefix "BOXOFFICE_" $name) (has $setting $secrets) -}}
{{- fail (printf "%s: %s is a secret: put %s into the Secret, and its name into secretSettings" $place $name $setting) -}}
{{- else if eq $name "FORWARDED_ALLOW_IPS" -}}
{{- fail (printf "%s: FORWARDED_ALLOW_IPS is the value trustedProxies" $place) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- with .Values.migrate -}}
{{- if and .runtimeRole (not .existingSecret) -}}
{{- fail "migrate.runtimeRole needs migrate.existingSecret: the role that serves must not be the one that owns the tables" -}}
{{- end -}}
{{- end -}}
{{- with .Values.serve.autoscaling -}}
{{- if and .enabled (gt (int .minReplicas) (int .maxReplicas)) -}}
{{- fail (printf "serve.autoscaling: minReplicas (%d) is above maxReplicas (%d)" (int .minReplicas) (int .maxReplicas)) -}}
{{- end -}}
{{- end -}}
{{- if and .Values.metrics.prometheusRule.enabled (not .Values.metrics.prometheusRule.rules) -}}
{{- fail "metrics.prometheusRule.rules is empty: give it with --set-file metrics.prometheusRule.rules.NAME=FILE" -}}
{{- end -}}
{{- end -}}

{{- define "boxoffice.fromSecret" -}}
- name: BOXOFFICE_{{ .key }}
  valueFrom:
    secretKeyRef:
      name: {{ .secret }}
      key: {{ .key }}
{{- end -}}

{{/* The environment of a container. Takes root, role, own (its settings), set (what the chart sets). */}}
{{- define "boxoffice.env" -}}
{{- $secret := include "boxoffice.secret" .root -}}
{{- $owner := ternary (default $secret .root.Values.migrate.existingSecret) $secret (eq .role "migrate") -}}
{{ include "boxoffice.fromSecret" (dict "key" "DATABASE_URL" "secret" $owner) }}
{{ include "boxoffice.fromSecret" (dict "key" "VALKEY_URL" "secret" $secret) }}
{{- $readers := include "boxoffice.secretReaders" .root | fromJson }}
{{- range .root.Values.secretSettings }}
{{- if and (ne $.role "migrate") (has $.role (default (list $.role) (get $readers .))) }}
{{ include "boxoffice.fromSecret" (dict "key" . "secret" $secret) }}
{{- end }}
{{- end }}
{{- $readers = include "boxoffice.settingReaders" .root | fromJson }}
{{- range $name, $value := merge (dict) .set .own .root.Values.env }}
{{- if has $.role (default (list $.role) (get $readers $name)) }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- end }}
{{- end -}}
