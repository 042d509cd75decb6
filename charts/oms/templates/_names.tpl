{{/* The prefix of all names, short enough for the longest suffix and a StatefulSet's revision hash to fit. */}}
{{- define "oms.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- $full := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) -}}
{{- $full = default $full .Values.fullnameOverride -}}
{{- /* The name of a Service must begin with a letter. */ -}}
{{- if regexMatch "^[0-9]" $full -}}{{- $full = printf "oms-%s" $full -}}{{- end -}}
{{- $short := $full | replace "." "-" | trunc 30 | trimSuffix "-" -}}
{{- /* Two long names that begin alike must stay distinct. */ -}}
{{- if ne $short $full -}}{{- $short = printf "%s-%s" ($short | trunc 23 | trimSuffix "-") ($full | sha256sum | trunc 6) -}}{{- end -}}
{{- $short -}}
{{- end -}}

{{- define "oms.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* The labels that a selector matches: (list root component) */}}
{{- define "oms.selector" -}}
app.kubernetes.io/name: {{ include "oms.name" (index . 0) | quote }}
app.kubernetes.io/instance: {{ (index . 0).Release.Name | quote }}
app.kubernetes.io/component: {{ index . 1 | quote }}
{{- end -}}

{{/*
The labels of pods, and of resources from which an operator makes pods. None of them changes with a release of the chart, because a
changed label restarts the pods that have it. (list root component)
*/}}
{{- define "oms.podLabels" -}}
{{ include "oms.selector" . }}
app.kubernetes.io/part-of: oms
{{- end -}}

{{/* The metadata of pods that do not belong to a service: (list root component [annotations]) */}}
{{- define "oms.podMetadata" -}}
{{- $own := (index . 0).Values.platformDefaults -}}
labels:
  {{- include "oms.podLabels" . | nindent 2 }}
  {{- with $own.podLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- $more := dict -}}
{{- if gt (len .) 2 -}}{{- $more = deepCopy (index . 2) -}}{{- end -}}
{{- with merge $more $own.podAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* (list root component) */}}
{{- define "oms.labels" -}}
{{- $root := index . 0 -}}
{{ include "oms.podLabels" . }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* The labels of a resource that others find by its labels; those from the values override the chart's: (list root component labels) */}}
{{- define "oms.labelsWith" -}}
{{- toYaml (merge (deepCopy (default dict (index . 2))) (include "oms.labels" . | fromYaml)) -}}
{{- end -}}

{{/* The name and labels of every object: (list root suffix component [annotations [labels]]) */}}
{{- define "oms.metadata" -}}
{{- $root := index . 0 -}}
name: {{ list (include "oms.fullname" $root) (index . 1) | compact | join "-" | quote }}
namespace: {{ $root.Release.Namespace | quote }}
labels:
{{- if gt (len .) 4 }}
  {{- include "oms.labelsWith" (list $root (index . 2) (index . 4)) | nindent 2 }}
{{- else }}
  {{- include "oms.labels" (list $root (index . 2)) | nindent 2 }}
{{- end }}
{{- if gt (len .) 3 }}
{{- with index . 3 }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- end -}}

{{/* The enabled services, each merged over the defaults, as JSON. Computed once, because it is needed a hundred times. */}}
{{- define "oms.services" -}}
{{- if not (hasKey . "omsServices") -}}{{- $_ := set . "omsServices" (include "oms.services.found" .) -}}{{- end -}}
{{- .omsServices -}}
{{- end -}}

{{- define "oms.services.found" -}}
{{- $services := dict -}}
{{- $known := .Files.Get "files/settings.json" | fromJson -}}
{{- range $name, $own := .Values.services -}}
{{- $defaults := deepCopy $.Values.serviceDefaults -}}
{{- /* A default applies only to services that have the setting. Which settings a user's own service has is unknown. */ -}}
{{- with get $known.own $name -}}
{{- $has := concat $known.common . -}}
{{- range keys $defaults.settings -}}
{{- if not (has . $has) -}}{{- $_ := unset $defaults.settings . -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- $service := mustMergeOverwrite $defaults (deepCopy (default dict $own)) -}}
{{- range $part, $amounts := $service.resources -}}
{{- range $name, $amount := default dict $amounts -}}{{- if kindIs "invalid" $amount -}}{{- $_ := unset $amounts $name -}}{{- end -}}{{- end -}}
{{- if not $amounts -}}{{- $_ := unset $service.resources $part -}}{{- end -}}
{{- end -}}
{{- $_ := set $service "module" (default (printf "oms_%s.main" (replace "-" "_" $name)) $service.module) -}}
{{- if $service.enabled -}}{{- $_ = set $services $name $service -}}{{- end -}}
{{- end -}}
{{- if not $services -}}{{- fail "no service is enabled: services.NAME.enabled is false for all of them" -}}{{- end -}}
{{- toJson $services -}}
{{- end -}}

{{/* The minimum number of replicas: service */}}
{{- define "oms.fewestReplicas" -}}
{{- include "oms.scalar" (ternary .replicas .autoscaling.minReplicas (eq .autoscaling.type "none")) -}}
{{- end -}}

{{/* The tag of an image. A tag that is set includes the flavour. The simulators have only one flavour. (list root name) */}}
{{- define "oms.tag" -}}
{{- $root := index . 0 -}}
{{- $flavour := ternary "" $root.Values.image.flavour (eq (index . 1) "simulators") -}}
{{- default (list $root.Chart.AppVersion $flavour | compact | join "-") $root.Values.image.tag -}}
{{- end -}}

{{/* The name of an image. Without a registry it would be one on Docker Hub, where anybody may own it: (list root name service) */}}
{{- define "oms.image" -}}
{{- $root := index . 0 -}}
{{- $image := $root.Values.image -}}
{{- $path := printf "%s/%s:%s" $image.repository (index . 1) (include "oms.tag" .) -}}
{{- with get $image.digests (index . 1) -}}{{- $path = printf "%s@%s" $path . -}}{{- end -}}
{{- if (index . 2).image -}}
{{- (index . 2).image -}}
{{- else if $image.registry -}}
{{- printf "%s/%s" $image.registry $path -}}
{{- else if $image.local -}}
{{- $path -}}
{{- else -}}
{{- fail (printf "image.registry says where %s comes from: build the images and push them to a registry of yours, or set image.local=true if they were built here and loaded into the nodes" $path) -}}
{{- end -}}
{{- end -}}

{{/* The pull policy. An image without a registry must be on the node, and must not be fetched from elsewhere. (list root service) */}}
{{- define "oms.pullPolicy" -}}
{{- $image := (index . 0).Values.image -}}
{{- ternary "Never" $image.pullPolicy (and $image.local (empty $image.registry) (empty (index . 1).image)) -}}
{{- end -}}

{{- define "oms.pullSecrets" -}}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/*
A value as text. Numbers in a values file are floats, which Go writes as 1e+06 from a million on; beyond 2^53 a float has already
lost digits.
*/}}
{{- define "oms.scalar" -}}
{{- if not (kindIs "float64" .) -}}
{{- toString . -}}
{{- else if or (gt . 9007199254740992.0) (lt . -9007199254740992.0) -}}
{{- fail (printf "%.0f is too large for a number in a values file: write it in quotes" .) -}}
{{- else if eq . (floor .) -}}
{{- printf "%.0f" . -}}
{{- else -}}
{{- toString . -}}
{{- end -}}
{{- end -}}

{{/* The size of a volume, such as 2Gi, in bytes. */}}
{{- define "oms.bytes" -}}
{{- $unit := regexFind "[A-Za-z]*$" . -}}
{{- $factor := get (dict "" 1 "K" 1000 "k" 1000 "M" 1000000 "G" 1000000000 "T" 1000000000000 "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776) $unit -}}
{{- mul (trimSuffix $unit . | int64) (default 1 $factor | int64) -}}
{{- end -}}

{{/* Annotations of resources that hold data, as JSON: removing a service, or uninstalling, does not delete them. */}}
{{- define "oms.keep" -}}
{{- if .Values.keepData -}}
{{- dict "helm.sh/resource-policy" "keep" "argocd.argoproj.io/sync-options" "Prune=false,Delete=false" | toJson -}}
{{- else -}}
{}
{{- end -}}
{{- end -}}

{{/* The major version that an image's tag begins with, or nothing. */}}
{{- define "oms.major" -}}
{{- regexReplaceAll "@.*$" . "" | splitList "/" | last | regexFind ":[0-9]+" | trimPrefix ":" -}}
{{- end -}}

{{/* The service whose image runs the chart's own jobs, as JSON: order, or otherwise the first one. */}}
{{- define "oms.toolService" -}}
{{- $services := include "oms.services" . | fromJson -}}
{{- $name := hasKey $services "order" | ternary "order" (keys $services | sortAlpha | first) -}}
{{- dict "name" $name "service" (get $services $name) | toJson -}}
{{- end -}}

{{- define "oms.ipFamilies" -}}
{{- if .Values.ipv6 -}}
ipFamilyPolicy: PreferDualStack
{{- end -}}
{{- end -}}
