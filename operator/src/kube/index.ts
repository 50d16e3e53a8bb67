/**
 * The adapter to the Kubernetes API: nothing else talks to it (docs/adr/0003-kubernetes-client.md).
 *
 * `OperatorShell` is not exported here but by `./operator-shell.ts`: it brings 15 MB that the gateway and the pollers must not carry.
 */

export { type ApplyOptions, KubeClient, type KubeClientOptions, type ListOptions, type RequestSample } from "./client.ts";
export { type Clock, sleep, systemClock } from "./clock.ts";
export { KubeError } from "./errors.ts";
export { EventRecorder, type EventRecorderOptions, type RecordedEvent } from "./event-recorder.ts";
export { LeaderElector, type LeaderElectorOptions } from "./leader-elector.ts";
export {
  type KubeObject,
  type ObjectMeta,
  type ObjectRef,
  type OwnerReference,
  objectKey,
  parseKey,
  type ResourceRef,
  Resources,
} from "./objects.ts";
export { Reflector, type ReflectorEvent, type ReflectorOptions } from "./reflector.ts";
export { type ReconcileResult, WorkQueue, type WorkQueueOptions, type WorkQueueSample } from "./work-queue.ts";
