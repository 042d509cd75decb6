{{/* No pod selector matches a name server that answers from a node's address (NodeLocal DNSCache, GKE's Cloud DNS). */}}
{{- define "oms.egress.dns" -}}
- ports:
    {{- range .Values.networkPolicy.dns.ports }}
    - {protocol: UDP, port: {{ include "oms.scalar" . }}}
    - {protocol: TCP, port: {{ include "oms.scalar" . }}}
    {{- end }}
  {{- with .Values.networkPolicy.dns.to }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}

{{- define "oms.egress.kafka" -}}
{{- if eq .Values.kafka.mode "embedded" -}}
- to:
    - podSelector:
        matchLabels:
          {{- include "oms.selector" (list . "kafka") | nindent 10 }}
  ports: [{port: 9092}]
{{- else if eq .Values.kafka.mode "strimzi" -}}
- to:
    - podSelector:
        matchLabels:
          strimzi.io/cluster: {{ include "oms.kafka.cluster" . | quote }}
  ports: [{port: 9093}]
{{- else -}}
{{- /* The bootstrap servers return the addresses of the other brokers: only their ports are known here. */ -}}
{{- $ports := dict -}}
{{- range splitList "," (include "oms.kafka.bootstrap" .) -}}
{{- $_ := set $ports (last (splitList ":" .)) true -}}
{{- end -}}
- ports:
    {{- range keys $ports | sortAlpha }}
    - port: {{ . }}
    {{- end }}
{{- end -}}
{{- end -}}

{{/* (list root name) */}}
{{- define "oms.egress.database" -}}
{{- $root := index . 0 -}}
{{- $mode := $root.Values.database.mode -}}
{{- if eq $mode "external" -}}
- ports: [{port: {{ include "oms.scalar" $root.Values.database.external.port }}}]
{{- else -}}
- to:
    - podSelector:
        matchLabels:
          {{- if eq $mode "cnpg" }}
          cnpg.io/cluster: {{ include "oms.fullname" $root }}-{{ index . 1 }}-postgres
          {{- else }}
          {{- include "oms.selector" (list $root (printf "%s-postgres" (index . 1))) | nindent 10 }}
          {{- end }}
  ports: [{port: 5432}]
{{- end -}}
{{- end -}}

{{/* Egress to a server with this URL: (dict url egress). Without rules of its own, its port at any address. */}}
{{- define "oms.egress.url" -}}
{{- with .egress -}}
{{- toYaml . -}}
{{- else -}}
{{- $url := urlParse .url -}}
{{- $port := regexFind ":[0-9]+$" $url.host | trimPrefix ":" -}}
- ports: [{protocol: TCP, port: {{ default (ternary 443 80 (eq $url.scheme "https")) $port }}}]
{{- end -}}
{{- end -}}
