/**
 * Whether an object is already as it is wanted, so that nothing has to be written.
 * @returns true when every field of `desired` is in `actual` with the same value. Maps may hold more (others own that), lists may
 * not, and an empty list or map equals one that is absent, as the API server leaves them out.
 */
export function matches(desired: unknown, actual: unknown): boolean {
  if (isEmpty(desired)) return isEmpty(actual);
  if (Array.isArray(desired))
    return Array.isArray(actual) && desired.length === actual.length && desired.every((item, index) => matches(item, actual[index]));
  if (isRecord(desired)) return isRecord(actual) && Object.entries(desired).every(([key, value]) => matches(value, actual[key]));
  return desired === actual;
}

/** {@link matches} in both directions: nothing is missing and nothing is there besides. */
export function isSame(a: unknown, b: unknown): boolean {
  return matches(a, b) && matches(b, a);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isEmpty(value: unknown): boolean {
  if (value === undefined || value === null) return true;
  if (Array.isArray(value)) return value.length === 0;
  return isRecord(value) && Object.keys(value).length === 0;
}
