// A self-signed certificate for 127.0.0.1, for tests that need a real TLS server in the same process. It never leaves the test.
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface LoopbackCertificate {
  readonly certPem: string
  readonly keyPem: string
}

/** Found on PATH; the tests of the seed documents' recipe need it too. */
const program = 'openssl'
const request =
  'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=loopback -addext subjectAltName=IP:127.0.0.1'

export function loopbackCertificate(): LoopbackCertificate {
  const directory = mkdtempSync(join(tmpdir(), 'securesql-loopback-'))
  try {
    execFileSync(program, [...request.split(' '), '-keyout', 'key.pem', '-out', 'cert.pem'], { cwd: directory, stdio: 'ignore' })
    return { certPem: readFileSync(join(directory, 'cert.pem'), 'utf8'), keyPem: readFileSync(join(directory, 'key.pem'), 'utf8') }
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}
