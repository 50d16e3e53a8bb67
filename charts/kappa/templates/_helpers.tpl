{{/* Labels of every object; `component` is what the object is for. Call with (dict "root" $ "component" "gateway"). */}}
{{- define "kappa.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
{{ include "kappa.selector" . }}
{{- end }}

{{/* Labels that find the pods of one component. kappa.dev/component is what the policies in accounts select the gateway by. */}}
{{- define "kappa.selector" -}}
app.kubernetes.io/name: kappa
app.kubernetes.io/component: {{ .component }}
kappa.dev/component: {{ .component }}
{{- end }}

{{/* Call with (dict "root" $ "image" .Values.images.operator). */}}
{{- define "kappa.image" -}}
{{ .image.repository }}:{{ .image.tag | default .root.Chart.AppVersion }}
{{- end }}

{{- define "kappa.pullSecrets" -}}
{{- with .Values.images.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end }}

{{/* The restricted Pod Security Standard, for the pod. 65532 is the user of the images. */}}
{{- define "kappa.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile: { type: RuntimeDefault }
{{- end }}

{{/* The same, for each container. */}}
{{- define "kappa.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
{{- end }}

{{/*
Where a component's pods go. Call with (dict "root" $ "component" "gateway" "values" .Values.gateway). A lost node's pods are
replaced after half a minute instead of Kubernetes' five minutes, where that helps: a pod bound to a volume cannot move.
*/}}
{{- define "kappa.scheduling" -}}
{{- with .root.Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- $tolerations := .values.tolerations }}
{{- if ne .component "nats" }}
{{- range list "not-ready" "unreachable" }}
{{- $lost := dict "key" (printf "node.kubernetes.io/%s" .) "operator" "Exists" "effect" "NoExecute" "tolerationSeconds" 30 }}
{{- $tolerations = append $tolerations $lost }}
{{- end }}
{{- end }}
{{- with $tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/*
Replicas on different nodes, so that losing one does not lose them all; where there is one node, on that one. A node that is down
does not count (nodeTaintsPolicy), nor do the pods of another revision, or an upgrade would wait for its predecessor.
*/}}
{{- define "kappa.spreading" -}}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: DoNotSchedule
    nodeTaintsPolicy: Honor
    matchLabelKeys: [pod-template-hash]
    labelSelector:
      matchLabels: {{- include "kappa.selector" . | nindent 8 }}
  - maxSkew: 1
    topologyKey: topology.kubernetes.io/zone
    whenUnsatisfiable: ScheduleAnyway
    matchLabelKeys: [pod-template-hash]
    labelSelector:
      matchLabels: {{- include "kappa.selector" . | nindent 8 }}
{{- end }}

{{/* Bytes of a quantity of memory or storage such as 512Mi, 2Gi or 500M. */}}
{{- define "kappa.bytes" -}}
{{- $units := dict "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 "k" 1000 "M" 1000000 "G" 1000000000 "T" 1000000000000 "" 1 -}}
{{- $text := toString . -}}
{{- $unit := regexFind "[A-Za-z]*$" $text -}}
{{- if or (not (hasKey $units $unit)) (not (regexMatch "^[0-9]+[A-Za-z]*$" $text)) -}}
{{- fail (printf "'%s' is no amount of memory that this chart understands: give a whole number with Ki, Mi, Gi or Ti" $text) -}}
{{- end -}}
{{- mul (trimSuffix $unit $text | int64) (get $units $unit | int64) -}}
{{- end }}

{{/*
Node's heap stays below the container's limit, so that the process collects garbage instead of being killed; a quarter is for
buffers, which are outside the heap. V8's young generation would grow to 48 MB under load and stay so: an eighth of it.
Call with the component's values.
*/}}
{{- define "kappa.nodeOptions" -}}
{{- with dig "limits" "memory" "" .resources -}}
--max-semi-space-size=2 --max-old-space-size={{ div (mul (include "kappa.bytes" . | int64) 3) 4194304 }}
{{- end -}}
{{- end }}

{{/* Environment variables that controller and gateway share (operator/src/config.ts reads them). */}}
{{- define "kappa.commonEnv" -}}
- name: LOG_LEVEL
  value: {{ .root.Values.logLevel }}
- name: POD_NAME
  valueFrom: { fieldRef: { fieldPath: metadata.name } }
- name: POD_NAMESPACE
  valueFrom: { fieldRef: { fieldPath: metadata.namespace } }
- name: POD_IP
  valueFrom: { fieldRef: { fieldPath: status.podIP } }
- name: KAPPA_REGION
  value: {{ .root.Values.region }}
- name: KAPPA_METRICS_PORT
  value: "9090"
- name: KAPPA_NATS_URL
  value: nats://kappa-nats.{{ .root.Release.Namespace }}.svc.{{ .root.Values.cluster.domain }}.:4222
- name: KAPPA_NATS_SEED_FILE
  value: /var/run/secrets/kappa.dev/nats/seed
{{- with include "kappa.nodeOptions" .values }}
- name: NODE_OPTIONS
  value: {{ . }}
{{- end }}
{{- end }}

{{/* Probes of controller and gateway. A process that hangs is restarted after a minute; one that is not ready gets no traffic. */}}
{{- define "kappa.probes" -}}
startupProbe:
  httpGet: { path: /healthz, port: metrics }
  periodSeconds: 1
  failureThreshold: 60
livenessProbe:
  httpGet: { path: /healthz, port: metrics }
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
  httpGet: { path: /readyz, port: metrics }
  periodSeconds: 2
  timeoutSeconds: 2
  failureThreshold: 2
{{- end }}

{{/* How environments are made: the gateway makes those that traffic needs, the controller those that are declared. */}}
{{- define "kappa.environmentEnv" -}}
- name: KAPPA_RUNTIME_IMAGES
  value: {{ .Values.images.runtimes | toJson | quote }}
- name: KAPPA_RUNTIME_PULL_POLICY
  value: {{ .Values.images.pullPolicy }}
- name: KAPPA_AGENT_SERVICE
  value: kappa-gateway-agents
- name: KAPPA_AGENT_PORT
  value: "8081"
- name: KAPPA_CLUSTER_DOMAIN
  value: {{ .Values.cluster.domain }}
- name: KAPPA_ACCOUNT_CONCURRENCY
  value: {{ .Values.accounts.concurrency | quote }}
- name: KAPPA_OVERCOMMIT_MEMORY
  value: {{ .Values.environments.overcommit.memory | quote }}
- name: KAPPA_OVERCOMMIT_CPU
  value: {{ .Values.environments.overcommit.cpu | quote }}
- name: KAPPA_AGENT_MEMORY_MIB
  value: {{ .Values.environments.agent.memoryMiB | quote }}
- name: KAPPA_AGENT_CPU_MILLI
  value: {{ .Values.environments.agent.cpuMilli | quote }}
{{- with .Values.environments.runtimeClassName }}
- name: KAPPA_RUNTIME_CLASS
  value: {{ . }}
{{- end }}
{{- end }}
