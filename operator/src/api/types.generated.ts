/**
 * The resources as TypeScript, generated from crds/*.yaml by `npm run generate`: change those, never this file.
 * The types say what the API server answers, so a field with a default is always there.
 */
import type { ObjectMeta } from "./object-meta.ts";

/**
 * The archive in a ConfigMap of the same namespace, under binaryData. It is read once.
 */
export interface FunctionCodeConfigMap {
  /**
   * Name of the ConfigMap.
   */
  name: string;
  /**
   * Key under binaryData that holds the zip archive.
   */
  key: string;
}

/**
 * The archive in a JetStream object store of this namespace. It is read once. Lambda: Content.S3Bucket and Content.S3Key.
 */
export interface FunctionCodeObject {
  /**
   * Name of the bucket. In NATS it is NAMESPACE_BUCKET, so a function reaches its own namespace's buckets only. Letters, digits, hyphens and underscores, at most 63. Lambda: S3Bucket.
   */
  bucket: string;
  /**
   * Name of the object in the bucket. At most 1,024 characters. Lambda: S3Key.
   */
  key: string;
}

/**
 * The archive on an HTTP server that the controller can reach, with the digest that it must have.
 */
export interface FunctionCodeUrl {
  /**
   * An http or https URL of the zip archive. At most 2,048 characters.
   */
  url: string;
  /**
   * SHA-256 of the zip archive as 64 lower-case hexadecimal digits, as sha256sum prints it. A package with another digest never runs.
   */
  sha256: string;
}

/**
 * Where the code comes from: exactly one of inline, zip, configMap, object, url and image. Except for an image, the controller fetches it once, checks it and stores it by its SHA-256. A package is a zip archive of at most 262,144,000 bytes unpacked, together with the layers. Lambda: Code.
 */
export interface FunctionCode {
  /**
   * Source text of a function of one file, at most 65,536 bytes; for the python, nodejs and provided runtimes. The file takes its name from the handler, such as index.py for index.handler and python3.11; for provided.al2023 it is the executable bootstrap. CloudFormation: Code.ZipFile.
   */
  inline?: string;
  /**
   * The package as base64 text, at most 180,000 characters; line breaks are allowed. Meant for kubectl; larger packages belong into an object store. Lambda: Code.ZipFile.
   */
  zip?: string;
  /**
   * The code in a ConfigMap of the same namespace: a zip archive under binaryData, or source text as for inline under data. It is read again whenever the ConfigMap changes.
   */
  configMap?: FunctionCodeConfigMap;
  /**
   * The package in a JetStream object store of this namespace. It is read when this field changes; put a new package under a new key. Lambda: Code.S3Bucket and Code.S3Key.
   */
  object?: FunctionCodeObject;
  /**
   * The package on an HTTP server that the controller can reach, with the digest that it must have.
   */
  url?: FunctionCodeUrl;
  /**
   * Reference of a container image that carries a Lambda runtime client, best with a digest. At most 512 characters. Lambda: Code.ImageUri.
   */
  image?: string;
}

/**
 * The /tmp directory of an execution environment. Lambda: EphemeralStorage.
 */
export interface FunctionEphemeralStorage {
  /**
   * Size of /tmp in MB, 512 to 10,240. Default: 512. Lambda: EphemeralStorage.Size.
   */
  size: number;
}

/**
 * What the code finds in its environment. Lambda: Environment.
 */
export interface FunctionEnvironment {
  /**
   * Environment variables by name. A name starts with a letter, then letters, digits and underscores, at least two characters. All names and values together have at most 4 KB, counted as the JSON text of this map, as Lambda does. Names that the runtime sets itself are refused. Lambda: Environment.Variables.
   */
  variables: {
    [k: string]: string;
  };
}

/**
 * Places the function in a Vpc: it then reaches what its subnets and security groups allow and nothing else. Left out, or with empty lists: the public placement. Lambda: VpcConfig.
 */
export interface FunctionVpcConfig {
  /**
   * Name of the Vpc object in this namespace. May be left out where the namespace has one Vpc only. Lambda: VpcConfig.VpcId (in answers).
   */
  vpcName?: string;
  /**
   * Names of subnets of the Vpc, at most 16. Lambda: VpcConfig.SubnetIds.
   */
  subnetIds?: string[];
  /**
   * Names of security groups of the Vpc, at most 5. Lambda: VpcConfig.SecurityGroupIds.
   */
  securityGroupIds?: string[];
}

/**
 * How the function's output is recorded. Lambda: LoggingConfig.
 */
export interface FunctionLoggingConfig {
  /**
   * Plain lines (Text) or structured records (JSON). Default: Text. Lambda: LoggingConfig.LogFormat.
   */
  logFormat: "Text" | "JSON";
  /**
   * Lowest level of the code's own records that is kept; with JSON only. Lambda's default is INFO. Lambda: LoggingConfig.ApplicationLogLevel.
   */
  applicationLogLevel?: "TRACE" | "DEBUG" | "INFO" | "WARN" | "ERROR" | "FATAL";
  /**
   * Lowest level of the platform's records that is kept; with JSON only. Lambda's default is INFO. Lambda: LoggingConfig.SystemLogLevel.
   */
  systemLogLevel?: "DEBUG" | "INFO" | "WARN";
  /**
   * Log group that the output goes to. Default: /aws/lambda/FUNCTION. Lambda: LoggingConfig.LogGroup.
   */
  logGroup?: string;
}

/**
 * Distributed tracing. Lambda: TracingConfig.
 */
export interface FunctionTracingConfig {
  /**
   * Active samples requests that come without a decision; PassThrough follows the caller's. Default: PassThrough. Lambda: TracingConfig.Mode.
   */
  mode: "Active" | "PassThrough";
}

/**
 * Overrides of a container image's own settings; with spec.code.image only. Lambda: ImageConfig.
 */
export interface FunctionImageConfig {
  /**
   * Replaces the image's ENTRYPOINT. At most 64 parts. Lambda: ImageConfig.EntryPoint.
   */
  entryPoint?: string[];
  /**
   * Replaces the image's CMD; by convention its first part is the handler. At most 64 parts. Lambda: ImageConfig.Command.
   */
  command?: string[];
  /**
   * Replaces the image's WORKDIR. At most 1,000 characters. Lambda: ImageConfig.WorkingDirectory.
   */
  workingDirectory?: string;
}

/**
 * Where the plain event of an asynchronous invocation goes that failed for good. Lambda: DeadLetterConfig.
 */
export interface FunctionDeadLetterConfig {
  /**
   * A queue: its ARN (arn:aws:sqs:REGION:ACCOUNT:NAME), or queue:NAME for one of this namespace. Lambda: DeadLetterConfig.TargetArn.
   */
  targetArn: string;
}

