{{- define "berth.name" -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "berth.labels" -}}
app.kubernetes.io/name: berth
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "berth.selector" -}}
app.kubernetes.io/name: berth
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "berth.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{/* A server's pod: (dict "root" $ "component" "api" "roles" "api" "settings" .Values.api) */}}
{{- define "berth.pod" -}}
{{- $root := .root -}}
metadata:
  labels:
    {{- include "berth.labels" $root | nindent 4 }}
    app.kubernetes.io/component: {{ .component }}
  annotations:
    # Other settings are other pods.
    berth/settings: {{ include (print $root.Template.BasePath "/settings.yaml") $root | sha256sum }}
spec:
  serviceAccountName: {{ include "berth.name" $root }}
  # The account of this cluster reads the token; nothing else does.
  automountServiceAccountToken: {{ $root.Values.work.enabled }}
  enableServiceLinks: false
  # The server drains for 5 s after what is in flight has ended: a call to a provider takes a minute at most.
  terminationGracePeriodSeconds: 75
  securityContext:
    runAsNonRoot: true
    runAsUser: 10001
    runAsGroup: 10001
    fsGroup: 10001
    seccompProfile: { type: RuntimeDefault }
  {{- with $root.Values.imagePullSecrets }}
  imagePullSecrets: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $root.Values.nodeSelector }}
  nodeSelector: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $root.Values.tolerations }}
  tolerations: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if $root.Values.affinity }}
  affinity: {{- toYaml $root.Values.affinity | nindent 4 }}
  {{- else }}
  affinity:
    nodeAffinity:
      # Machines with GPUs are dear: the server goes elsewhere where it can.
      preferredDuringSchedulingIgnoredDuringExecution:
        - weight: 100
          preference:
            matchExpressions: [{ key: nvidia.com/gpu.present, operator: DoesNotExist }]
  {{- end }}
  topologySpreadConstraints:
    - maxSkew: 1
      topologyKey: kubernetes.io/hostname
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "berth.selector" $root | nindent 10 }}
          app.kubernetes.io/component: {{ .component }}
  containers:
    - name: server
      image: {{ include "berth.image" $root }}
      imagePullPolicy: {{ $root.Values.image.pullPolicy }}
      ports: [{ name: http, containerPort: 8080 }]
      env:
        - { name: BERTH_ROLES, value: {{ .roles | quote }} }
        - { name: BERTH_DATA_DIR, value: /var/lib/berth }
      envFrom:
        - configMapRef: { name: {{ include "berth.name" $root }} }
        - secretRef: { name: {{ $root.Values.secrets.database }} }
        - secretRef: { name: {{ $root.Values.secrets.key }} }
        {{- with $root.Values.secrets.objectStore }}
        - secretRef: { name: {{ . }} }
        {{- end }}
        {{- with $root.Values.secrets.more }}
        - secretRef: { name: {{ . }} }
        {{- end }}
      # A first start migrates the database.
      startupProbe: { httpGet: { path: /readyz, port: http }, periodSeconds: 2, failureThreshold: 150 }
      readinessProbe: { httpGet: { path: /readyz, port: http }, periodSeconds: 5, timeoutSeconds: 4, failureThreshold: 2 }
      livenessProbe: { httpGet: { path: /healthz, port: http }, periodSeconds: 10, timeoutSeconds: 5, failureThreshold: 6 }
      lifecycle:
        # Balancers hear of the end before the server stops taking connections.
        preStop: { sleep: { seconds: 5 } }
      resources: {{- toYaml .settings.resources | nindent 8 }}
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities: { drop: [ALL] }
      volumeMounts:
        - { name: data, mountPath: /var/lib/berth }
        - { name: tmp, mountPath: /tmp }
  volumes:
    # Nothing in it outlives a pod: rows are in PostgreSQL, files in the bucket.
    - { name: data, emptyDir: { sizeLimit: 1Gi } }
    - { name: tmp, emptyDir: { sizeLimit: 1Gi } }
{{- end -}}
