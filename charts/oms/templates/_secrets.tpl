{{/*
The secrets that the chart generates, by suffix, as JSON: which keys are random and how long, and which are texts, in which
${key} is replaced by that random value.
*/}}
{{- define "oms.generated" -}}
{{- $all := dict -}}
{{- range $name, $service := include "oms.services" . | fromJson -}}
{{- if and (eq $.Values.database.mode "embedded") (not $service.database.existingSecret) -}}
{{- $user := replace "-" "_" $name -}}
{{- $uri := printf "postgresql://%s:${password}@%s-%s-postgres.%s.svc:5432/%s" $user (include "oms.fullname" $) $name $.Release.Namespace $user -}}
{{- $_ := set $all (printf "%s-database" $name) (dict "component" $name "random" (dict "password" 32) "text" (dict "username" $user "uri" $uri)) -}}
{{- end -}}
{{- if $service.generatedEnv -}}
{{- $random := dict -}}
{{- range $service.generatedEnv -}}{{- $_ := set $random . 48 -}}{{- end -}}
{{- $_ := set $all $name (dict "component" $name "random" $random "text" dict) -}}
{{- end -}}
{{- end -}}
{{- if and .Values.admin.enabled (not .Values.admin.existingSecret) -}}
{{- $_ := set $all "admin" (dict "component" "admin" "random" (dict "token" 48) "text" dict) -}}
{{- end -}}
{{- toJson $all -}}
{{- end -}}

{{/* Whether Helm can query the cluster: its lookup then returns a list, even if that is empty. */}}
{{- define "oms.live" -}}
{{- if hasKey (lookup "v1" "Secret" .Release.Namespace "") "items" -}}yes{{- end -}}
{{- end -}}

{{/* A secret's data as JSON, in which existing values are kept: (list secret found) */}}
{{- define "oms.generated.data" -}}
{{- $secret := index . 0 -}}
{{- $kept := dig "data" dict (index . 1) | default dict -}}
{{- $values := dict -}}
{{- range $key, $length := $secret.random -}}
{{- $_ := set $values $key (hasKey $kept $key | ternary (get $kept $key | b64dec) (randAlphaNum (int $length))) -}}
{{- end -}}
{{- range $key, $text := $secret.text -}}
{{- range $random, $_ := $secret.random -}}
{{- $text = replace (printf "${%s}" $random) (get $values $random) $text -}}
{{- end -}}
{{- $_ := set $values $key (hasKey $kept $key | ternary (get $kept $key | b64dec) $text) -}}
{{- end -}}
{{- toJson $values -}}
{{- end -}}

{{/* The name of a Job. A Job cannot be changed, so that another specification gives another name: (list suffix specification) */}}
{{- define "oms.jobName" -}}
{{ index . 0 }}-{{ index . 1 | sha256sum | trunc 8 }}
{{- end -}}
