{{- define "securesql.name" -}}
{{- if contains "securesql" .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{ else }}{{ printf "%s-securesql" .Release.Name | trunc 50 | trimSuffix "-" }}{{ end }}-operator
{{- end }}

{{- define "securesql.selectorLabels" -}}
app.kubernetes.io/name: securesql-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "securesql.labels" -}}
{{ include "securesql.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: securesql
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- /* One image reference from repository, tag and digest; takes a dict of image and chart. */ -}}
{{- define "securesql.image" -}}
{{- if .image.digest }}{{ .image.repository }}@{{ .image.digest }}{{ else }}{{ .image.repository }}:{{ .image.tag | default .chart.AppVersion }}{{ end }}
{{- end }}
