/**
 * Which gateway an agent believes to own its function. Gateways learn of each other's coming and going one after the other, so for a
 * moment two may think that they own the same function; the agent sees both and lets one act: that of the later view. Pure.
 */
import type { Epoch, Member, Welcome } from "../../../../operator/src/api/environment-protocol.ts";

/** What the agent knows of the gateways. */
export interface View {
  /** The latest there was. */
  epoch: Epoch;
  /** Name of the gateway that owns the function in that view, where one is known: before an assignment none is. */
  owner: string | undefined;
  /** The gateways to keep connections to; empty before the first welcome. */
  members: readonly Member[];
  /** Who told the members. */
  source: string | undefined;
}

export const NO_VIEW: View = { epoch: 0, owner: undefined, members: [], source: undefined };

/** The view after a welcome. Of those with the same epoch the owner's says who the members are, else the last one. */
export function afterWelcome(view: View, from: string, { epoch, owner, members }: Welcome): View {
  if (epoch < view.epoch) return view;
  if (epoch > view.epoch) return { epoch, owner, members, source: from };
  const known = view.owner ?? owner;
  if (view.source !== undefined && view.source === known && from !== known) return { ...view, owner: known };
  return { epoch, owner: known, members, source: from };
}

/**
 * The view after a gateway acted as the function's owner, by an assignment or an event; undefined when it may not, because somebody
 * else owns the function in a later view than the gateway had.
 */
export function afterAction(view: View, from: string, epoch: Epoch): View | undefined {
  if (epoch >= view.epoch) return { ...view, epoch, owner: from };
  return from === view.owner ? view : undefined;
}
