{{/* Names and labels. */}}

{{- define "boxoffice.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{/* Shorter than the 63 characters of a name, so that "-messenger" fits behind it. */}}
{{- define "boxoffice.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 48 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) | trunc 48 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* A role's name: serve has the full name itself. Takes root and role. */}}
{{- define "boxoffice.roleName" -}}
{{- $full := include "boxoffice.fullname" .root -}}
{{- ternary $full (printf "%s-%s" $full .role) (eq .role "serve") -}}
{{- end -}}

{{- define "boxoffice.selector" -}}
app.kubernetes.io/name: {{ include "boxoffice.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- if .role }}
app.kubernetes.io/component: {{ .role }}
{{- end }}
{{- end -}}

{{- define "boxoffice.labels" -}}
{{ include "boxoffice.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* Metadata of a resource. Takes root, role ("" for the release), name. */}}
{{- define "boxoffice.metadata" -}}
name: {{ .name }}
namespace: {{ .root.Release.Namespace }}
labels:
  {{- include "boxoffice.labels" . | nindent 2 }}
{{- end -}}

{{/* The digest wins over the tag. */}}
{{- define "boxoffice.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ default $.Chart.AppVersion .tag }}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "boxoffice.secret" -}}
{{- default (include "boxoffice.fullname" .) .Values.existingSecret -}}
{{- end -}}

{{/* The roles that run, as JSON: serve first. */}}
{{- define "boxoffice.running" -}}
{{- $running := list "serve" -}}
{{- range $role, $own := .Values.roles -}}
{{- if $own.enabled -}}
{{- $running = append $running $role -}}
{{- end -}}
{{- end -}}
{{- toJson $running -}}
{{- end -}}

{{/* The annotations of a hook. Takes on, weight, policy. */}}
{{- define "boxoffice.hook" -}}
helm.sh/hook: {{ .on }}
helm.sh/hook-weight: {{ .weight | quote }}
helm.sh/hook-delete-policy: {{ .policy }}
{{- end -}}
