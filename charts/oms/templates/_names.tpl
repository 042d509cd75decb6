{{/* The prefix of all names. Short enough that the longest suffix and a StatefulSet's revision hash still fit. */}}
{{- define "oms.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- $full := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) -}}
{{- default $full .Values.fullnameOverride | trunc 30 | trimSuffix "-" -}}
{{- end -}}

{{- define "oms.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* What a selector matches: (list root component) */}}
{{- define "oms.selector" -}}
app.kubernetes.io/name: {{ include "oms.name" (index . 0) }}
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{/* (list root component) */}}
{{- define "oms.labels" -}}
{{- $root := index . 0 -}}
{{ include "oms.selector" . }}
app.kubernetes.io/part-of: oms
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* The name and labels that every object begins with: (list root suffix component [annotations]) */}}
{{- define "oms.metadata" -}}
{{- $root := index . 0 -}}
name: {{ include "oms.fullname" $root }}{{ with index . 1 }}-{{ . }}{{ end }}
namespace: {{ $root.Release.Namespace }}
labels:
  {{- include "oms.labels" (list $root (index . 2)) | nindent 2 }}
{{- if gt (len .) 3 }}
{{- with index . 3 }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- end -}}

{{/* The services that are enabled, each with the defaults beneath, as JSON. */}}
{{- define "oms.services" -}}
{{- $services := dict -}}
{{- range $name, $own := .Values.services -}}
{{- $service := mustMergeOverwrite (deepCopy $.Values.serviceDefaults) (deepCopy (default dict $own)) -}}
{{- $_ := set $service "module" (default (printf "oms_%s.main" (replace "-" "_" $name)) $service.module) -}}
{{- if $service.enabled -}}{{- $_ = set $services $name $service -}}{{- end -}}
{{- end -}}
{{- toJson $services -}}
{{- end -}}

{{/* (list root name service) */}}
{{- define "oms.image" -}}
{{- $root := index . 0 -}}
{{- $image := $root.Values.image -}}
{{- $path := printf "%s/%s:%s" $image.repository (index . 1) (default $root.Chart.AppVersion $image.tag) -}}
{{- default (ternary $path (printf "%s/%s" $image.registry $path) (empty $image.registry)) (index . 2).image -}}
{{- end -}}

{{- define "oms.pullSecrets" -}}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}