/**
 * For batches that failed for good. Lambda: DestinationConfig.OnFailure.
 */
export interface Destination {
  /**
   * A function or a queue: its ARN, or function:NAME, function:NAME:QUALIFIER or queue:NAME for one of this namespace. At most 350 characters. Lambda: OnFailure.Destination.
   */
  destination: string;
}

/**
 * Where a record of each finished asynchronous invocation goes. Lambda: DestinationConfig.
 */
export interface DestinationConfig {
  /**
   * For invocations that succeeded. Lambda: DestinationConfig.OnSuccess.
   */
  onSuccess?: Destination;
  /**
   * For invocations that failed for good: retries exhausted or too old. Lambda: DestinationConfig.OnFailure.
   */
  onFailure?: Destination;
}

/**
 * How asynchronous invocations of this alias are retried and where their outcome goes. Lambda: PutFunctionEventInvokeConfig.
 */
export interface FunctionEventInvokeConfig {
  /**
   * Further attempts after a function error, 0 to 2. Default: 2. Lambda: MaximumRetryAttempts.
   */
  maximumRetryAttempts: number;
  /**
   * Age in seconds after which an event is given up, 60 to 21,600. Default: 21600. Lambda: MaximumEventAgeInSeconds.
   */
  maximumEventAgeInSeconds: number;
  /**
   * Where a record of each finished asynchronous invocation goes. Lambda: DestinationConfig.
   */
  destinationConfig?: DestinationConfig;
}

/**
 * Cross-origin resource sharing: what browsers on other origins may do. Lambda: Cors.
 */
export interface FunctionUrlCors {
  /**
   * Whether cookies and other credentials are allowed. Default: false. Lambda: Cors.AllowCredentials.
   */
  allowCredentials: boolean;
  /**
   * Request headers that are allowed, or *. At most 100. Lambda: Cors.AllowHeaders.
   */
  allowHeaders?: string[];
  /**
   * HTTP methods that are allowed, or *. At most 6. Lambda: Cors.AllowMethods.
   */
  allowMethods?: ("GET" | "PUT" | "HEAD" | "POST" | "PATCH" | "DELETE" | "*")[];
  /**
   * Origins that are allowed, such as https://www.example.com, or *. At most 100. Lambda: Cors.AllowOrigins.
   */
  allowOrigins?: string[];
  /**
   * Response headers that browsers may show to the page. At most 100. Lambda: Cors.ExposeHeaders.
   */
  exposeHeaders?: string[];
  /**
   * Seconds for which browsers may keep the answer to a preflight request, 0 to 86,400. Default: 0. Lambda: Cors.MaxAge.
   */
  maxAge: number;
}

/**
 * An HTTP address of this alias. Lambda: CreateFunctionUrlConfig.
 */
export interface FunctionUrl {
  /**
   * Who may call it: everybody (NONE), or signed callers that are permitted to invoke the function (AWS_IAM). Lambda: AuthType.
   */
  authType: "NONE" | "AWS_IAM";
  /**
   * Whether the answer is sent when complete (BUFFERED) or as it is produced (RESPONSE_STREAM). Default: BUFFERED. Lambda: InvokeMode.
   */
  invokeMode: "BUFFERED" | "RESPONSE_STREAM";
  /**
   * Cross-origin resource sharing: what browsers on other origins may do. Lambda: Cors.
   */
  cors?: FunctionUrlCors;
}

/**
 * One statement: who may do what.
 */
export interface FunctionPermission {
  /**
   * Name of the statement, unique in this list. At most 100 characters. Lambda: StatementId.
   */
  statementId: string;
  /**
   * What is permitted, such as lambda:InvokeFunction or lambda:*. Lambda: Action.
   */
  action: string;
  /**
   * Who is permitted: an account id, an ARN, a service's name or *. At most 2,048 characters. Lambda: Principal.
   */
  principal: string;
  /**
   * Limits a service to this resource; * and ? are wildcards. Lambda: SourceArn.
   */
  sourceArn?: string;
  /**
   * Limits a service to resources of this account, 12 digits. Lambda: SourceAccount.
   */
  sourceAccount?: string;
  /**
   * Limits the statement to function URLs of this type. Lambda: FunctionUrlAuthType.
   */
  functionUrlAuthType?: "NONE" | "AWS_IAM";
  /**
   * Limits the statement to calls through a function URL. Lambda: InvokedViaFunctionUrl.
   */
  invokedViaFunctionUrl?: boolean;
  /**
   * Kept and shown, without effect: a cluster has no organization. Lambda: PrincipalOrgID.
   */
  principalOrgId?: string;
  /**
   * Kept and shown, without effect outside of Alexa. At most 256 characters. Lambda: EventSourceToken.
   */
  eventSourceToken?: string;
}

/**
 * What the function is to be: its code and configuration, written by people, GitOps or the Lambda API.
 */
