{{/* Placeholders of files/alerts.yaml, filled in: (list root text service), the last empty where there is none */}}
{{- define "oms.alerts.text" -}}
{{- $root := index . 0 -}}
{{- $namespace := printf "namespace=%q" $root.Release.Namespace -}}
{{- $scope := printf "%s, release=%q" $namespace $root.Release.Name -}}
{{- $services := keys (include "oms.services" $root | fromJson) | sortAlpha | join "|" -}}
{{- index . 1 | replace "SCOPE" $scope | replace "NAMESPACE" $namespace | replace "SERVICES" $services
      | replace "SERVICE" (index . 2) | replace "FULLNAME" (include "oms.fullname" $root) -}}
{{- end -}}

{{/*
What an alert asks for. A counter whose series begins above zero (its first count came before the first scrape) has not grown as
`increase` sees it, and has all the same: alert
*/}}
{{- define "oms.alerts.expr" -}}
{{- if .counter -}}
sum by ({{ .by }}) (increase({{ .counter }}[15m])) > 0 or sum by ({{ .by }}) ({{ .counter }} unless {{ .counter }} offset 15m) > 0
{{- else -}}
{{ .expr }}
{{- end -}}
{{- end -}}

{{/*
Namespace and release are among the labels so that the same alert of two installations is two alerts. (list root alert service),
the last empty where the alert is not one of each service
*/}}
{{- define "oms.alerts.rule" -}}
{{- $root := index . 0 -}}
{{- $alert := index . 1 -}}
{{- $service := index . 2 -}}
- alert: {{ $alert.alert }}
  expr: {{ include "oms.alerts.text" (list $root (include "oms.alerts.expr" $alert) $service) | squote }}
  for: {{ $alert.for }}
  labels:
    severity: {{ $alert.severity }}
    namespace: {{ $root.Release.Namespace | quote }}
    release: {{ $root.Release.Name | quote }}
    {{- with $service }}
    service: {{ . | quote }}
    {{- end }}
  annotations:
    summary: {{ include "oms.alerts.text" (list $root $alert.summary $service) | squote }}
    {{- with $root.Values.prometheusRule.runbooks }}
    runbook_url: {{ printf "%s/%s.md" (trimSuffix "/" .) $alert.alert | quote }}
    {{- end }}
{{- end -}}
