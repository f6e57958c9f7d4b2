/** Key segments begin with a letter or digit: no `.`, no `..`, no hidden file, no empty segment. */
const keyPattern = /^[A-Za-z0-9][A-Za-z0-9._=-]{0,199}(\/[A-Za-z0-9][A-Za-z0-9._=-]{0,199}){0,9}$/

/** A key that names the same thing in every store: below its folder or prefix, and nothing else. Throws TypeError. */
export function checkKey(key: string): string {
  if (!keyPattern.test(key)) throw new TypeError(`not an object key: ${JSON.stringify(key.slice(0, 100))}`)
  return key
}