export interface FunctionSpec {
  /**
   * Name of the function on Lambda's API and in its ARN. Letters, digits, hyphens and underscores, at most 64. Default: metadata.name. It cannot change. Lambda: FunctionName.
   */
  functionName?: string;
  /**
   * What the function is for, in at most 256 characters. Lambda: Description.
   */
  description?: string;
  /**
   * Language runtime. Required unless the code is an image, and not allowed then. provided.al2023 runs any executable called bootstrap. Lambda: Runtime.
   */
  runtime?: "python3.11" | "nodejs22.x" | "nodejs24.x" | "java17" | "provided.al2023";
  /**
   * Entry point in the code, in the runtime's own notation, such as index.handler or com.example.App::handle. At most 128 characters without spaces. Required unless the code is an image, and not allowed then. Lambda: Handler.
   */
  handler?: string;
  /**
   * Where the code comes from: exactly one of inline, zip, configMap, object, url and image. Except for an image, the controller fetches it once, checks it and stores it by its SHA-256. A package is a zip archive of at most 262,144,000 bytes unpacked, together with the layers. Lambda: Code.
   */
  code: FunctionCode;
  /**
   * Memory of one execution environment in MB, 128 to 10,240; CPU grows with it, one core at 1,769 MB. Default: 128. Lambda: MemorySize.
   */
  memorySize: number;
  /**
   * Time limit of one invocation in seconds, 1 to 900. Default: 3. Lambda: Timeout.
   */
  timeout: number;
  /**
   * The /tmp directory of an execution environment. Lambda: EphemeralStorage.
   */
  ephemeralStorage: FunctionEphemeralStorage;
  /**
   * What the code finds in its environment. Lambda: Environment.
   */
  environment: FunctionEnvironment;
  /**
   * Execution role: the ServiceAccount of the same namespace whose permissions the code has. Default: default. Lambda: Role (the name after role/ of the ARN).
   */
  role: string;
  /**
   * Instruction set that the code was built for, exactly one. Default: x86_64. Lambda: Architectures.
   */
  architectures: ("x86_64" | "arm64")[];
  /**
   * Layers that are unpacked to /opt, in this order, later ones over earlier ones; at most 5, each layer once. Each is NAME:VERSION of a LayerVersion in this namespace, or its ARN. Lambda: Layers.
   */
  layers?: string[];
  /**
   * Places the function in a Vpc: it then reaches what its subnets and security groups allow and nothing else. Left out, or with empty lists: the public placement. Lambda: VpcConfig.
   */
  vpcConfig?: FunctionVpcConfig;
  /**
   * How the function's output is recorded. Lambda: LoggingConfig.
   */
  loggingConfig: FunctionLoggingConfig;
  /**
   * Distributed tracing. Lambda: TracingConfig.
   */
  tracingConfig: FunctionTracingConfig;
  /**
   * Overrides of a container image's own settings; with spec.code.image only. Lambda: ImageConfig.
   */
  imageConfig?: FunctionImageConfig;
  /**
   * Where the plain event of an asynchronous invocation goes that failed for good. Lambda: DeadLetterConfig.
   */
  deadLetterConfig?: FunctionDeadLetterConfig;
  /**
   * RuntimeClass of the environments' pods, such as gvisor or kata. Such a function has pods of its own instead of pooled ones. Lambda has no such setting.
   */
  runtimeClassName?: string;
  /**
   * Concurrency that is kept for this function over all its versions and at the same time its upper limit; 0 stops the function. Left out: it shares the account's unreserved concurrency. Lambda: ReservedConcurrentExecutions.
   */
  reservedConcurrentExecutions?: number;
  /**
   * How asynchronous invocations of $LATEST are retried and where their outcome goes. Lambda: PutFunctionEventInvokeConfig.
   */
  eventInvokeConfig?: FunctionEventInvokeConfig;
  /**
   * An HTTP address of $LATEST. Lambda: CreateFunctionUrlConfig.
   */
  url?: FunctionUrl;
  /**
   * Statements of the function's resource policy for $LATEST, keyed by statementId. At most 100. Lambda: AddPermission.
   *
   * Items: One statement: who may do what.
   */
  permissions?: FunctionPermission[];
  /**
   * Tags as Lambda's API shows them; at most 50, names up to 128 and values up to 256 characters. They are not Kubernetes labels. Lambda: Tags.
   */
  tags: {
    [k: string]: string;
  };
}

/**
 * One condition.
 */
export interface Condition {
  /**
   * What the condition is about, such as Ready.
   */
  type: string;
  /**
   * Whether it holds: True, False or Unknown.
   */
  status: "True" | "False" | "Unknown";
  /**
   * metadata.generation that the condition was made from.
   */
  observedGeneration?: number;
  /**
   * When status last changed.
   */
  lastTransitionTime: string;
  /**
   * Why, as one word for programs.
   */
  reason: string;
  /**
   * Why, in a sentence for people, with what to do about it.
   */
  message: string;
}

/**
 * Lambda: LoggingConfig.
 */
export interface FunctionEffectiveLoggingConfig {
  /**
   * Lambda: LogFormat.
   */
  logFormat: "Text" | "JSON";
  /**
   * Lambda: ApplicationLogLevel.
   */
  applicationLogLevel?: "TRACE" | "DEBUG" | "INFO" | "WARN" | "ERROR" | "FATAL";
  /**
   * Lambda: SystemLogLevel.
   */
  systemLogLevel?: "DEBUG" | "INFO" | "WARN";
  /**
   * Lambda: LogGroup.
   */
  logGroup: string;
}

/**
 * The code and configuration that invocations get, once the package was found in the store.
 */
export interface FunctionEffective {
  /**
   * Changes with every change of code or configuration. Lambda: RevisionId.
   */
  revisionId: string;
  /**
   * SHA-256 of the package in base64. Lambda: CodeSha256.
   */
  codeSha256: string;
  /**
   * Size of the package in bytes. Lambda: CodeSize.
   */
  codeSize: number;
  /**
   * SHA-256 of the package in hexadecimal: its name in the package store.
   */
  packageSha256: string;
  /**
   * Lambda: Runtime.
   */
  runtime: string;
  /**
   * Lambda: Handler.
   */
  handler: string;
  /**
   * MB. Lambda: MemorySize.
   */
  memorySize: number;
  /**
   * Seconds. Lambda: Timeout.
   */
  timeout: number;
  /**
   * Environment variables by name. Lambda: Environment.Variables.
   */
  environment: {
    [k: string]: string;
  };
  /**
   * Size of /tmp in MB. Lambda: EphemeralStorage.Size.
   */
  ephemeralStorageMb: number;
  /**
   * ServiceAccount. Lambda: Role.
   */
  role?: string;
  /**
   * Lambda: Architectures.
   */
  architectures: ("x86_64" | "arm64")[];
  /**
   * Lambda: LoggingConfig.
   */
  loggingConfig: FunctionEffectiveLoggingConfig;
  /**
   * Absent: none reserved. Lambda: ReservedConcurrentExecutions.
   */
  reservedConcurrentExecutions?: number;
}

/**
 * What the function is now. Written by the controller.
 */
export interface FunctionStatus {
  /**
   * metadata.generation that this status was made from. A smaller one means that the controller has not seen the last change yet.
   */
  observedGeneration?: number;
  /**
   * The state in Kubernetes' own form. Ready is True when the function can be invoked with the configuration in spec.
   *
   * Items: One condition.
   */
  conditions?: Condition[];
  /**
   * Whether the function can be invoked. Lambda: State.
   */
  state?: "Pending" | "Active" | "Inactive" | "Failed";
  /**
   * Why it is in that state, in a sentence. Lambda: StateReason.
   */
  stateReason?: string;
  /**
   * Why it is in that state, as one word. Lambda: StateReasonCode.
   */
  stateReasonCode?: string;
  /**
   * Outcome of the last change of spec. A change that failed leaves the configuration under effective in force. Lambda: LastUpdateStatus.
   */
  lastUpdateStatus?: "Successful" | "InProgress" | "Failed";
  /**
   * Why, in a sentence. Lambda: LastUpdateStatusReason.
   */
  lastUpdateStatusReason?: string;
  /**
   * Why, as one word. Lambda: LastUpdateStatusReasonCode.
   */
  lastUpdateStatusReasonCode?: string;
  /**
   * When the configuration in force was last changed, ISO 8601 with milliseconds, as Lambda writes it. Lambda: LastModified.
   */
  lastModified?: string;
  /**
   * ARN without qualifier. Lambda: FunctionArn.
   */
  functionArn?: string;
  /**
   * Address under which spec.url is served. Lambda: FunctionUrl.
   */
  functionUrl?: string;
  /**
   * The code and configuration that invocations get. It follows spec once the package was checked and stored.
   */
  effective?: FunctionEffective;
}

