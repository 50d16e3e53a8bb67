/** The gateway: Lambda's Invoke API in front, environments behind, other gateways beside. */
import type { Bus } from "../bus/index.ts";
import type { KubeClient } from "../kube/client.ts";
import { type Clock, sleep, systemClock } from "../kube/clock.ts";
import { POOL_EPHEMERAL_STORAGE_MB } from "../resources/environment-pod.ts";
import type { GatewayMetrics } from "../telemetry/gateway-metrics.ts";
import type { Logger } from "../telemetry/log.ts";
import { AccessKeys } from "./access-keys.ts";
import { AccountConcurrency } from "./account-concurrency.ts";
import { Accounts } from "./accounts.ts";
import { AgentServer } from "./agent-server.ts";
import { AgentTokens } from "./agent-tokens.ts";
import { AssignmentWriter } from "./assignment-writer.ts";
import { Authenticator } from "./authenticator.ts";
import { Authoriser } from "./authoriser.ts";
import { BillingApi } from "./billing-api.ts";
import { BillingLedger } from "./billing-ledger.ts";
import type { GatewayConfig } from "./config-types.ts";
import { Dispatchers } from "./dispatchers.ts";
import { Environments } from "./environments.ts";
import { Forwarder } from "./forwarder.ts";
import { FunctionRegistry } from "./function-registry.ts";
import { FunctionWatches } from "./function-watches.ts";
import { LambdaApi } from "./http-api.ts";
import { PayloadBudget } from "./http-body.ts";
import { PackageCache } from "./package-cache.ts";
import { PackagePrefetch } from "./package-prefetch.ts";
import { EndpointSliceDirectory, type PeerDirectory } from "./peer-directory.ts";
import { PeerServer } from "./peer-server.ts";
import { Peers } from "./peers.ts";
import { PodWriter } from "./pod-writer.ts";
import { Keeper } from "./pools/keeper.ts";
import { poolOwnerKey } from "./pools/pool-owner.ts";
import { PoolUses } from "./pools/pool-uses.ts";
import { Pools } from "./pools/pools.ts";
import { type Random, systemRandom } from "./random.ts";
import { RoleSessions } from "./role-sessions.ts";
import { RoleTokens } from "./role-tokens.ts";
import { SuspectNodes } from "./suspect-nodes.ts";
import { Tickets } from "./tickets.ts";

export type { GatewayConfig } from "./config-types.ts";

/** What a gateway works with. */
export interface GatewayDeps {
  client: KubeClient;
  bus: Pick<Bus, "packages" | "billing">;
  metrics: GatewayMetrics;
  log: Logger;
  clock?: Clock;
  random?: Random;
  /** Where the gateways are listed, instead of their service's EndpointSlices. */
  directory?: PeerDirectory;
}

/** A running gateway. */
export interface Gateway {
  /** Ports it listens on. */
  readonly ports: { api: number; agents: number; peers: number };
  /** Why it cannot serve yet, or any more; empty when it can. For the readiness probe. */
  notReady(): string[];
  /**
   * Ends in order: others take over what it owns, what runs is finished, agents go to the other gateways.
   * @param graceMs how long what runs may take; by default any event may end
   */
  stop(graceMs?: number): Promise<void>;
}

/** New requests still come for so long after a gateway said that it is going: the endpoints of its Service change no quicker. */
const LINGER_MS = 2_000;
/** How long accounts whose RoleBinding is still to come hold up readiness. */
const ACCOUNTS_MS = 10_000;
const ACCOUNTS_POLL_MS = 50;
/** A third of the memory that the chart gives the process; a payload is copied once on its way. */
const PAYLOAD_BYTES = 256 * 1024 * 1024;
/** Of these for one source address: behind a load balancer it is that of many callers, so it has room for twenty of the largest. */
const PAYLOAD_BYTES_OF_ADDRESS = 128 * 1024 * 1024;
const DRAIN_POLL_MS = 50;
/** Lambda's longest time-out and a margin; Kubernetes ends the process earlier where its grace period is shorter. */
const GRACE_MS = 910_000;

