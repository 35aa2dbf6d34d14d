// Reading Secrets back: base64 in, text out, undefined for what is not there.
import type { PemPair } from '../desired/material.ts'
import type { KubeObject } from '../kube/kube.ts'

/** The text under `key`; undefined when the Secret has no such key or its value is not UTF-8 (Secrets may hold any bytes). */
export function secretText(secret: KubeObject | undefined, key: string): string | undefined {
  const data = secret?.['data']
  if (typeof data !== 'object' || data === null || !Object.hasOwn(data, key)) return undefined
  const value: unknown = Object.entries(data).find(([name]) => name === key)?.[1]
  if (typeof value !== 'string') return undefined
  const bytes = Buffer.from(value, 'base64')
  const text = bytes.toString('utf8')
  return Buffer.from(text, 'utf8').equals(bytes) ? text : undefined
}

/** Certificate and key of a kubernetes.io/tls Secret. */
export function secretPair(secret: KubeObject | undefined): PemPair | undefined {
  const [certificatePem, keyPem] = [secretText(secret, 'tls.crt'), secretText(secret, 'tls.key')]
  return certificatePem === undefined || keyPem === undefined ? undefined : { certificatePem, keyPem }
}

/** Which version of which Secret, and which key of it. */
export function secretSource(secret: KubeObject, key: string): string {
  return `${secret.metadata.uid ?? ''}/${secret.metadata.resourceVersion ?? ''}/${key}`
}
