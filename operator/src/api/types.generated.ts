/**
 * The resources as TypeScript, generated from crds/*.yaml by `npm run generate`: change those, never this file.
 * The types say what the API server answers, so a field with a default is always there.
 */
import type { ObjectMeta } from "./object-meta.ts";

/**
 * The package in a ConfigMap of the same namespace, under binaryData. It is read again whenever the ConfigMap changes.
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
 * The package in a JetStream object store of this namespace. It is read when this field changes; put a new package under a new key. Lambda: Code.S3Bucket and Code.S3Key.
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
 * The package on an HTTP server that the controller can reach, with the digest that it must have.
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
   * Source text of a function of one file, at most 65,536 bytes; for the python and nodejs runtimes. The file takes its name from the handler: index.py for index.handler and python3.11. CloudFormation: Code.ZipFile.
   */
  inline?: string;
  /**
   * The package as base64 text, at most 180,000 characters; line breaks are allowed. Meant for kubectl; larger packages belong into an object store. Lambda: Code.ZipFile.
   */
  zip?: string;
  /**
   * The package in a ConfigMap of the same namespace, under binaryData. It is read again whenever the ConfigMap changes.
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
  variables?: {
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
 * For invocations that failed for good: retries exhausted or too old. Lambda: DestinationConfig.OnFailure.
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
 * How asynchronous invocations of $LATEST are retried and where their outcome goes. Lambda: PutFunctionEventInvokeConfig.
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
 * An HTTP address of $LATEST. Lambda: CreateFunctionUrlConfig.
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
  environment?: FunctionEnvironment;
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
  tags?: {
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
export interface FunctionStatusEffectiveLoggingConfig {
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
 * The code and configuration that invocations get. It follows spec once the package was checked and stored.
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
  loggingConfig: FunctionStatusEffectiveLoggingConfig;
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
