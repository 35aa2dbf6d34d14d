// Certificates and keys of a control plane on loopback: one certificate authority, a key pair for each component, and a key pair that signs ServiceAccount tokens.
// openssl makes them, so that the control plane shares no code with the product that is tested on it.
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

export interface KeyPairFiles {
  readonly certificate: string
  readonly key: string
}

export interface ControlPlaneKeys {
  readonly authority: KeyPairFiles
  readonly apiServer: KeyPairFiles
  readonly controllerManager: KeyPairFiles
  /** A member of `system:masters`: RBAC does not bind it. */
  readonly admin: KeyPairFiles
  readonly serviceAccountKey: string
  readonly serviceAccountPublicKey: string
}

const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-noenc']
/** The control plane lives for minutes; a certificate that outlives the day has no use. */
const validity = ['-days', '1']

/** Writes all files into `folder`, which nobody else may read. */
export async function makeControlPlaneKeys(folder: string): Promise<ControlPlaneKeys> {
  const pair = (name: string): KeyPairFiles => ({ certificate: join(folder, `${name}.crt`), key: join(folder, `${name}.key`) })
  const authority = pair('ca')
  await openssl([
    'req',
    '-x509',
    ...newKey,
    ...validity,
    '-subj',
    '/CN=control-plane-test-ca',
    '-addext',
    'keyUsage=critical,keyCertSign,cRLSign',
    ...out(authority),
  ])

  const issue = async (name: string, subject: string, extensions: readonly string[]): Promise<KeyPairFiles> => {
    const files = pair(name)
    const added = ['basicConstraints=critical,CA:FALSE', 'keyUsage=critical,digitalSignature', ...extensions].flatMap((text) => [
      '-addext',
      text,
    ])
    const signer = ['-CA', authority.certificate, '-CAkey', authority.key]
    await openssl(['req', '-x509', ...newKey, ...validity, ...signer, '-subj', subject, ...added, ...out(files)])
    return files
  }
  const client = ['extendedKeyUsage=clientAuth']
  const apiServerNames = 'subjectAltName=IP:127.0.0.1,DNS:localhost,DNS:kubernetes,DNS:kubernetes.default.svc'
  const serviceAccountKey = join(folder, 'service-account.key')
  const serviceAccountPublicKey = join(folder, 'service-account.pub')
  await openssl(['ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', serviceAccountKey])
  await openssl(['ec', '-in', serviceAccountKey, '-pubout', '-out', serviceAccountPublicKey])
  return {
    authority,
    apiServer: await issue('apiserver', '/CN=kube-apiserver', ['extendedKeyUsage=serverAuth', apiServerNames]),
    controllerManager: await issue('controller-manager', '/CN=system:kube-controller-manager', client),
    admin: await issue('admin', '/O=system:masters/CN=control-plane-test-admin', client),
    serviceAccountKey,
    serviceAccountPublicKey,
  }
}

function out({ certificate, key }: KeyPairFiles): readonly string[] {
  return ['-out', certificate, '-keyout', key]
}

async function openssl(args: readonly string[]): Promise<void> {
  try {
    await run('openssl', args)
  } catch (cause) {
    const missing = cause instanceof Error && 'code' in cause && cause.code === 'ENOENT'
    throw new Error(missing ? 'openssl 3 is not on PATH: it makes the certificates of the control plane' : `openssl ${args[0]} failed`, {
      cause,
    })
  }
}
