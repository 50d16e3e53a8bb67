/** What the agent's tests have in common: a gateway, the real agent and the real Python runtime, gone after each test. */
import { rm } from "node:fs/promises";
import { afterAll, afterEach, beforeAll } from "vitest";
import type { Assigned, Assignment } from "../../../operator/src/api/environment-protocol.ts";
import { type AgentProcess, type AgentProcessOptions, startAgent } from "./agent-process.ts";
import { type AgentLink, startTestGateway, type TestGateway, type TestGatewayOptions } from "./gateway.ts";
import { assignmentOf, type TestFile, type TestPackage, zipOf } from "./packages.ts";
import { pythonRuntime } from "./python-runtime.ts";

/** An agent before its assignment. */
export interface Unassigned {
  gateway: TestGateway;
  agent: AgentProcess;
  link: AgentLink;
  code: TestPackage;
}

export interface Harness {
  gatewayOf(options?: TestGatewayOptions): Promise<TestGateway>;
  agentOf(options: Partial<AgentProcessOptions> & { gatewayPort: number }): Promise<AgentProcess>;
  unassigned(files: Record<string, TestFile>, options?: Partial<AgentProcessOptions>): Promise<Unassigned>;
  /** The same with the function of this source in place. */
  running(source: string, over?: Partial<Assignment>, options?: Partial<AgentProcessOptions>): Promise<Unassigned & { assigned: Assigned }>;
  /** A gateway that the test ended itself. */
  forget(gateway: TestGateway): void;
}

/** To be called once at the top of a test file. */
export function agentHarness(): Harness {
  let runtimeRoot = "";
  const gateways = new Set<TestGateway>();
  const agents = new Set<AgentProcess>();

  beforeAll(async () => {
    runtimeRoot = await pythonRuntime();
  });
  afterEach(async () => {
    await Promise.all([...agents].map((agent) => agent.stop()));
    await Promise.all([...gateways].map((gateway) => gateway.kill()));
    agents.clear();
    gateways.clear();
  });
  afterAll(async () => {
    await rm(runtimeRoot, { recursive: true, force: true });
  });

  const harness: Harness = {
    async gatewayOf(options) {
      const gateway = await startTestGateway(options);
      gateways.add(gateway);
      return gateway;
    },
    async agentOf(options) {
      const agent = await startAgent({ runtimeRoot, ...options });
      agents.add(agent);
      return agent;
    },
    async unassigned(files, options = {}) {
      const code = zipOf(files);
      const gateway = await harness.gatewayOf();
      gateway.packages.set(code.sha256, code.bytes);
      const agent = await harness.agentOf({ gatewayPort: gateway.port, ...options });
      return { gateway, agent, link: await gateway.agent(), code };
    },
    async running(source, over = {}, options = {}) {
      const parts = await harness.unassigned({ "app.py": source }, options);
      const { assigned, failed, body } = await parts.link.assign(assignmentOf(parts.code, over));
      if (!assigned) throw new Error(`not assigned: ${JSON.stringify(failed)} ${body}\n${parts.agent.stdout}\n${parts.agent.stderr}`);
      return { ...parts, assigned };
    },
    forget: (gateway) => void gateways.delete(gateway),
  };
  return harness;
}
