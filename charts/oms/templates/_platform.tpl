{{/* The secret with the address of a service's database: (list root name service) */}}
{{- define "oms.database.secret" -}}
{{- $root := index . 0 -}}
{{- $mode := $root.Values.database.mode -}}
{{- $existing := (index . 2).database.existingSecret -}}
{{- if eq $mode "external" -}}
{{ required (printf "database.mode is external: services.%s.database.existingSecret names the secret whose key uri says where its database is" (index . 1)) $existing }}
{{- else if eq $mode "cnpg" -}}
{{- /* The operator makes <cluster>-app only if it is given no secret. */ -}}
{{ default (printf "%s-%s-postgres-app" (include "oms.fullname" $root) (index . 1)) $existing }}
{{- else -}}
{{ default (printf "%s-%s-database" (include "oms.fullname" $root) (index . 1)) $existing }}
{{- end -}}
{{- end -}}

{{/* Changes whenever the files change with which the databases' pods are started. */}}
{{- define "oms.postgres.checksum" -}}
{{- range $path, $_ := .Files.Glob "files/postgres/*" }}{{ $.Files.Get $path | sha256sum | trunc 16 }}{{ end -}}
{{- end -}}

{{/* Whether any service sends to the mail catcher, whichever value says so. */}}
{{- define "oms.mailCatcher.needed" -}}
{{- $catcher := include "oms.mailCatcher.name" . -}}
{{- $mails := eq $catcher (include "oms.variable" (list . "email" "OMS_SMTP_HOST")) -}}
{{- $texts := eq (include "oms.mailCatcher.texts" $catcher) (include "oms.variable" (list . "sms" "OMS_SMS_URL")) -}}
{{- if or $mails $texts -}}yes{{- end -}}
{{- end -}}

{{- define "oms.mailCatcher.enabled" -}}
{{- $wanted := toString .Values.mailCatcher.enabled -}}
{{- if eq $wanted "true" -}}yes{{- else if eq $wanted "auto" -}}{{ include "oms.mailCatcher.needed" . }}{{- end -}}
{{- end -}}

{{- define "oms.mailCatcher.name" -}}{{ include "oms.fullname" . }}-mailcatcher{{- end -}}

{{/* The URL at which a mail catcher receives SMS: its host */}}
{{- define "oms.mailCatcher.texts" -}}http://{{ . }}:8025/sms{{- end -}}

{{- define "oms.smtp.host" -}}
{{- if .Values.notifications.smtp.host -}}{{ .Values.notifications.smtp.host }}{{- else -}}{{ include "oms.mailCatcher.name" . }}{{- end -}}
{{- end -}}

{{/* Whether the mail server of the email service is the mail catcher, whichever value names it: its port and TLS follow from that. */}}
{{- define "oms.smtp.caught" -}}
{{- $catcher := include "oms.mailCatcher.name" . -}}
{{- with get (include "oms.services" . | fromJson) "email" -}}
{{- $host := tpl (include "oms.scalar" (get .env "OMS_SMTP_HOST")) $ -}}
{{- range .extraEnv -}}{{- if eq .name "OMS_SMTP_HOST" -}}{{- $host = get . "value" -}}{{- end -}}{{- end -}}
{{- if eq $host $catcher -}}yes{{- end -}}
{{- end -}}
{{- end -}}

{{- define "oms.smtp.port" -}}
{{- ternary 1025 (int .Values.notifications.smtp.port) (not (empty (include "oms.smtp.caught" .))) -}}
{{- end -}}

{{- define "oms.smtp.starttls" -}}
{{- $smtp := .Values.notifications.smtp -}}
{{- and (empty (include "oms.smtp.caught" .)) $smtp.startTls (not $smtp.implicitTls) -}}
{{- end -}}

{{- define "oms.smtp.implicitTls" -}}
{{- and (empty (include "oms.smtp.caught" .)) .Values.notifications.smtp.implicitTls -}}
{{- end -}}

{{- define "oms.sms.url" -}}
{{- if .Values.notifications.sms.url -}}{{ .Values.notifications.sms.url }}{{- else -}}{{ include "oms.mailCatcher.texts" (include "oms.mailCatcher.name" .) }}{{- end -}}
{{- end -}}

{{/*
The value of a variable in a service's container, after everything that overrides it; `elsewhere` if it comes, or may come, from a
secret, because the values then do not contain it. (list root name variable)
*/}}
{{- define "oms.variable" -}}
{{- $root := index . 0 -}}
{{- $name := index . 1 -}}
{{- $variable := index . 2 -}}
{{- $kept := printf "omsVariables/%s" $name -}}
{{- if not (hasKey $root $kept) -}}{{- $_ := set $root $kept (include "oms.variables" (list $root $name) | fromJson) -}}{{- end -}}
{{- $found := get $root $kept -}}
{{- ternary (get $found.named $variable) $found.others (hasKey $found.named $variable) -}}
{{- end -}}

{{/* The same for all variables that the values name, and for all others, as JSON: (list root name) */}}
{{- define "oms.variables" -}}
{{- $root := index . 0 -}}
{{- $name := index . 1 -}}
{{- $named := dict -}}
{{- $others := "" -}}
{{- with get (include "oms.services" $root | fromJson) $name -}}
{{- $others = ternary "elsewhere" "" (not (empty (include "oms.envFrom" (list $root .)))) -}}
{{- range include "oms.env" (list $root $name .) | fromYamlArray -}}
{{- $_ := set $named .name (ternary "elsewhere" (get . "value") (hasKey . "valueFrom")) -}}
{{- end -}}
{{- end -}}
{{- toJson (dict "named" $named "others" $others) -}}
{{- end -}}

{{/* The providers that would act in the real world, separated by commas. */}}
{{- define "oms.realProviders" -}}
{{- $catcher := include "oms.mailCatcher.name" . -}}
{{- $real := list -}}
{{- range $what := list
      (list "emails" "email" "OMS_SMTP_HOST" $catcher)
      (list "SMS" "sms" "OMS_SMS_URL" (include "oms.mailCatcher.texts" $catcher))
      (list "payments" "payment" "OMS_GATEWAY" "simulator") -}}
{{- $value := include "oms.variable" (list $ (index $what 1) (index $what 2)) -}}
{{- if not (has $value (list "" (index $what 3))) -}}{{- $real = append $real (first $what) -}}{{- end -}}
{{- end -}}
{{- join ", " $real -}}
{{- end -}}