/**
 * An AWS Lambda function that runs on this cluster. The object holds the code and configuration of $LATEST; the Lambda API and kubectl are two views of it. The namespace is the account: it has to be labelled kappa.dev/enabled="true".
 */
export interface Function {
  apiVersion: "kappa.dev/v1alpha1";
  kind: "Function";
  metadata: ObjectMeta;
  /**
   * What the function is to be: its code and configuration, written by people, GitOps or the Lambda API.
   */
  spec: FunctionSpec;
  /**
   * What the function is now. Written by the controller.
   */
  status?: FunctionStatus;
}

/**
 * Publish only if the function is what is named here, so that nobody publishes somebody else's change. It cannot change.
 */
export interface VersionPublishIf {
  /**
   * The code in force has this SHA-256, in base64. Lambda: PublishVersion CodeSha256.
   */
  codeSha256?: string;
  /**
   * The configuration in force has this revision. Lambda: PublishVersion RevisionId.
   */
  revisionId?: string;
}

/**
 * A package in the package store.
 */
export interface VersionCodePackage {
  /**
   * SHA-256 of the zip archive, 64 lower-case hexadecimal digits. Lambda: CodeSha256 (there in base64).
   */
  sha256: string;
  /**
   * Size of the zip archive in bytes. Lambda: CodeSize.
   */
  size: number;
}

/**
 * The code by its digest, either a stored package or an image. Filled in by the controller. It cannot change. Lambda: CodeSha256, CodeSize.
 */
export interface VersionCode {
  /**
   * A package in the package store.
   */
  package?: VersionCodePackage;
  /**
   * Reference of the container image with its digest. At most 512 characters. Lambda: Code.ResolvedImageUri.
   */
  image?: string;
}

/**
 * What was published, frozen field by field, and the few settings that may change afterwards.
 */
export interface VersionSpec {
  /**
   * Lambda name of the function that this is a version of. It cannot change. Lambda: FunctionName.
   */
  functionName: string;
  /**
   * Number of the version: 1, 2, 3 … for each function, never given twice. The controller fills it in; it is given together with code only to restore a version. It cannot change. Lambda: Version.
   */
  version?: number;
  /**
   * What is special about this version, in at most 256 characters. It cannot change. Default: the function's description. Lambda: Description.
   */
  description?: string;
  /**
   * Publish only if the function is what is named here, so that nobody publishes somebody else's change. It cannot change.
   */
  publishIf?: VersionPublishIf;
  /**
   * The code by its digest, either a stored package or an image. Filled in by the controller. It cannot change. Lambda: CodeSha256, CodeSize.
   */
  code?: VersionCode;
  /**
   * Language runtime. Required unless the code is an image, and not allowed then. provided.al2023 runs any executable called bootstrap. Lambda: Runtime.
   */
  runtime?: "python3.11" | "nodejs22.x" | "nodejs24.x" | "java17" | "provided.al2023";
  /**
   * Entry point in the code, in the runtime's own notation, such as index.handler or com.example.App::handle. At most 128 characters without spaces. Required unless the code is an image, and not allowed then. Lambda: Handler.
   */
  handler?: string;
  /**
   * Memory of one execution environment in MB, 128 to 10,240; CPU grows with it, one core at 1,769 MB.  Lambda: MemorySize.
   */
  memorySize?: number;
  /**
   * Time limit of one invocation in seconds, 1 to 900. Lambda: Timeout.
   */
  timeout?: number;
  /**
   * The /tmp directory of an execution environment. Lambda: EphemeralStorage.
   */
  ephemeralStorage?: FunctionEphemeralStorage;
  /**
   * What the code finds in its environment. Lambda: Environment.
   */
  environment?: FunctionEnvironment;
  /**
   * Execution role: the ServiceAccount of the same namespace whose permissions the code has. Lambda: Role (the name after role/ of the ARN).
   */
  role?: string;
  /**
   * Instruction set that the code was built for, exactly one. Lambda: Architectures.
   */
  architectures?: ("x86_64" | "arm64")[];
  /**
   * Layers that are unpacked to /opt, in this order, later ones over earlier ones; at most 5, each layer once. Each is NAME:VERSION of a LayerVersion in this namespace, or its ARN. Lambda: Layers.
   */
  layers?: string[];
  /**
   * Places the function in a Vpc: it then reaches what its subnets and security groups allow and nothing else. Left out, or with empty lists: the public placement. Lambda: VpcConfig.
   */
  vpcConfig?: FunctionVpcConfig;
  /**
   * How the function's output is recorded. Lambda: LoggingConfig.
   */
  loggingConfig?: FunctionLoggingConfig;
  /**
   * Distributed tracing. Lambda: TracingConfig.
   */
  tracingConfig?: FunctionTracingConfig;
  /**
   * Overrides of a container image's own settings; with spec.code.image only. Lambda: ImageConfig.
   */
  imageConfig?: FunctionImageConfig;
  /**
   * Where the plain event of an asynchronous invocation goes that failed for good. Lambda: DeadLetterConfig.
   */
  deadLetterConfig?: FunctionDeadLetterConfig;
  /**
   * RuntimeClass of the environments' pods, such as gvisor or kata. Such a function has pods of its own instead of pooled ones. Lambda has no such setting.
   */
  runtimeClassName?: string;
  /**
   * Execution environments that are kept initialized for this version; invocations beyond them use others on demand. Left out: none. Lambda: ProvisionedConcurrentExecutions.
   */
  provisionedConcurrentExecutions?: number;
  /**
   * How asynchronous invocations of this version are retried and where their outcome goes. Lambda: PutFunctionEventInvokeConfig.
   */
  eventInvokeConfig?: FunctionEventInvokeConfig;
  /**
   * Statements of the function's resource policy for this version, keyed by statementId. At most 100. Lambda: AddPermission.
   *
   * Items: One statement: who may do what.
   */
  permissions?: FunctionPermission[];
}

/**
 * How far provisioned concurrency has been made available. Lambda: GetProvisionedConcurrencyConfig.
 */
export interface ProvisionedConcurrencyStatus {
  /**
   * What spec asks for. Lambda: RequestedProvisionedConcurrentExecutions.
   */
  requestedProvisionedConcurrentExecutions: number;
  /**
   * Environments that are initialized. Lambda: AllocatedProvisionedConcurrentExecutions.
   */
  allocatedProvisionedConcurrentExecutions?: number;
  /**
   * Lambda: Status.
   */
  status: "IN_PROGRESS" | "READY" | "FAILED";
  /**
   * Why it failed, in a sentence. Lambda: StatusReason.
   */
  statusReason?: string;
  /**
   * When it was last changed, ISO 8601. Lambda: LastModified.
   */
  lastModified?: string;
}

