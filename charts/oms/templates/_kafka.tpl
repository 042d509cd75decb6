{{- define "oms.kafka.cluster" -}}
{{- default (printf "%s-kafka" (include "oms.fullname" .)) .Values.kafka.strimzi.clusterName -}}
{{- end -}}

{{- define "oms.kafka.bootstrap" -}}
{{- $kafka := .Values.kafka -}}
{{- if eq $kafka.mode "strimzi" -}}
{{ include "oms.kafka.cluster" . }}-kafka-bootstrap.{{ .Release.Namespace }}.svc:9093
{{- else if eq $kafka.mode "embedded" -}}
{{ include "oms.fullname" . }}-kafka.{{ .Release.Namespace }}.svc:9092
{{- else -}}
{{ required "kafka.mode is external: kafka.external.bootstrapServers says where it is (host:port, more of them by commas)" $kafka.external.bootstrapServers }}
{{- end -}}
{{- end -}}

{{- define "oms.kafka.replication" -}}
{{- $strimzi := .Values.kafka.strimzi -}}
{{- $own := ternary (min 3 (int $strimzi.nodes)) 3 $strimzi.createCluster -}}
{{- $all := dict "strimzi" $own "embedded" 1 "external" 3 -}}
{{- int (default (get $all .Values.kafka.mode) .Values.kafka.replication) -}}
{{- end -}}

{{- define "oms.kafka.minInSync" -}}
{{- $replication := int (include "oms.kafka.replication" .) -}}
{{- int (default (max 1 (sub $replication 1)) .Values.kafka.minInSyncReplicas) -}}
{{- end -}}

{{/* How services connect in the current mode, as JSON: protocol, mechanism, and whether there is a CA or a certificate. */}}
{{- define "oms.kafka.security" -}}
{{- $kafka := .Values.kafka -}}
{{- if eq $kafka.mode "embedded" -}}
{{- dict "protocol" "PLAINTEXT" "sasl" "" "certificate" false "ca" "" | toJson -}}
{{- else if eq $kafka.mode "strimzi" -}}
{{- $scram := eq $kafka.strimzi.authentication "scram-sha-512" -}}
{{- dict "protocol" (ternary "SASL_SSL" "SSL" $scram) "sasl" (ternary "SCRAM-SHA-512" "" $scram) "certificate" (not $scram)
      "ca" (printf "%s-cluster-ca-cert" (include "oms.kafka.cluster" .)) | toJson -}}
{{- else -}}
{{- $protocol := $kafka.external.securityProtocol -}}
{{- dict "protocol" $protocol "sasl" (ternary $kafka.external.saslMechanism "" (hasPrefix "SASL" $protocol))
      "certificate" $kafka.external.clientCertificate "ca" $kafka.external.caSecret | toJson -}}
{{- end -}}
{{- end -}}

{{/* The secret with a service's credentials: (list root name service) */}}
{{- define "oms.kafka.secret" -}}
{{- $root := index . 0 -}}
{{- if eq $root.Values.kafka.mode "strimzi" -}}
{{ include "oms.fullname" $root }}-{{ index . 1 }}-kafka
{{- else -}}
{{- default $root.Values.kafka.external.existingSecret (index . 2).kafka.existingSecret
      | required (printf "kafka.mode is external with credentials: kafka.external.existingSecret or services.%s.kafka.existingSecret names their secret" (index . 1)) -}}
{{- end -}}
{{- end -}}

{{/* (list root name service) */}}
{{- define "oms.kafka.env" -}}
{{- $root := index . 0 -}}
{{- $security := include "oms.kafka.security" $root | fromJson -}}
- name: OMS_KAFKA_BOOTSTRAP
  value: {{ include "oms.kafka.bootstrap" $root | quote }}
{{- with $root.Values.kafka.prefix }}
- name: OMS_KAFKA_PREFIX
  value: {{ . | quote }}
{{- end }}
- name: OMS_KAFKA_SECURITY_PROTOCOL
  value: {{ $security.protocol }}
{{- if $security.sasl }}
- name: OMS_KAFKA_SASL_MECHANISM
  value: {{ $security.sasl }}
- name: OMS_KAFKA_USERNAME
  {{- if eq $root.Values.kafka.mode "strimzi" }}
  value: {{ include "oms.kafka.secret" . | quote }}
  {{- else }}
  valueFrom:
    secretKeyRef:
      name: {{ include "oms.kafka.secret" . | quote }}
      key: username
  {{- end }}
