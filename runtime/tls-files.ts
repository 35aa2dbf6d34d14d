// Certificates and keys as files: read with care, watched, swapped without a restart.
//
// A key that others can read is no secret, so it is refused. One exception: Kubernetes gives the files of a Secret volume with `fsGroup` the mode 0440 and the
// owner root:<fsGroup>, and no pod can change that. So a key may be readable by its group when its owner is root, the group is one of this process's own, nobody
// may write to it but its owner, and others have no rights at all. Everywhere else only the owner may read it.
//
// Watching is polling: a Secret volume is changed by swapping the symbolic link `..data`, which fs.watch misses or reports in part. What counts is the file that the
// path leads to in the end (its real path, inode, size and times). A new state that cannot be used is reported once and the last good one stays.
import { createHash, createPrivateKey, X509Certificate } from 'node:crypto'
import { closeSync, fstatSync, openSync, readFileSync, readSync, realpathSync, statSync } from 'node:fs'
import { getegid, getgroups } from 'node:process'
import { fail, ok, type Result } from './result.ts'

export interface TlsFilePaths {
  readonly certificate: string
  readonly key: string
  /** Absent: no own CA was named. */
  readonly ca?: string | undefined
}

export interface TlsMaterial {
  /** The leaf and any intermediates, PEM. */
  readonly certificate: string
  /** PEM. Never logged. */
  readonly key: string
  /** One or more CA certificates, PEM. */
  readonly ca: string | undefined
  readonly leaf: X509Certificate
  /** The certificates in `ca`; empty when there is none. */
  readonly caCertificates: readonly X509Certificate[]
  /** Differs when any of the three differs. */
  readonly fingerprint: string
}

/** The message names the path and what to do; never a key's contents. */
export interface TlsFilesProblem {
  readonly code: 'key_readable_by_others' | 'key_unreadable' | 'certificate_unreadable' | 'ca_unreadable' | 'key_does_not_match'
  readonly path: string
  readonly message: string
}

/** Who this process is, as far as the rights of files go. */
export interface FileReader {
  readonly groups: readonly number[]
}

/** A certificate chain or a CA bundle is a few kilobytes; the system's whole bundle is a quarter of a megabyte. */
const fileBytesMax = 1024 * 1024
// Three files are read one after another; a swap in between gives a pair that does not match, and the next reading is of one state again.
const readingsMax = 3

export function loadTlsFiles(paths: TlsFilePaths, reader: FileReader = thisProcess()): Result<TlsMaterial, TlsFilesProblem> {
  let loaded = readAll(paths, reader)
  for (let reading = 1; reading < readingsMax; reading += 1) {
    if (loaded.ok || loaded.problem.code !== 'key_does_not_match') return loaded
    loaded = readAll(paths, reader)
  }
  return loaded
}

export interface WatchOptions {
  readonly paths: TlsFilePaths
  /** What is in force now. */
  readonly initial: TlsMaterial
  /** Starts calling the given function again and again; what it returns ends that. */
  readonly every: (callback: () => void) => () => void
  /** Once for each state of the files that cannot be used; the last good one stays in force. */
  readonly onProblem: (problem: TlsFilesProblem) => void
  readonly reader?: FileReader
}

/** Follows the files and tells its listeners when something usable and different stands in them. */
export class WatchedTlsFiles {
  readonly #options: WatchOptions
  readonly #listeners = new Set<(material: TlsMaterial) => void>()
  readonly #stop: () => void
  #current: TlsMaterial
  #seen = ''

  constructor(options: WatchOptions) {
    this.#options = options
    this.#current = options.initial
    this.#stop = options.every(() => this.check())
  }

  get current(): TlsMaterial {
    return this.#current
  }