/**
 * What the version is now. Written by the controller.
 */
export interface VersionStatus {
  /**
   * metadata.generation that this status was made from. A smaller one means that the controller has not seen the last change yet.
   */
  observedGeneration?: number;
  /**
   * The state in Kubernetes' own form. Ready is True when the version can be invoked.
   *
   * Items: One condition.
   */
  conditions?: Condition[];
  /**
   * Whether the function can be invoked. Lambda: State.
   */
  state?: "Pending" | "Active" | "Inactive" | "Failed";
  /**
   * Why it is in that state, in a sentence. Lambda: StateReason.
   */
  stateReason?: string;
  /**
   * Why it is in that state, as one word. Lambda: StateReasonCode.
   */
  stateReasonCode?: string;
  /**
   * When the configuration in force was last changed, ISO 8601 with milliseconds, as Lambda writes it. Lambda: LastModified.
   */
  lastModified?: string;
  /**
   * ARN of the version. Lambda: FunctionArn.
   */
  functionArn?: string;
  /**
   * How far provisioned concurrency has been made available. Lambda: GetProvisionedConcurrencyConfig.
   */
  provisionedConcurrency?: ProvisionedConcurrencyStatus;
  /**
   * The code and configuration that invocations get, once the package was found in the store.
   */
  effective?: FunctionEffective;
}

/**
 * A numbered, unchangeable copy of a function's code and configuration. Create one with functionName alone to publish what is in force; the controller fills in the number, the code and the configuration. Publishing the same again makes no second one: the condition then names the version that exists.
 */
export interface Version {
  apiVersion: "kappa.dev/v1alpha1";
  kind: "Version";
  metadata: ObjectMeta;
  /**
   * What was published, frozen field by field, and the few settings that may change afterwards.
   */
  spec: VersionSpec;
  /**
   * What the version is now. Written by the controller.
   */
  status?: VersionStatus;
}

/**
 * Lambda: RoutingConfig.
 */
export interface AliasRoutingConfig {
  /**
   * The second version's number and its share, a decimal string. Lambda: RoutingConfig.AdditionalVersionWeights.
   */
  additionalVersionWeights?: {
    [k: string]: string;
  };
}

/**
 * What the alias points to, and the settings of what is invoked through it.
 */
export interface AliasSpec {
  /**
   * Lambda name of the function that this is an alias of. It cannot change. Lambda: FunctionName.
   */
  functionName: string;
  /**
   * Name of the alias in ARNs and as a qualifier. Letters, digits, hyphens and underscores, not digits alone, at most 128. It cannot change. Lambda: Name.
   */
  name: string;
  /**
   * Number of the version that is invoked, as a string, or $LATEST. Lambda: FunctionVersion.
   */
  functionVersion: string;
  /**
   * What the alias is for, in at most 256 characters. Lambda: Description.
   */
  description?: string;
  /**
   * Splits the invocations between two versions. Lambda: RoutingConfig.
   */
  routingConfig?: AliasRoutingConfig;
  /**
   * Execution environments that are kept initialized for this alias; invocations beyond them use others on demand. Left out: none. Lambda: ProvisionedConcurrentExecutions.
   */
  provisionedConcurrentExecutions?: number;
  /**
   * How asynchronous invocations of this alias are retried and where their outcome goes. Lambda: PutFunctionEventInvokeConfig.
   */
  eventInvokeConfig?: FunctionEventInvokeConfig;
  /**
   * An HTTP address of this alias. Lambda: CreateFunctionUrlConfig.
   */
  url?: FunctionUrl;
  /**
   * Statements of the function's resource policy for this alias, keyed by statementId. At most 100. Lambda: AddPermission.
   *
   * Items: One statement: who may do what.
   */
  permissions?: FunctionPermission[];
}

/**
 * Where invocations go. It follows spec as soon as every version that spec names can be invoked; until then the former versions stay in force.
 */
export interface AliasStatusEffective {
  /**
   * Lambda: FunctionVersion.
   */
  functionVersion: string;
  /**
   * Lambda: RoutingConfig.
   */
  routingConfig?: AliasRoutingConfig;
}

/**
 * What the alias is now. Written by the controller.
 */
export interface AliasStatus {
  /**
   * metadata.generation that this status was made from. A smaller one means that the controller has not seen the last change yet.
   */
  observedGeneration?: number;
  /**
   * The state in Kubernetes' own form. Ready is True when every version that the alias names can be invoked.
   *
   * Items: One condition.
   */
  conditions?: Condition[];
  /**
   * Where invocations go. It follows spec as soon as every version that spec names can be invoked; until then the former versions stay in force.
   */
  effective?: AliasStatusEffective;
  /**
   * ARN of the alias. Lambda: AliasArn.
   */
  aliasArn?: string;
  /**
   * Changes with every change of the alias. Lambda: RevisionId.
   */
  revisionId?: string;
  /**
   * Address under which spec.url is served. Lambda: FunctionUrl.
   */
  functionUrl?: string;
  /**
   * How far provisioned concurrency has been made available. Lambda: GetProvisionedConcurrencyConfig.
   */
  provisionedConcurrency?: ProvisionedConcurrencyStatus;
}

/**
 * A name for one version of a function that callers use in its place, so that the version behind it can change. A second version may get a share of the invocations.
 */
export interface Alias {
  apiVersion: "kappa.dev/v1alpha1";
  kind: "Alias";
  metadata: ObjectMeta;
  /**
   * What the alias points to, and the settings of what is invoked through it.
   */
  spec: AliasSpec;
  /**
   * What the alias is now. Written by the controller.
   */
  status?: AliasStatus;
}

/**
 * What happens to a message that fails again and again. Left out: it is retried until the stream drops it. SQS: RedrivePolicy.
 */
export interface EventSourceMappingQueueRedrivePolicy {
  /**
   * How often a message is given out before it moves, 1 to 1,000. SQS: maxReceiveCount.
   */
  maxReceiveCount: number;
  /**
   * The queue that it moves to: queue:NAME, or its ARN. SQS: deadLetterTargetArn.
   */
  deadLetterTarget: string;
}

/**
 * A JetStream work queue, which Lambda's code sees as an SQS queue (aws:sqs events).
 */
export interface EventSourceMappingQueue {
  /**
   * Name of the JetStream stream with work queue retention. It cannot change. At most 255 characters. Lambda: EventSourceArn.
   */
  streamName: string;
  /**
   * The subject of the stream that is this queue; * and > are wildcards. Default: all subjects of the stream. It cannot change.
   */
  subject?: string;
  /**
   * Whether messages of one group are handled in order, one batch at a time, as in a FIFO queue. The group is the message's header Kappa-Message-Group-Id. Default: false. It cannot change.
   */
  fifo: boolean;
  /**
   * Seconds for which a received message stays hidden before it is given out again; extended while the function runs. 1 to 43,200. Default: 30. SQS: VisibilityTimeout.
   */
  visibilityTimeoutInSeconds: number;
  /**
   * What happens to a message that fails again and again. Left out: it is retried until the stream drops it. SQS: RedrivePolicy.
   */
  redrivePolicy?: EventSourceMappingQueueRedrivePolicy;
}

