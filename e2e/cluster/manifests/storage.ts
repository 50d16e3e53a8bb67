import { CONTROL_PLANE } from "../settings.ts";

/** Folders on the control-plane node's disk, one for each volume. */
const FOLDER = "/var/lib/kappa-volumes";
const COUNT = 4;
const names = Array.from({ length: COUNT }, (_, index) => `local-${index}`);

/** The folders that the node must have for {@link storageObjects}. */
export const storageFolders = names.map((name) => `${FOLDER}/${name}`);

/** The default StorageClass where no provisioner is. kind creates it from a file in the node image, and none of its fields can be changed later. */
export const STORAGE_CLASS = {
  apiVersion: "storage.k8s.io/v1",
  kind: "StorageClass",
  metadata: { name: "standard", annotations: { "storageclass.kubernetes.io/is-default-class": "true" } },
  provisioner: "kubernetes.io/no-provisioner",
  volumeBindingMode: "WaitForFirstConsumer",
  reclaimPolicy: "Retain",
};

/** Volumes for StatefulSets: they wait on the control-plane node's disk. */
export function storageObjects(): object[] {
  return names.map((name, index) => ({
    apiVersion: "v1",
    kind: "PersistentVolume",
    metadata: { name },
    spec: {
      capacity: { storage: "5Gi" },
      accessModes: ["ReadWriteOnce"],
      persistentVolumeReclaimPolicy: "Retain",
      storageClassName: STORAGE_CLASS.metadata.name,
      local: { path: storageFolders[index] },
      nodeAffinity: {
        required: {
          nodeSelectorTerms: [{ matchExpressions: [{ key: "kubernetes.io/hostname", operator: "In", values: [CONTROL_PLANE] }] }],
        },
      },
    },
  }));
}
