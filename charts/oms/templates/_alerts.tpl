{{/* Which optional sources of metrics this release has, as JSON. */}}
{{- define "oms.measured" -}}
{{- $on := .Values.serviceMonitor.enabled -}}
{{- $strimzi := .Values.kafka.strimzi -}}
{{- $cnpg := and $on (eq .Values.database.mode "cnpg") -}}
{{- $backup := .Values.database.cnpg.backup -}}
{{- dict "kafka" (and $on (eq .Values.kafka.mode "strimzi") $strimzi.createCluster $strimzi.metrics)
      "postgres" $cnpg
      "clusterBackup" (and $cnpg $backup.enabled)
      "archive" (and $cnpg $backup.enabled (eq $backup.method "plugin"))
      "backup" (and (eq .Values.database.mode "embedded") .Values.database.embedded.backup.enabled)
      "slo" (not (empty (include "oms.slo.recorded" . | fromJsonArray))) | toJson -}}
{{- end -}}

{{/* All services, as alternatives of a regular expression. */}}
{{- define "oms.alerts.services" -}}
{{- keys (include "oms.services" . | fromJson) | sortAlpha | join "|" -}}
{{- end -}}

{{/* The prefix of the names of Kafka's pods and volumes, if the chart makes it: (list root prefix) */}}
{{- define "oms.alerts.kafka" -}}
{{- $kafka := (index . 0).Values.kafka -}}
{{- $named := and (eq $kafka.mode "strimzi") $kafka.strimzi.createCluster $kafka.strimzi.clusterName -}}
{{- default (printf "%s-kafka" (index . 1)) $named -}}
{{- end -}}

{{/*
A regular expression for the volume claims of this release, and not of another whose name begins alike. The claims of StatefulSets
and Strimzi are `data-…` and `data-0-…`; CloudNativePG's have the instance's name, which `-wal` may follow. (list root prefix)
*/}}
{{- define "oms.alerts.volumes" -}}
{{- $services := include "oms.alerts.services" (index . 0) -}}
(data-)?{{ index . 1 }}-({{ $services }})-postgres-[0-9]+(-.*)?|data(-[0-9]+)?-{{ include "oms.alerts.kafka" . }}-.*|{{ index . 1 }}-backup
{{- end -}}

{{/* The same for the pods of services, databases and Kafka: (list root prefix) */}}
{{- define "oms.alerts.pods" -}}
{{ index . 1 }}-({{ include "oms.alerts.services" (index . 0) }})-.*|{{ include "oms.alerts.kafka" . }}-.*
{{- end -}}

{{/* Fills in the placeholders of files/alerts.yaml: (list root text service), the last empty if there is none */}}
{{- define "oms.alerts.text" -}}
{{- $root := index . 0 -}}
{{- $namespace := printf "namespace=%q" $root.Release.Namespace -}}
{{- $scope := printf "%s, release=%q" $namespace $root.Release.Name -}}
{{- $volumes := include "oms.alerts.volumes" (list $root (include "oms.fullname" $root)) -}}
{{- $services := include "oms.alerts.services" $root -}}
{{- $database := $root.Values.database -}}
{{- $overdue := include "oms.scalar" (ternary $database.cnpg $database.embedded (eq $database.mode "cnpg")).backup.overdueHours -}}
{{- $by := ternary "barman_cloud_cloudnative_pg_io" "cnpg_collector" (eq $database.cnpg.backup.method "plugin") -}}
{{- index . 1 | replace "VOLUMES" $volumes | replace "BACKUP" (printf "%s-backup" (include "oms.fullname" $root))
      | replace "AVAILABLE" (printf "%s_last_available_backup_timestamp" $by)
      | replace "CLUSTER" (printf "%s-SERVICE-postgres" (include "oms.fullname" $root))
      | replace "OVERDUE" $overdue | replace "SCOPE" $scope | replace "NAMESPACE" $namespace | replace "SERVICES" $services
      | replace "SERVICE" (index . 2) -}}
{{- end -}}

{{/*
The expression of an alert. `increase` does not see growth of a counter whose series begins above zero (it counted before the first
scrape), or that grew while nobody scraped it. So the counter is compared with its last value of the hour before: at one moment, a
quarter of an hour ago, a scrape may have failed, or Prometheus been away. (alert)
*/}}
{{- define "oms.alerts.expr" -}}
{{- if .counter -}}
sum by ({{ .by }}) (increase({{ .counter }}[15m])) > 0 or {{ "" -}}
sum by ({{ .by }}) ({{ .counter }} > (last_over_time({{ .counter }}[1h] offset 15m) or 0 * {{ .counter }})) > 0
{{- else -}}
{{ .expr }}
{{- end -}}
{{- end -}}

{{/*
A rule. Namespace and release are among its labels, so that the same alert of two installations is two alerts: (list root alert
service), the last empty unless each service has the alert
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

{{/* The objectives whose burn rate is recorded, as JSON; none without the order service, which measures them. */}}
{{- define "oms.slo.recorded" -}}
{{- $found := list -}}
{{- range $slo := .Files.Get "files/slos.yaml" | fromYamlArray -}}
{{- $asked := get $.Values.slo $slo.value -}}
{{- if and (gt (float64 $asked.objective) 0.0) (hasKey (include "oms.services" $ | fromJson) "order") -}}
{{- $found = append $found (merge (dict "objective" $asked.objective "seconds" (default 0 (get $asked "seconds"))) $slo) -}}
{{- end -}}
{{- end -}}
{{- $found | toJson -}}
{{- end -}}

{{/* The burn rate: the share of bad events, as a multiple of the share that the objective allows. (list root slo window) */}}
{{- define "oms.slo.expr" -}}
{{- $slo := index . 1 -}}
{{- $bound := printf "%s([.]0)?" (include "oms.scalar" $slo.seconds) -}}
{{- $all := printf "sum by (namespace, release) (rate(%s[%s]))" $slo.all (index . 2) -}}
{{- $good := printf "sum by (namespace, release) (rate(%s[%s]))" ($slo.good | replace "SECONDS" $bound) (index . 2) -}}
{{- $burn := printf "(1 - (%s or 0 * %s) / %s) / ((100 - %s) / 100)" $good $all $all (include "oms.scalar" $slo.objective) -}}
{{- include "oms.alerts.text" (list (index . 0) $burn "") -}}
{{- end -}}
