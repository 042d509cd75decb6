{{/* What the Pod Security level `restricted` demands of a pod: (list uid gid [token]); the ids may be null */}}
{{- define "oms.podSecurity" -}}
automountServiceAccountToken: {{ gt (len .) 2 }}
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  {{- with index . 0 }}
  runAsUser: {{ int . }}
  {{- end }}
  {{- with index . 1 }}
  runAsGroup: {{ int . }}
  fsGroup: {{ int . }}
  fsGroupChangePolicy: OnRootMismatch
  {{- end }}
  seccompProfile:
    type: RuntimeDefault
{{- end -}}

{{- define "oms.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
{{- end -}}

{{- define "oms.admin.secret" -}}
{{- default (printf "%s-admin" (include "oms.fullname" .)) .Values.admin.existingSecret -}}
{{- end -}}

{{/*
A service's environment, with each variable once: server-side apply (Helm 4, Argo CD, Flux) refuses a list with duplicate names. The
last of several wins, as it does in Kubernetes. (list root name service [further entries, as text])
*/}}
{{- define "oms.env" -}}
{{- $text := include "oms.env.all" . -}}
{{- if gt (len .) 3 -}}{{- $text = printf "%s\n%s" $text (index . 3) -}}{{- end -}}
{{- $all := fromYamlArray $text -}}
{{- $last := dict -}}
{{- range $place, $one := $all -}}{{- $_ := set $last $one.name $place -}}{{- end -}}
{{- $kept := list -}}
{{- range $place, $one := $all -}}
{{- if eq $place (int (get $last $one.name)) -}}{{- $kept = append $kept $one -}}{{- end -}}
{{- end -}}
{{- toYaml $kept -}}
{{- end -}}

{{/* The chart's variables, then those of the values, which override them. */}}
{{- define "oms.env.all" -}}
{{- $root := index . 0 -}}
{{- $name := index . 1 -}}
{{- $service := index . 2 -}}
- name: OMS_DATABASE_URL
  valueFrom:
    secretKeyRef:
      name: {{ include "oms.database.secret" . | quote }}
      key: uri
- name: OMS_DATABASE_POOL
  value: {{ include "oms.scalar" $root.Values.database.pool | quote }}
{{ include "oms.kafka.env" . }}
{{- if $root.Values.ipv6 }}
- name: OMS_HTTP_HOST
  value: "" # every address of the pod
{{- end }}
# A container that died is replaced in the same pod, so that it finds the same volume.
- name: OMS_STATE_FOLDER
  value: /tmp
- name: OMS_DRAIN_SECONDS
  value: {{ include "oms.scalar" $root.Values.shutdown.drainSeconds | quote }}
{{- if $root.Values.admin.enabled }}
- name: OMS_ADMIN_TOKEN
  valueFrom:
    secretKeyRef:
      name: {{ include "oms.admin.secret" $root | quote }}
      key: token
{{- end }}
{{- if $service.http }}
- name: OMS_AUTH
  value: {{ $root.Values.auth.mode }}
{{- if contains "jwt" $root.Values.auth.mode }}
- name: OMS_JWT_ISSUER
  value: {{ $root.Values.auth.jwt.issuer | quote }}
- name: OMS_JWT_AUDIENCE
  value: {{ $root.Values.auth.jwt.audience | quote }}
{{- end }}
{{- end }}
- name: OMS_LOG_LEVEL
  value: {{ $root.Values.logLevel }}
{{- with $root.Values.tracing.endpoint }}
- name: OMS_TRACES_ENDPOINT
  value: {{ . | quote }}
- name: OMS_TRACES_RATIO
  value: {{ include "oms.scalar" $root.Values.tracing.ratio | quote }}
{{- end }}
- name: OMS_CURRENCY
  value: {{ $root.Values.currency | quote }}
{{- range $key, $value := $service.settings }}
{{- $variable := printf "OMS_%s" (snakecase $key | upper) }}
{{- if not (hasKey $service.env $variable) }}
- name: {{ $variable }}
  value: {{ include "oms.scalar" $value | quote }}
{{- end }}
{{- end }}
{{- range $key := $service.generatedEnv }}
- name: {{ $key | quote }}
  valueFrom:
    secretKeyRef:
      name: {{ include "oms.fullname" $root }}-{{ $name }}
      key: {{ $key | quote }}
{{- end }}
{{- range $key, $value := $service.env }}
- name: {{ $key | quote }}
  value: {{ tpl (include "oms.scalar" $value) $root | quote }}
{{- end }}
{{- with $service.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* A service's files with their templates filled in, as JSON: (list root service) */}}
{{- define "oms.files" -}}
{{- $root := index . 0 -}}
{{- $files := dict -}}
{{- range $name, $text := (index . 1).files -}}{{- $_ := set $files $name (tpl $text $root) -}}{{- end -}}
{{- toJson $files -}}
{{- end -}}

{{/* envFrom, without secrets whose templated names are empty: (list root service) */}}
{{- define "oms.envFrom" -}}
{{- $root := index . 0 -}}
{{- $names := list -}}
{{- range (index . 1).envFromSecrets -}}
{{- with tpl . $root -}}{{- $names = append $names . -}}{{- end -}}
{{- end -}}
{{- with $names }}
envFrom:
  {{- range . }}
  - secretRef:
      name: {{ . | quote }}
  {{- end }}
{{- end }}
{{- end -}}

{{/* (list root service) */}}
{{- define "oms.mounts" -}}
- name: tmp
  mountPath: /tmp
{{- include "oms.kafka.mounts" (index . 0) }}
{{- if (index . 1).files }}
- name: files
  mountPath: /etc/oms/files
  readOnly: true
{{- end }}
{{- with (index . 1).extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* (list root name service) */}}
{{- define "oms.volumes" -}}
- name: tmp
  emptyDir:
    sizeLimit: 64Mi
{{- include "oms.kafka.volumes" . }}
{{- if (index . 2).files }}
- name: files
  configMap:
    name: {{ include "oms.fullname" (index . 0) }}-{{ index . 1 }}-files
{{- end }}
{{- with (index . 2).extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* The scheduling constraints of a pod: service */}}
{{- define "oms.scheduling" -}}
{{- with .nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- end -}}
