{{/* The secret that says where a service's database is: (list root name service) */}}
{{- define "oms.database.secret" -}}
{{- $root := index . 0 -}}
{{- $mode := $root.Values.database.mode -}}
{{- $existing := (index . 2).database.existingSecret -}}
{{- if eq $mode "external" -}}
{{ required (printf "database.mode is external: services.%s.database.existingSecret names the secret whose key uri says where its database is" (index . 1)) $existing }}
{{- else if eq $mode "cnpg" -}}
{{- /* The operator makes <cluster>-app only where it is given no secret. */ -}}
{{ default (printf "%s-%s-postgres-app" (include "oms.fullname" $root) (index . 1)) $existing }}
{{- else -}}
{{ default (printf "%s-%s-database" (include "oms.fullname" $root) (index . 1)) $existing }}
{{- end -}}
{{- end -}}

{{/* Changes with what the databases' pods are started by. */}}
{{- define "oms.postgres.checksum" -}}
{{- range $path, $_ := .Files.Glob "files/postgres/*" }}{{ $.Files.Get $path | sha256sum | trunc 16 }}{{ end -}}
{{- end -}}

{{- define "oms.mailCatcher.enabled" -}}
{{- $wanted := toString .Values.mailCatcher.enabled -}}
{{- $needed := or (empty .Values.notifications.smtp.host) (empty .Values.notifications.sms.url) -}}
{{- if or (eq $wanted "true") (and (eq $wanted "auto") $needed) -}}yes{{- end -}}
{{- end -}}

{{- define "oms.mailCatcher.host" -}}
{{- if not (include "oms.mailCatcher.enabled" .) -}}
{{- fail "mailCatcher.enabled is false: notifications.smtp.host and notifications.sms.url say who takes emails and SMS instead" -}}
{{- end -}}
{{ include "oms.fullname" . }}-mailcatcher
{{- end -}}

{{- define "oms.smtp.host" -}}
{{- if .Values.notifications.smtp.host -}}{{ .Values.notifications.smtp.host }}{{- else -}}{{ include "oms.mailCatcher.host" . }}{{- end -}}
{{- end -}}

{{- define "oms.smtp.port" -}}
{{- ternary 1025 (int .Values.notifications.smtp.port) (empty .Values.notifications.smtp.host) -}}
{{- end -}}

{{- define "oms.smtp.starttls" -}}
{{- $smtp := .Values.notifications.smtp -}}
{{- and (not (empty $smtp.host)) $smtp.startTls (not $smtp.implicitTls) -}}
{{- end -}}

{{- define "oms.smtp.implicitTls" -}}
{{- and (not (empty .Values.notifications.smtp.host)) .Values.notifications.smtp.implicitTls -}}
{{- end -}}

{{- define "oms.sms.url" -}}
{{- if .Values.notifications.sms.url -}}{{ .Values.notifications.sms.url }}{{- else -}}http://{{ include "oms.mailCatcher.host" . }}:8025/sms{{- end -}}
{{- end -}}

{{/* The providers that would do something in the real world, by commas. */}}
{{- define "oms.realProviders" -}}
{{- $real := list -}}
{{- if .Values.notifications.smtp.host -}}{{- $real = append $real "emails" -}}{{- end -}}
{{- if .Values.notifications.sms.url -}}{{- $real = append $real "SMS" -}}{{- end -}}
{{- if ne (dig "payment" "env" "OMS_GATEWAY" "simulator" .Values.services) "simulator" -}}{{- $real = append $real "payments" -}}{{- end -}}
{{- join ", " $real -}}
{{- end -}}
