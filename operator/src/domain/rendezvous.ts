/**
 * Which member owns a key, agreed on by everybody who knows the same members, without anybody deciding. Rendezvous hashing: the
 * member with the highest score for the key owns it, so when a member goes only its own keys move, and each to its next in rank.
 */

/** The members, best first: the owner and those that would own the key if the ones before were gone. */
export function rank(members: Iterable<string>, key: string): string[] {
  return [...members]
    .map((member) => ({ member, score: score(member, key) }))
    .sort((a, b) => b.score - a.score || compare(a.member, b.member))
    .map(({ member }) => member);
}

/** The owner of a key; absent when there is no member. The order of the members does not matter. */
export function owner(members: Iterable<string>, key: string): string | undefined {
  let best: string | undefined;
  let highest = -1;
  for (const member of members) {
    const own = score(member, key);
    if (own > highest || (own === highest && best !== undefined && compare(member, best) < 0)) {
      best = member;
      highest = own;
    }
  }
  return best;
}

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

/** 32-bit FNV-1a of member and key, then MurmurHash3's finaliser: FNV alone spreads members with like names unevenly. */
function score(member: string, key: string): number {
  let hash = 0x811c9dc5;
  // The separator is in no name, so that ("ab", "c") and ("a", "bc") differ.
  const text = `${member}\n${key}`;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
