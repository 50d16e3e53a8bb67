{{/* NATS's configuration. Accounts and users come from auth.conf, which the bootstrap job writes. */}}
{{- define "kappa.natsConf" -}}
server_name: $POD_NAME
listen: 0.0.0.0:4222
http: 0.0.0.0:8222

# Lambda's largest payloads (6 MiB) in one message, with room for headers.
max_payload: 8MB

jetstream {
  store_dir: /data
  # A tenth of the volume stays free for the file system and for compaction.
  max_file_store: {{ div (mul (include "kappa.bytes" .Values.nats.storage.size | int64) 9) 10 }}
  max_memory_store: {{ .Values.nats.memoryStore }}
  # What was acknowledged is on the disk.
  sync_interval: always
}

include auth.conf
{{ end }}
