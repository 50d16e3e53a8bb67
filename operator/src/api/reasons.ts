/** Every word that Kappa puts into a status for programs to read: condition types, their reasons, and Lambda's states and codes. */

/** Types of conditions. `Ready` is on every kind and sums the others up. */
export const ConditionType = {
  ready: "Ready",
} as const;

/** Reasons of conditions, as one word each. */
export const Reason = {
  /** No controller of this version of Kappa looks at this kind yet. */
  notReconciled: "NotReconciled",
  /** The function can be invoked with the configuration in spec. */
  active: "Active",
  /** The same, but the account cannot keep as much concurrency for it as it wants to have reserved. */
  reservationRefused: "ReservationRefused",
  /** The first package is being fetched and checked. */
  creating: "Creating",
  /** A change of spec is being applied; the former configuration is in force. */
  updating: "Updating",
  /** The last change of spec could not be applied; the former configuration is in force. */
  updateFailed: "UpdateFailed",
  /** The package cannot be unpacked, breaks a limit or is not the declared one. */
  invalidPackage: "InvalidPackage",
  /** The package's source cannot be read at the moment. It is tried again. */
  packageUnavailable: "PackageUnavailable",
  /** The namespace is not labelled kappa.dev/enabled="true". */
  namespaceNotEnabled: "NamespaceNotEnabled",
  /** Another Function of the namespace has the same functionName and is older. */
  nameConflict: "NameConflict",
  /** spec asks for something that this version of Kappa does not have yet. */
  notSupported: "NotSupported",
  /** The Function that spec names does not exist, or the one that this object belonged to is gone. */
  functionNotFound: "FunctionNotFound",
  /** A version waits until the last change of its function is in force. */
  functionNotReady: "FunctionNotReady",
  /** The function is not what spec.publishIf names. */
  preconditionFailed: "PreconditionFailed",
  /** The number of a version cannot be reserved at the moment. It is tried again. */
  numberUnavailable: "NumberUnavailable",
  /** Nothing was published: a version with this code and configuration exists. */
  alreadyPublished: "AlreadyPublished",
  /** A version that an alias names does not exist. */
  versionNotFound: "VersionNotFound",
  /** A version that an alias names cannot be invoked. */
  versionNotReady: "VersionNotReady",
  /** An alias leads to versions that can be invoked. */
  resolved: "Resolved",
} as const;

/** Lambda's `State`: whether a function can be invoked. */
export const State = { pending: "Pending", active: "Active", inactive: "Inactive", failed: "Failed" } as const;

/** Lambda's `LastUpdateStatus`: the outcome of the last change. */
export const LastUpdateStatus = { successful: "Successful", inProgress: "InProgress", failed: "Failed" } as const;

/** Lambda's `LastUpdateStatusReasonCode`, as far as a cluster can have the reason. */
export const LastUpdateStatusReasonCode = {
  insufficientRolePermissions: "InsufficientRolePermissions",
  invalidConfiguration: "InvalidConfiguration",
  internalError: "InternalError",
  invalidSubnet: "InvalidSubnet",
  invalidSecurityGroup: "InvalidSecurityGroup",
  imageDeleted: "ImageDeleted",
  imageAccessDenied: "ImageAccessDenied",
  invalidImage: "InvalidImage",
  invalidRuntime: "InvalidRuntime",
  invalidZipFile: "InvalidZipFileException",
  functionError: "FunctionError",
  initTimeout: "FunctionError.InitTimeout",
  runtimeInitError: "FunctionError.RuntimeInitError",
  extensionInitError: "FunctionError.ExtensionInitError",
  invalidEntryPoint: "FunctionError.InvalidEntryPoint",
  invalidWorkingDirectory: "FunctionError.InvalidWorkingDirectory",
  permissionDenied: "FunctionError.PermissionDenied",
  tooManyExtensions: "FunctionError.TooManyExtensions",
  initResourceExhausted: "FunctionError.InitResourceExhausted",
} as const;

/** Lambda's `StateReasonCode`: the codes of an update, and those of a function's life. */
export const StateReasonCode = { ...LastUpdateStatusReasonCode, creating: "Creating", restoring: "Restoring", idle: "Idle" } as const;

/** Lambda's texts, word for word (recorded answers). */
export const StateReason = { creating: "The function is being created." } as const;
