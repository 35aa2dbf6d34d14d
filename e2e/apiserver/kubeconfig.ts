// A kubeconfig file for one identity, written as JSON (which is YAML).
import { writeFile } from 'node:fs/promises'
import type { KeyPairFiles } from './control-plane-keys.ts'

export interface KubeconfigTarget {
  /** `https://127.0.0.1:PORT` */
  readonly server: string
  /** Path of the PEM file that holds the API server's authority. */
  readonly authorityFile: string
}

export type KubeconfigIdentity =
  | { readonly kind: 'certificate'; readonly files: KeyPairFiles }
  | { readonly kind: 'token'; readonly token: string }

/** Writes `file` with mode 0600: it may hold a token. */
export async function writeKubeconfig(file: string, target: KubeconfigTarget, identity: KubeconfigIdentity): Promise<void> {
  const name = 'control-plane'
  const document = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name, cluster: { server: target.server, 'certificate-authority': target.authorityFile } }],
    users: [{ name, user: userOf(identity) }],
    contexts: [{ name, context: { cluster: name, user: name } }],
    'current-context': name,
  }
  await writeFile(file, JSON.stringify(document, undefined, 2), { mode: 0o600 })
}

function userOf(identity: KubeconfigIdentity): Readonly<Record<string, string>> {
  if (identity.kind === 'token') return { token: identity.token }
  return { 'client-certificate': identity.files.certificate, 'client-key': identity.files.key }
}
