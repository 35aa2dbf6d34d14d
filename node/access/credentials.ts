// The `Authorization` header, read strictly (RFC 7617): what is not exactly Basic with a clean base64 of clean UTF-8 names nobody.
import { credentialBytesMax } from '../../contract/access-file.ts'

export type PresentedCredentials =
  | { readonly kind: 'none' }
  | { readonly kind: 'malformed' }
  | { readonly kind: 'basic'; readonly username: string; readonly password: string }

// The scheme is case-insensitive (RFC 9110 §11.1); the alphabet and padding of RFC 4648 §4 are not negotiable: Buffer would skip what it does not know.
const basic = /^basic +([A-Za-z0-9+/]+={0,2})$/i
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

export function parseCredentials(header: string | undefined): PresentedCredentials {
  if (header === undefined) return { kind: 'none' }
  const encoded = basic.exec(header)?.[1]
  if (encoded === undefined || encoded.length % 4 !== 0 || encoded.length > 4 * credentialBytesMax) return { kind: 'malformed' }
  const pair = decode(Buffer.from(encoded, 'base64'))
  // The first colon separates: a password may hold more of them, a user-id none (RFC 7617 §2).
  const colon = pair?.indexOf(':') ?? -1
  if (pair === undefined || colon < 1) return { kind: 'malformed' }
  const username = pair.slice(0, colon)
  const password = pair.slice(colon + 1)
  if (Buffer.byteLength(username) > credentialBytesMax || Buffer.byteLength(password) > credentialBytesMax) return { kind: 'malformed' }
  return { kind: 'basic', username, password }
}

// Control characters are forbidden in both parts, and NUL would be dangerous: bcrypt repeats the password with a NUL between,
// so that "secret\0secret" has the hash of "secret".
function decode(bytes: Uint8Array): string | undefined {
  try {
    const text = decoder.decode(bytes)
    // oxlint-disable-next-line no-control-regex -- control characters are what it looks for
    return /[\u0000-\u001f\u007f]/.test(text) ? undefined : text
  } catch {
    return undefined
  }
}
