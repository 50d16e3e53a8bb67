/** Help of main.ts. */
export const USAGE = `usage: node e2e/cluster/main.ts COMMAND

  up                        make the cluster, or find that it runs; goes on where it was interrupted
  parts                     only build the programs that the cluster is made from, and print their folder
  down                      remove it, and list what is left of it (nothing, else exit code 1)
  status                    what runs and where; exit code 1 unless all of it works
  env                       print exports for a shell: eval "$(node e2e/cluster/main.ts env)"
  check                     prove that NetworkPolicies are enforced and that the local internet is reached
  load ARCHIVE...           give all nodes the images of docker-archive files
  exec-node NODE -- CMD...  run a command on a node
  kill-node NODE            kill a node's container
  start-node NODE           start it again, and wait until the node is ready
  enter -- CMD...           run a command in the network that the nodes hang on

environment: KAPPA_ENGINE=podman|docker, KAPPA_NODE_IMAGE (docker), KAPPA_API_PORT (16443), KAPPA_GATEWAY_PORT (18080),
KAPPA_SPARE_PORT (18090), XDG_STATE_HOME, XDG_CACHE_HOME
`;
