/** The layout of the code as a rule: who may import whom. The reasons are in docs/adr/0001-layout.md. */
const src = "^operator/src/";
const rule = (name, comment, from, to) => ({ name, severity: "error", comment, from, to });

module.exports = {
  forbidden: [
    rule("no-cycles", "A cycle has no direction to read it in.", {}, { circular: true }),
    rule(
      "api-imports-nothing",
      "The resource types are the innermost part.",
      { path: `${src}api/`, pathNot: "[.]test[.]ts$" },
      { pathNot: `${src}api/` },
    ),
    rule(
      "domain-is-pure",
      "Pure rules: api, node:crypto and nothing that does I/O.",
      { path: `${src}domain/`, pathNot: "[.]test[.]ts$" },
      { pathNot: [`${src}(api|domain)/`, "^(node:)?(crypto|buffer)$"] },
    ),
    rule(
      "resources-are-pure",
      "Builders of desired objects see api and domain only.",
      { path: `${src}resources/`, pathNot: "[.]test[.]ts$" },
      { pathNot: [`${src}(api|domain|resources)/`, "^(node:)?(crypto|buffer)$"] },
    ),
    rule(
      "data-plane-is-not-control-plane",
      "The gateway works while the controller is away, so it shares builders, never reconcilers.",
      { path: `${src}(gateway|lambda-api|pollers)/` },
      { path: `${src}controllers/` },
    ),
    rule(
      "control-plane-is-not-data-plane",
      "And the other way round.",
      { path: `${src}controllers/` },
      { path: `${src}(gateway|lambda-api|pollers)/` },
    ),
    rule(
      "only-kube-imports-client-node",
      "One adapter to the Kubernetes API.",
      { pathNot: [`${src}kube/`] },
      { path: "node_modules/(@kubernetes/client-node|@dot-i/k8s-operator)" },
    ),
    rule("only-bus-imports-nats", "One adapter to JetStream.", { pathNot: [`${src}bus/`, "^e2e/"] }, { path: "node_modules/@nats-io/" }),
    rule(
      "adapters-stand-below",
      "Adapters stand below everything that uses them.",
      { path: `${src}(kube|bus|telemetry)/` },
      { path: `${src}(controllers|gateway|lambda-api|pollers)/` },
    ),
    rule(
      "agent-shares-only-contracts",
      "The agent ships into every pod: only types and pure rules of the operator's.",
      { path: "^runtime-images/agent/" },
      { path: src, pathNot: `${src}(api|domain)/` },
    ),
    rule(
      "product-does-not-import-tests",
      "What ships never depends on what tests it; code that only tests use lies in folders named testing.",
      { path: `${src}|^runtime-images/`, pathNot: "[.]test[.]ts$|/testing/" },
      { path: "[.]test[.]ts$|^e2e/|^operator/testing/|/testing/", pathNot: "node_modules" },
    ),
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    enhancedResolveOptions: { exportsFields: ["exports"], conditionNames: ["import", "node", "default", "types"] },
  },
};
