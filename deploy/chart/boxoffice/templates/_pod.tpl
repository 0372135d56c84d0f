{{/* The pods, alike for every role. */}}

{{- define "boxoffice.podSecurity" -}}
runAsNonRoot: true
runAsUser: {{ int64 .Values.runAsUser }}
runAsGroup: {{ int64 .Values.runAsGroup }}
fsGroup: {{ int64 .Values.runAsGroup }}
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "boxoffice.containerSecurity" -}}
allowPrivilegeEscalation: false
privileged: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities:
  drop: [ALL]
{{- end -}}

{{- define "boxoffice.probe" -}}
httpGet:
  path: {{ .path }}
  port: {{ .port }}
periodSeconds: {{ .period }}
timeoutSeconds: 2
failureThreshold: {{ .failures }}
{{- end -}}

{{/* What a pod template has beside its containers. Takes root, role, account, grace. */}}
{{- define "boxoffice.podSpec" -}}
{{- $values := .root.Values -}}
serviceAccountName: {{ .account }}
automountServiceAccountToken: false
# Variables of a service named boxoffice would look like settings.
enableServiceLinks: false
{{- with $values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  {{- include "boxoffice.podSecurity" .root | nindent 2 }}
terminationGracePeriodSeconds: {{ .grace }}
{{- with $values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with $values.runtimeClassName }}
runtimeClassName: {{ . }}
{{- end }}
{{- with $values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
volumes:
  # Reports, and the metrics of several workers, are files for a while.
  - name: tmp
    emptyDir:
      sizeLimit: 256Mi
{{- if or $values.tls.existingSecret $values.tls.existingConfigMap }}
  - name: tls
    projected:
      defaultMode: 0440
      sources:
        {{- with $values.tls.existingSecret }}
        - secret:
            name: {{ . }}
        {{- end }}
        {{- with $values.tls.existingConfigMap }}
        - configMap:
            name: {{ . }}
        {{- end }}
{{- end }}
{{- end -}}

{{/* A container without ports and probes. Takes root, role, own, set, resources. */}}
{{- define "boxoffice.container" -}}
- name: {{ .role }}
  image: {{ include "boxoffice.image" .root }}
  imagePullPolicy: {{ .root.Values.image.pullPolicy }}
  command: [boxoffice]
  args: [{{ .role }}]
  env:
    {{- include "boxoffice.env" . | nindent 4 }}
  resources:
    {{- toYaml .resources | nindent 4 }}
  securityContext:
    {{- include "boxoffice.containerSecurity" .root | nindent 4 }}
  volumeMounts:
    - name: tmp
      mountPath: /tmp
    {{- if or .root.Values.tls.existingSecret .root.Values.tls.existingConfigMap }}
    - name: tls
      mountPath: /etc/boxoffice/tls
      readOnly: true
    {{- end }}
{{- end -}}

{{/* Labels and annotations of the pods of a role. Takes root, role, scraped, more (annotations). */}}
{{- define "boxoffice.podMetadata" -}}
labels:
  {{- with .root.Values.podLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
  {{- include "boxoffice.labels" . | nindent 2 }}
  {{- if .scraped }}
  metrics: scraped
  {{- end }}
{{- $annotations := merge (dict) (default (dict) .more) .root.Values.podAnnotations }}
{{- with .root.Values.metrics }}
{{- if and $.scraped .annotations (not .serviceMonitor.enabled) }}
{{- $annotations = merge $annotations (dict "prometheus.io/scrape" "true" "prometheus.io/port" "9100") }}
{{- end }}
{{- end }}
{{- with $annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Spread over nodes and zones, each release of the pods by itself. */}}
{{- define "boxoffice.spread" -}}
topologySpreadConstraints:
{{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
  - maxSkew: 1
    topologyKey: {{ . }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "boxoffice.selector" $ | nindent 8 }}
    matchLabelKeys: [pod-template-hash]
{{- end }}
{{- end -}}