/**
 * How the stream is divided into shards, which are read side by side, each in order. Exactly one of subjects and keyHeader. Left out: one shard. It cannot change.
 */
export interface EventSourceMappingStreamShards {
  /**
   * One shard for each subject; * and > are wildcards. At most 256, not overlapping.
   */
  subjects?: string[];
  /**
   * Header of a message that holds its partition key: messages with the same key go to the same shard. At most 128 characters.
   */
  keyHeader?: string;
  /**
   * Number of shards that keys are spread over, 1 to 256.
   */
  count?: number;
}

/**
 * A JetStream stream, which Lambda's code sees as a Kinesis stream (aws:kinesis events).
 */
export interface EventSourceMappingStream {
  /**
   * Name of the JetStream stream. It cannot change. At most 255 characters. Lambda: EventSourceArn.
   */
  streamName: string;
  /**
   * The part of the stream that is read; * and > are wildcards. Default: everything. It cannot change.
   */
  subject?: string;
  /**
   * How the stream is divided into shards, which are read side by side, each in order. Exactly one of subjects and keyHeader. Left out: one shard. It cannot change.
   */
  shards?: EventSourceMappingStreamShards;
}

/**
 * The changes of a JetStream key-value bucket, which Lambda's code sees as a DynamoDB stream (aws:dynamodb events).
 */
export interface EventSourceMappingTable {
  /**
   * Name of the bucket. It cannot change. At most 255 characters. Lambda: EventSourceArn.
   */
  bucket: string;
  /**
   * The keys whose changes are read; * and > are wildcards. Default: all. It cannot change.
   */
  keys?: string;
  /**
   * What a record holds of the item before and after the change. Default: NEW_AND_OLD_IMAGES. It cannot change. DynamoDB: StreamViewType.
   */
  streamViewType: "KEYS_ONLY" | "NEW_IMAGE" | "OLD_IMAGE" | "NEW_AND_OLD_IMAGES";
}

/**
 * Points in time, which Lambda's code sees as EventBridge's scheduled events.
 */
export interface EventSourceMappingSchedule {
  /**
   * When: rate(VALUE UNIT) with minute, hour or day, singular for 1 and plural otherwise, or cron(MINUTES HOURS DAY-OF-MONTH MONTH DAY-OF-WEEK YEAR), one of the two days being ?. At most 256 characters. EventBridge: ScheduleExpression.
   */
  expression: string;
  /**
   * Time zone of a cron expression, from the tz database, such as Europe/Berlin. Default: UTC. EventBridge: ScheduleExpressionTimezone.
   */
  timezone: string;
  /**
   * JSON text that the function gets in place of the scheduled event. At most 65,536 characters. EventBridge: Input.
   */
  input?: string;
}

/**
 * One pattern.
 */
export interface EventSourceMappingFilterCriteriaFilter {
  /**
   * An event pattern as JSON text, over body of a queue's message, data of a stream's record or dynamodb of a table's change. At most 4,096 characters. Lambda: Filter.Pattern.
   */
  pattern: string;
}

/**
 * Which records reach the function. Others are deleted from a queue and skipped in a stream. Lambda: FilterCriteria.
 */
export interface EventSourceMappingFilterCriteria {
  /**
   * Patterns, of which a record has to match one. At most 5. Lambda: FilterCriteria.Filters.
   *
   * Items: One pattern.
   */
  filters?: EventSourceMappingFilterCriteriaFilter[];
}

/**
 * Where a record of each batch goes that was given up. Streams and tables. Lambda: DestinationConfig.
 */
export interface EventSourceMappingDestinationConfig {
  /**
   * For batches that failed for good. Lambda: DestinationConfig.OnFailure.
   */
  onFailure: Destination;
}

/**
 * Queues only. Lambda: ScalingConfig.
 */
export interface EventSourceMappingScalingConfig {
  /**
   * Most invocations at a time that this mapping makes, 2 to 1,000. Left out: as many as the function may have. Lambda: ScalingConfig.MaximumConcurrency.
   */
  maximumConcurrency?: number;
}

/**
 * Pollers that are kept for this mapping. Queues only. Lambda: ProvisionedPollerConfig.
 */
export interface EventSourceMappingProvisionedPollerConfig {
  /**
   * Fewest pollers, 2 to 200. Default: 2. Lambda: ProvisionedPollerConfig.MinimumPollers.
   */
  minimumPollers: number;
  /**
   * Most pollers, 2 to 10,000. Default: 200. Lambda: ProvisionedPollerConfig.MaximumPollers.
   */
  maximumPollers: number;
}

/**
 * What is read, what is invoked, and how batches are made and failures handled. Defaults are those of the source's kind, as in Lambda.
 */