  /** Listeners are called with the new material, in order of asking; the returned function ends it. */
  onChange(listener: (material: TlsMaterial) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Looks now instead of at the next turn. */
  check(): void {
    const seen = signature(this.#options.paths)
    if (seen === this.#seen) return
    const loaded = loadTlsFiles(this.#options.paths, this.#options.reader)
    // Remembered as it was before the reading: had it changed meanwhile, the next look sees that.
    this.#seen = seen
    if (!loaded.ok) return this.#options.onProblem(loaded.problem)
    if (loaded.value.fingerprint === this.#current.fingerprint) return
    this.#current = loaded.value
    for (const listener of this.#listeners) listener(loaded.value)
  }

  close(): void {
    this.#stop()
    this.#listeners.clear()
  }
}

function readAll(paths: TlsFilePaths, reader: FileReader): Result<TlsMaterial, TlsFilesProblem> {
  const key = readKey(paths.key, reader)
  if (!key.ok) return key
  const certificate = readText(paths.certificate, 'certificate_unreadable')
  if (!certificate.ok) return certificate
  const ca = paths.ca === undefined ? ok(undefined) : readText(paths.ca, 'ca_unreadable')
  if (!ca.ok) return ca
  return check(paths, { key: key.value, certificate: certificate.value, ca: ca.value })
}

function check(
  paths: TlsFilePaths,
  texts: { readonly key: string; readonly certificate: string; readonly ca: string | undefined },
): Result<TlsMaterial, TlsFilesProblem> {
  const chain = parseCertificates(texts.certificate)
  const leaf = chain?.[0]
  if (leaf === undefined) return problem('certificate_unreadable', paths.certificate, 'holds no PEM certificate that can be read')
  const caCertificates = texts.ca === undefined ? [] : parseCertificates(texts.ca)
  if (caCertificates === undefined || (texts.ca !== undefined && caCertificates.length === 0))
    return problem('ca_unreadable', paths.ca ?? '', 'holds no PEM certificates that can be read')
  const privateKey = parseKey(texts.key)
  if (privateKey === undefined) return problem('key_unreadable', paths.key, 'holds no PEM private key without a passphrase')
  if (!leaf.checkPrivateKey(privateKey))
    return problem('key_does_not_match', paths.key, `is not the key of the certificate in ${paths.certificate}`)
  const hash = createHash('sha256')
  for (const text of [texts.certificate, texts.key, texts.ca ?? '']) hash.update(`${text.length}:`).update(text)
  return ok({ ...texts, leaf, caCertificates, fingerprint: hash.digest('hex') })
}

/** Opened once: the rights that are checked are those of the file that is read. */
function readKey(path: string, reader: FileReader): Result<string, TlsFilesProblem> {
  let file: number
  try {
    file = openSync(path, 'r')
  } catch (error) {
    return problem('key_unreadable', path, reason(error))
  }
  try {
    const { mode, uid, gid, size } = fstatSync(file)
    if (!isPrivate({ mode, uid, gid }, reader))
      return problem('key_readable_by_others', path, `has mode 0${(mode & 0o777).toString(8)}; chmod 600 it`)
    if (size > fileBytesMax) return problem('key_unreadable', path, `is larger than ${fileBytesMax} bytes`)
    const bytes = Buffer.alloc(size)
    const read = readSync(file, bytes, 0, size, 0)
    return ok(bytes.toString('latin1', 0, read))
  } catch (error) {
    return problem('key_unreadable', path, reason(error))
  } finally {
    closeSync(file)
  }
}

/** The rule at the head of this file. */
export function isPrivate(file: { readonly mode: number; readonly uid: number; readonly gid: number }, reader: FileReader): boolean {
  if ((file.mode & 0o077) === 0) return true
  const groupMayOnlyRead = (file.mode & 0o077) === 0o040
  return groupMayOnlyRead && file.uid === 0 && reader.groups.includes(file.gid)
}

function readText(path: string, code: 'certificate_unreadable' | 'ca_unreadable'): Result<string, TlsFilesProblem> {
  try {
    if (statSync(path).size > fileBytesMax) return problem(code, path, `is larger than ${fileBytesMax} bytes`)
    return ok(readFileSync(path, 'latin1'))
  } catch (error) {
    return problem(code, path, reason(error))
  }
}

const pemCertificate = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g

/** Undefined: one of them cannot be read. */
export function parseCertificates(pem: string): readonly X509Certificate[] | undefined {
  try {
    return (pem.match(pemCertificate) ?? []).map((block) => new X509Certificate(block))
  } catch {
    // OpenSSL refuses what is not a certificate; which rule it broke helps nobody.
    return undefined
  }
}

function parseKey(pem: string): ReturnType<typeof createPrivateKey> | undefined {
  try {
    return createPrivateKey(pem)
  } catch {
    // Not a key, or one with a passphrase. OpenSSL's words may quote the input, so they are dropped.
    return undefined
  }
}

function signature(paths: TlsFilePaths): string {
  return [paths.certificate, paths.key, paths.ca].map((path) => (path === undefined ? '' : signatureOf(path))).join('|')
}

function signatureOf(path: string): string {
  try {
    const { ino, size, mtimeMs, ctimeMs } = statSync(path)
    return `${realpathSync(path)} ${ino} ${size} ${mtimeMs} ${ctimeMs}`
  } catch (error) {
    return reason(error)
  }
}

function thisProcess(): FileReader {
  // Absent on Windows, where modes mean nothing: there every key passes as one that its owner alone can read.
  return { groups: [...(getgroups?.() ?? []), getegid?.() ?? 0] }
}

function problem(code: TlsFilesProblem['code'], path: string, text: string): { readonly ok: false; readonly problem: TlsFilesProblem } {
  return fail({ code, path, message: `${path} ${text}` })
}

function reason(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error'
  return `cannot be read (${code})`
}