- name: OMS_KAFKA_PASSWORD
  valueFrom:
    secretKeyRef:
      name: {{ include "oms.kafka.secret" . | quote }}
      key: password
{{- end }}
{{- if $security.ca }}
- name: OMS_KAFKA_CA_FILE
  value: /etc/oms/kafka-ca/ca.crt
{{- end }}
{{- if $security.certificate }}
- name: OMS_KAFKA_CERT_FILE
  value: /etc/oms/kafka-user/user.crt
- name: OMS_KAFKA_KEY_FILE
  value: /etc/oms/kafka-user/user.key
{{- end }}
{{- end -}}

{{- define "oms.kafka.mounts" -}}
{{- $security := include "oms.kafka.security" . | fromJson -}}
{{- if $security.ca }}
- name: kafka-ca
  mountPath: /etc/oms/kafka-ca
  readOnly: true
{{- end }}
{{- if $security.certificate }}
- name: kafka-user
  mountPath: /etc/oms/kafka-user
  readOnly: true
{{- end }}
{{- end -}}

{{/* (list root name service) */}}
{{- define "oms.kafka.volumes" -}}
{{- $security := include "oms.kafka.security" (index . 0) | fromJson -}}
{{- if $security.ca }}
- name: kafka-ca
  secret:
    secretName: {{ $security.ca | quote }}
    items: [{key: ca.crt, path: ca.crt}]
{{- end }}
{{- if $security.certificate }}
- name: kafka-user
  secret:
    secretName: {{ include "oms.kafka.secret" . | quote }}
    items: [{key: user.crt, path: user.crt}, {key: user.key, path: user.key}]
{{- end }}
{{- end -}}

{{/* What Pod Security `restricted` demands of the containers that Strimzi makes. Their root file systems must be writable. */}}
{{- define "oms.kafka.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  runAsNonRoot: true
  capabilities:
    drop: [ALL]
  seccompProfile:
    type: RuntimeDefault
{{- end -}}

{{/*
The name of a topic's resource, which has no capitals, although the topic has. A name that Kubernetes would refuse is repaired, and
kept distinct from similar ones. (list root topic)
*/}}
{{- define "oms.kafka.topicResource" -}}
{{- $name := printf "%s-%s" (include "oms.fullname" (index . 0)) (kebabcase (index . 1) | replace "_" "-") -}}
{{- if or (gt (len $name) 253) (not (regexMatch "^([a-z0-9]|[a-z0-9][a-z0-9-]*[a-z0-9])([.]([a-z0-9]|[a-z0-9][a-z0-9-]*[a-z0-9]))*$" $name)) -}}
{{- $name = printf "%s-%s" (regexReplaceAll "[^a-z0-9]+" $name "-" | trunc 240 | trimSuffix "-") (index . 1 | sha256sum | trunc 8) -}}
{{- end -}}
{{- $name -}}
{{- end -}}

{{/* Every topic with its settings, as JSON: those that any service produces, whether enabled or not, those of `topics`, and each
enabled service's dead letters. */}}
{{- define "oms.topics" -}}
{{- $topics := dict -}}
{{- range $service := .Values.services -}}
{{- range (default dict $service).produces | default $.Values.serviceDefaults.produces -}}
{{- $_ := set $topics . (deepCopy $.Values.topicDefaults) -}}
{{- end -}}
{{- end -}}
{{- range $name, $own := .Values.topics -}}
{{- $_ := set $topics $name (mustMergeOverwrite (deepCopy $.Values.topicDefaults) (deepCopy (default dict $own))) -}}
{{- end -}}
{{- range $name, $_ := include "oms.services" . | fromJson -}}
{{- $_ := set $topics (printf "%s.deadletter" $name) (deepCopy $.Values.topicDefaults) -}}
{{- end -}}
{{- toJson $topics -}}
{{- end -}}

{{/* The same for the job: the settings are strings, as Kafka requires. */}}
{{- define "oms.topics.asText" -}}
{{- $topics := dict -}}
{{- range $name, $topic := include "oms.topics" . | fromJson -}}
{{- $config := dict -}}
{{- range $key, $value := $topic.config -}}{{- $_ := set $config $key (include "oms.scalar" $value) -}}{{- end -}}
{{- $_ := set $topics $name (dict "partitions" (int $topic.partitions) "config" $config) -}}
{{- end -}}
{{- toJson $topics -}}
{{- end -}}