/** Starts a gateway. Resolves when it listens; it is ready when `notReady` is empty. */
export async function startGateway(deps: GatewayDeps, config: GatewayConfig): Promise<Gateway> {
  const { client, metrics, log } = deps;
  const clock = deps.clock ?? systemClock;
  const random = deps.random ?? systemRandom;
  const { region, startTimeoutMs } = config;
  const host = config.listen.host === undefined ? {} : { host: config.listen.host };
  const stopping = new AbortController();

  const registry = new FunctionRegistry();
  const suspects = new SuspectNodes(clock);
  const keys = new AccessKeys(log);
  const tokens = new AgentTokens({ client, clock, log });
  const pods = new PodWriter({
    client,
    clock,
    random,
    log,
    images: config.images,
    settings: config.environment,
    gatewaysFor: (key) => peers.membersFor(key).map(({ address }) => address),
  });
  const ledger = new BillingLedger({ store: deps.bus.billing, instance: config.instance, clock, random, log });
  const packages = await PackageCache.open({ ...config.packageCache, store: deps.bus.packages, metrics, log });

  const tickets = new Tickets(config.peerSecret);
  const roles = new RoleSessions({ secret: config.peerSecret, hasPod: (pod) => environments.has(pod), client, clock, random });
  const roleTokens = new RoleTokens({ client, clock, random, log });

  const writer = new AssignmentWriter({ client, clock, log, settings: config.environment });
  const owns = (key: string): boolean => peers.owns(key);

  // The tables refer to each other; what is called later than this function may be made later in it.
  const environments: Environments = new Environments({
    clock,
    log,
    registry,
    pods,
    suspects,
    startTimeoutMs,
    followRole: (...role) => roleTokens.follow(...role),
    dispatcherOf: (entry) => dispatchers.of(entry),
    packageBytes: (sha256) => packages.inMemory(sha256),
    tickets,
    gateways: {
      get epoch() {
        return peers.epoch;
      },
      ownerOf: (key) => peers.ownerOf(key),
      owns,
      membersFor: (key) => peers.membersFor(key),
      heard: (epoch) => peers.heard(epoch),
    },
    keeper: new Keeper({ registry, pools: () => pools, writer, log }),
  });
  const limits = { memoryMb: config.pools.size.memoryMb, ephemeralStorageMb: POOL_EPHEMERAL_STORAGE_MB };
  const pools: Pools = new Pools({
    settings: config.pools,
    uses: new PoolUses(registry, clock, limits),
    registry,
    environments,
    pods,
    suspects,
    metrics: metrics.pools,
    clock,
    random,
    log,
    self: config.instance,
    // Before it is known what is there, everything would be made anew.
    keeps: (namespace) => owns(poolOwnerKey(namespace)) && accounts.isWatched(namespace),
    lives: (gateway) => peers.member(gateway) !== undefined,
    addressesFor(namespace) {
      const others = peers.membersFor(poolOwnerKey(namespace)).filter(({ name }) => name !== config.instance);
      return [peers.member(config.instance), ...others].flatMap((member) => (member ? [member.address] : []));
    },
  });
  const prefetch = new PackagePrefetch({ registry, packages, isOwner: owns });
  const accounts: Accounts = new Accounts({
    client,
    clock,
    log,
    sink: {
      putPod: (pod) => environments.putPod(pod),
      removePod: (pod) => environments.removePod(pod),
      putKey: (secret) => keys.put(secret),
      removeKey: (secret) => keys.remove(secret),
    },
  });
  const concurrency = new AccountConcurrency({ limit: config.accountConcurrency, clock });
  const dispatchers: Dispatchers = new Dispatchers({
    registry,
    clock,
    concurrency,
    isOwner: owns,
    deps: {
      log,
      chance: () => random.chance(),
      metrics: ledger.observing(metrics),
      pods,
      suspects,
      region,
      keepAliveMs: config.keepAliveMs,
      startTimeoutMs,
      accountIdOf: (namespace) => accounts.idOf(namespace),
      lambdaEndpoint: config.lambdaEndpoint,
      credentialsFor: (environment, serviceAccount) => roles.issue(environment, serviceAccount),
      adopt: (...made) => environments.adopt(...made),
      pools,
      epoch: () => peers.epoch,
      passFor: (podUid, assignmentId) => tickets.pass(podUid, assignmentId),
    },
    askPeers: (namespace) => peers.askRoom(namespace),
    onTick: (now) => environments.tick(now),
  });

  const budget = new PayloadBudget(PAYLOAD_BYTES, PAYLOAD_BYTES_OF_ADDRESS);
  const peerServer = new PeerServer({
    ...host,
    budget,
    port: config.listen.peers,
    name: config.instance,
    secret: config.peerSecret,
    registry,
    clock,
    log,
    submit: (entry, invocation) => dispatchers.submit(entry, invocation),
  });
  const agentServer = new AgentServer({ ...host, port: config.listen.agents, tokens, agents: environments, packages, clock, log });
  const peerPort = await peerServer.start();
  const agentPort = await agentServer.start();
  const directory =
    deps.directory ??
    new EndpointSliceDirectory({
      client,
      namespace: config.namespace,
      service: config.agentService,
      ports: { agents: config.listen.agents, peers: config.listen.peers },
      clock,
      log,
    });
  const peers: Peers = new Peers({
    self: { name: config.instance, host: config.advertisedHost, peerPort, agentPort },
    secret: config.peerSecret,
    directory,
    suspects,
    clock,
    log,
  });
  concurrency.connectTo(peers);
  peers.onRoomAsked((namespace) => dispatchers.giveUp(namespace) || pools.giveUpOne(namespace));
  // In this order: what runs is charged before anybody is told how things are.
  peers.subscribe(() => {
    dispatchers.ownersChanged();
    concurrency.ownersChanged();
    environments.gatewaysChanged();
    prefetch.ownersChanged();
  });
  peerServer.connectTo(peers);

  const authoriser = new Authoriser({ client, metrics, clock });
  const api = new LambdaApi({
    ...host,
    own: new BillingApi({ ledger, authoriser, accounts, region }),
    port: config.listen.api,
    region,
    clock,
    random,
    log,
    metrics,
    authenticator: new Authenticator({ keys, roles, client, metrics, clock, region }),
    authoriser,
    registry,
    accounts,
    otherOwner: (key) => {
      const name = peers.ownerOf(key);
      return peers.isSelf(name) ? undefined : name;
    },
    submit: (entry, invocation) => dispatchers.submit(entry, invocation),
    budget,
    forwarder: new Forwarder({ peers, secret: config.peerSecret, metrics, log }),
  });
  const apiPort = await api.start();
  metrics.observe({ environments: () => environments.counts(), peers: () => peers.count, agents: () => agentServer.connections });

  const functions = new FunctionWatches({ client, registry, clock, log });
  let accountsWaited = false;
  let draining = false;
  ledger.start();
  accounts.start();
  functions.start();
  dispatchers.start();
  pools.start();
  const waitForAccounts = async (): Promise<void> => {
    await accounts.synced();
    const until = clock.monotonic() + ACCOUNTS_MS;
    while (accounts.unsynced().length > 0 && clock.monotonic() < until) await sleep(clock, ACCOUNTS_POLL_MS, stopping.signal);
    accountsWaited = true;
  };
  const known = Promise.all([functions.synced(), waitForAccounts()]);
  const starting = Promise.all([tokens.load(stopping.signal), peers.start(known).then(() => prefetch.ownersChanged())]);
  starting.catch((err: unknown) => {
    if (!stopping.signal.aborted) log.error({ err }, "the gateway did not start completely");
  });
  log.info({ ports: { api: apiPort, agents: agentPort, peers: peerPort }, region }, "the gateway listens");

  return {
    ports: { api: apiPort, agents: agentPort, peers: peerPort },
    notReady() {
      const reasons: string[] = [];
      if (draining) reasons.push("it is going away");
      if (!functions.hasSynced) reasons.push("the functions, versions and aliases were not listed yet");
      if (!accounts.hasSynced) reasons.push("the accounts were not listed yet");
      else if (!accountsWaited)
        for (const namespace of accounts.unsynced()) reasons.push(`the pods and keys of account ${namespace} were not listed yet`);
      if (!tokens.loaded) reasons.push("the cluster's token keys were not fetched yet");
      if (!peers.joined) reasons.push("it has not joined the other gateways yet");
      return reasons;
    },
    async stop(graceMs = GRACE_MS) {
      draining = true;
      log.info({ inFlight: api.inFlight + dispatchers.inFlight }, "the gateway is going away");
      peers.leave();
      api.drain();
      const since = clock.monotonic();
      const until = since + Math.max(graceMs, 0);
      const linger = since + Math.min(graceMs, LINGER_MS);
      while (clock.monotonic() < until && (clock.monotonic() < linger || api.inFlight + dispatchers.inFlight > 0))
        await sleep(clock, DRAIN_POLL_MS);
      stopping.abort();
      dispatchers.stop();
      concurrency.stop();
      pools.stop();
      prefetch.stop();
      writer.stop();
      await ledger.stop();
      pods.stop();
      roleTokens.stop();
      await Promise.all([api.stop(), agentServer.stop(), functions.stop(), accounts.stop()]);
      await peers.stop();
      await peerServer.stop();
      log.info({ seconds: (clock.monotonic() - since) / 1000 }, "the gateway is gone");
    },
  };
}