export interface EventSourceMappingSpec {
  /**
   * What is invoked: the Lambda name of a function of this namespace, or NAME:QUALIFIER with a version or alias, or its ARN. Lambda: FunctionName.
   */
  functionName: string;
  /**
   * A JetStream work queue, which Lambda's code sees as an SQS queue (aws:sqs events).
   */
  queue?: EventSourceMappingQueue;
  /**
   * A JetStream stream, which Lambda's code sees as a Kinesis stream (aws:kinesis events).
   */
  stream?: EventSourceMappingStream;
  /**
   * The changes of a JetStream key-value bucket, which Lambda's code sees as a DynamoDB stream (aws:dynamodb events).
   */
  table?: EventSourceMappingTable;
  /**
   * Points in time, which Lambda's code sees as EventBridge's scheduled events.
   */
  schedule?: EventSourceMappingSchedule;
  /**
   * Whether the source is read. Default: true. Lambda: Enabled.
   */
  enabled: boolean;
  /**
   * Most records of one batch, 1 to 10,000 (FIFO queue: 10). Default: 10 for a queue, 100 for a stream or table. A batch also closes at 6 MB. Lambda: BatchSize.
   */
  batchSize?: number;
  /**
   * Seconds to wait for a batch to fill, 0 to 300. Default: 0. A queue with a batchSize over 10 needs at least 1; not for FIFO queues. Lambda: MaximumBatchingWindowInSeconds.
   */
  maximumBatchingWindowInSeconds?: number;
  /**
   * Which records reach the function. Others are deleted from a queue and skipped in a stream. Lambda: FilterCriteria.
   */
  filterCriteria?: EventSourceMappingFilterCriteria;
  /**
   * ReportBatchItemFailures: the function's answer lists the records that failed, and only those are tried again. Lambda: FunctionResponseTypes.
   */
  functionResponseTypes?: "ReportBatchItemFailures"[];
  /**
   * Where reading begins: the oldest record (TRIM_HORIZON), what comes from now on (LATEST), or a point in time (AT_TIMESTAMP, streams only). Required for a stream or table. It cannot change. Lambda: StartingPosition.
   */
  startingPosition?: "TRIM_HORIZON" | "LATEST" | "AT_TIMESTAMP";
  /**
   * The point in time for AT_TIMESTAMP, RFC 3339. It cannot change. Lambda: StartingPositionTimestamp.
   */
  startingPositionTimestamp?: string;
  /**
   * Batches of one shard that are handled side by side, records of one key always in order. 1 to 10. Default: 1. Streams and tables. Lambda: ParallelizationFactor.
   */
  parallelizationFactor?: number;
  /**
   * Whether a failed batch is split in two before it is retried. Default: false. Streams and tables. Lambda: BisectBatchOnFunctionError.
   */
  bisectBatchOnFunctionError?: boolean;
  /**
   * Length of the window over which the function aggregates, 0 to 900 seconds; 0: none. Default: 0. Streams and tables. Lambda: TumblingWindowInSeconds.
   */
  tumblingWindowInSeconds?: number;
  /**
   * Further attempts with a failed batch before it is given up, 0 to 10,000; -1: without end. Default: -1. Streams and tables. Lambda: MaximumRetryAttempts.
   */
  maximumRetryAttempts?: number;
  /**
   * Age at which a record is given up, 60 to 604,800 seconds; -1: never. Default: -1. Streams and tables. Lambda: MaximumRecordAgeInSeconds.
   */
  maximumRecordAgeInSeconds?: number;
  /**
   * Where a record of each batch goes that was given up. Streams and tables. Lambda: DestinationConfig.
   */
  destinationConfig?: EventSourceMappingDestinationConfig;
  /**
   * Queues only. Lambda: ScalingConfig.
   */
  scalingConfig?: EventSourceMappingScalingConfig;
  /**
   * Pollers that are kept for this mapping. Queues only. Lambda: ProvisionedPollerConfig.
   */
  provisionedPollerConfig?: EventSourceMappingProvisionedPollerConfig;
  /**
   * Tags as Lambda's API shows them; at most 50, names up to 128 and values up to 256 characters. They are not Kubernetes labels. Lambda: Tags.
   */
  tags: {
    [k: string]: string;
  };
}

/**
 * What the mapping is now. Written by the controller and the pollers.
 */
export interface EventSourceMappingStatus {
  /**
   * metadata.generation that this status was made from. A smaller one means that the controller has not seen the last change yet.
   */
  observedGeneration?: number;
  /**
   * The state in Kubernetes' own form. Ready is True when the source is read, or when the mapping is disabled.
   *
   * Items: One condition.
   */
  conditions?: Condition[];
  /**
   * Lambda: State.
   */
  state?: "Creating" | "Enabling" | "Enabled" | "Disabling" | "Disabled" | "Updating" | "Deleting";
  /**
   * Who made the last change, or why. Lambda: StateTransitionReason.
   */
  stateTransitionReason?: string;
  /**
   * When the mapping or its state last changed, ISO 8601. Lambda: LastModified.
   */
  lastModified?: string;
  /**
   * How the last batch ended, written when that changes. Lambda: LastProcessingResult.
   */
  lastProcessingResult?: string;
  /**
   * ARN of what is invoked. Lambda: FunctionArn.
   */
  functionArn?: string;
  /**
   * ARN of the source. Lambda: EventSourceArn.
   */
  eventSourceArn?: string;
}

/**
 * Reads a queue, a stream, the changes of a table or a schedule, and invokes a function with what it finds, in batches. Its UUID on Lambda's API is metadata.uid.
 */
export interface EventSourceMapping {
  apiVersion: "kappa.dev/v1alpha1";
  kind: "EventSourceMapping";
  metadata: ObjectMeta;
  /**
   * What is read, what is invoked, and how batches are made and failures handled. Defaults are those of the source's kind, as in Lambda.
   */
  spec: EventSourceMappingSpec;
  /**
   * What the mapping is now. Written by the controller and the pollers.
   */
  status?: EventSourceMappingStatus;
}

/**
 * Where the content comes from: exactly one of zip, configMap, object and url. The controller fetches it once, checks it and stores it by its SHA-256. With the function's own package at most 262,144,000 bytes unpacked. Lambda: Content.
 */
export interface LayerVersionContent {
  /**
   * The archive as base64 text, at most 180,000 characters; line breaks are allowed. Meant for kubectl; larger archives belong into an object store. Lambda: Content.ZipFile.
   */
  zip?: string;
  /**
   * The archive in a ConfigMap of the same namespace, under binaryData. It is read once.
   */
  configMap?: FunctionCodeConfigMap;
  /**
   * The archive in a JetStream object store of this namespace. It is read once. Lambda: Content.S3Bucket and Content.S3Key.
   */
  object?: FunctionCodeObject;
  /**
   * The archive on an HTTP server that the controller can reach, with the digest that it must have.
   */
  url?: FunctionCodeUrl;
}

/**
 * The content and what is known about it. Nothing of it can change.
 */
export interface LayerVersionSpec {
  /**
   * Name of the layer on Lambda's API. Letters, digits, hyphens and underscores, at most 140. It cannot change. Lambda: LayerName.
   */
  layerName: string;
  /**
   * Number of the version: 1, 2, 3 … for each layer, never given twice. The controller fills it in; give it only to restore a version. It cannot change. Lambda: Version.
   */
  version?: number;
  /**
   * What the layer holds, in at most 256 characters. It cannot change. Lambda: Description.
   */
  description?: string;
  /**
   * Where the content comes from: exactly one of zip, configMap, object and url. The controller fetches it once, checks it and stores it by its SHA-256. With the function's own package at most 262,144,000 bytes unpacked. Lambda: Content.
   */
  content: LayerVersionContent;
  /**
   * Runtimes that the layer is made for, for filtering; it is not enforced. At most 15. It cannot change. Lambda: CompatibleRuntimes.
   */
  compatibleRuntimes?: string[];
  /**
   * Instruction sets that the layer is made for, for filtering; it is not enforced. It cannot change. Lambda: CompatibleArchitectures.
   */
  compatibleArchitectures?: ("x86_64" | "arm64")[];
  /**
   * Licence of the content: an SPDX identifier, a URL or a text of at most 512 characters. It cannot change. Lambda: LicenseInfo.
   */
  licenseInfo?: string;
}

/**
 * What the layer version is now. Written by the controller.
 */
export interface LayerVersionStatus {
  /**
   * metadata.generation that this status was made from. A smaller one means that the controller has not seen the last change yet.
   */
  observedGeneration?: number;
  /**
   * The state in Kubernetes' own form. Ready is True when functions can use the layer version.
   *
   * Items: One condition.
   */
  conditions?: Condition[];
  /**
   * ARN without version. Lambda: LayerArn.
   */
  layerArn?: string;
  /**
   * ARN with version. Lambda: LayerVersionArn.
   */
  layerVersionArn?: string;
  /**
   * When it was published, ISO 8601. Lambda: CreatedDate.
   */
  createdDate?: string;
  /**
   * SHA-256 of the archive in base64. Lambda: Content.CodeSha256.
   */
  codeSha256?: string;
  /**
   * Size of the archive in bytes. Lambda: Content.CodeSize.
   */
  codeSize?: number;
  /**
   * SHA-256 of the archive in hexadecimal: its name in the package store.
   */
  packageSha256?: string;
}

/**
 * One version of a layer: an archive that is unpacked to /opt of the functions that name it. It is stored once by its digest and never changes.
 */
export interface LayerVersion {
  apiVersion: "kappa.dev/v1alpha1";
  kind: "LayerVersion";
  metadata: ObjectMeta;
  /**
   * The content and what is known about it. Nothing of it can change.
   */
  spec: LayerVersionSpec;
  /**
   * What the layer version is now. Written by the controller.
   */
  status?: LayerVersionStatus;
}

/**
 * One requirement.
 */
export interface LabelSelectorRequirement {
  /**
   * Name of the label.
   */
  key: string;
  /**
   * How the label is compared.
   */
  operator: "In" | "NotIn" | "Exists" | "DoesNotExist";
  /**
   * Values for In and NotIn. At most 32.
   */
  values?: string[];
}

/**
 * The pods. Empty: all of those namespaces.
 */
export interface LabelSelector {
  /**
   * Labels that have to be there with these values. At most 16.
   */
  matchLabels?: {
    [k: string]: string;
  };
  /**
   * Further requirements, all of which hold. At most 16.
   *
   * Items: One requirement.
   */
  matchExpressions?: LabelSelectorRequirement[];
}

/**
 * Pods that are inside: all that both selectors select.
 */
export interface VpcResource {
  /**
   * Name that egress rules use, unique in this Vpc.
   */
  name: string;
  /**
   * Namespaces of the pods. Left out: this namespace; empty: all.
   */
  namespaceSelector?: LabelSelector;
  /**
   * The pods. Empty: all of those namespaces.
   */
  podSelector: LabelSelector;
}

/**
 * One subnet.
 */
export interface VpcSubnet {
  /**
   * Name that a function's vpcConfig.subnetIds uses, unique in this Vpc.
   */
  name: string;
  /**
   * Whether there is a way to the internet. Default: false, as for a private subnet without NAT.
   */
  natGateway: boolean;
  /**
   * Public services that are reachable without a NAT gateway, by name; lambda is Kappa's own API. At most 32. EC2: CreateVpcEndpoint.
   */
  gatewayEndpoints?: string[];
}

/**
 * One rule: a protocol, ports and exactly one of cidrIp, cidrIpv6 and resource.
 */
export interface VpcSecurityGroupEgress {
  /**
   * Protocol; -1 is every one, on every port. Default: -1. EC2: IpProtocol.
   */
  ipProtocol: "-1" | "tcp" | "udp" | "sctp";
  /**
   * First port, 1 to 65,535. EC2: FromPort.
   */
  fromPort?: number;
  /**
   * Last port, 1 to 65,535. EC2: ToPort.
   */
  toPort?: number;
  /**
   * An IPv4 range in CIDR notation, 0.0.0.0/0 for everywhere that the subnet leads to. EC2: CidrIp.
   */
  cidrIp?: string;
  /**
   * An IPv6 range in CIDR notation, ::/0 for everywhere that the subnet leads to. EC2: CidrIpv6.
   */
  cidrIpv6?: string;
  /**
   * Name of one of spec.resources.
   */
  resource?: string;
  /**
   * What the rule is for, in at most 255 characters. EC2: Description.
   */
  description?: string;
}

/**
 * One security group. Functions take no inbound connections, so it has egress rules only.
 */
export interface VpcSecurityGroup {
  /**
   * Name that a function's vpcConfig.securityGroupIds uses, unique in this Vpc.
   */
  name: string;
  /**
   * What the group is for, in at most 255 characters. EC2: GroupDescription.
   */
  description?: string;
  /**
   * Outbound connections that are allowed; an empty list allows none. At most 60. EC2: IpPermissionsEgress.
   *
   * Items: One rule: a protocol, ports and exactly one of cidrIp, cidrIpv6 and resource.
   */
  egress: VpcSecurityGroupEgress[];
}

/**
 * The network as functions see it.
 */
export interface VpcSpec {
  /**
   * Address ranges outside of the cluster that are inside of the VPC, in CIDR notation. At most 16. EC2: CidrBlock.
   */
  cidrBlocks?: string[];
  /**
   * In-cluster resources that are inside of the VPC, such as databases, each a selection of pods. At most 32.
   *
   * Items: Pods that are inside: all that both selectors select.
   */
  resources?: VpcResource[];
  /**
   * Subnets by name. A function in several of them has what all of them have in common. At most 64. Lambda: SubnetIds name them.
   *
   * Items: One subnet.
   */
  subnets: VpcSubnet[];
  /**
   * Security groups by name. What any group of a function allows is allowed. At most 64. Lambda: SecurityGroupIds name them.
   *
   * Items: One security group. Functions take no inbound connections, so it has egress rules only.
   */
  securityGroups: VpcSecurityGroup[];
}

/**
 * What the Vpc is now. Written by the controller.
 */
export interface VpcStatus {
  /**
   * metadata.generation that this status was made from. A smaller one means that the controller has not seen the last change yet.
   */
  observedGeneration?: number;
  /**
   * The state in Kubernetes' own form. Ready is True when the cluster's network enforces what spec says.
   *
   * Items: One condition.
   */
  conditions?: Condition[];
  /**
   * Connections that this cluster's network cannot prevent although spec forbids them, such as those to a pod's own node. At most 32.
   */
  notEnforced?: string[];
}

/**
 * What an AWS VPC is to a function: the addresses and in-cluster resources that are inside, subnets, and security groups. A function that names a subnet and a security group reaches what they allow and nothing else.
 */
export interface Vpc {
  apiVersion: "kappa.dev/v1alpha1";
  kind: "Vpc";
  metadata: ObjectMeta;
  /**
   * The network as functions see it.
   */
  spec: VpcSpec;
  /**
   * What the Vpc is now. Written by the controller.
   */
  status?: VpcStatus;
}
