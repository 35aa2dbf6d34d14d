// Which certificates to make. PURE: facts about what is there, and the time, in; actions out.
import { isIP } from 'node:net'
import { certificateFacts, isKeyOf, isSignedBy } from '../credentials/certificate-facts.ts'
import type { CertificateFacts } from '../credentials/certificate-facts.ts'
import type { Authority } from '../credentials/credentials.ts'
import { apiCertificateNames, nodeCertificateNames } from '../desired/certificate-names.ts'
import type { CertificateNames } from '../desired/certificate-names.ts'
import type { Installation } from '../desired/installation.ts'
import type { PemPair } from '../desired/material.ts'
import { names } from '../resource/names.ts'
import type { Observation } from './observation.ts'
import type { Action, LeafReason, Problem } from './plan-action.ts'
import { secretPair, secretText } from './secret-text.ts'

/** A CA with less than this left is reported: within it, leaves begin to be cut short. */
const caWarningMs = 120 * 24 * 60 * 60 * 1000
// Two thirds of a life, as cert-manager does: a third is left to notice that renewal fails.
const renewAfter = 2 / 3

/** One authority's certificates: what is usable now, what to do, what is wrong. */
export interface CertificatePlan {
  readonly ca: PemPair | undefined
  readonly caExpiresAtMs: number | undefined
  /** The leaf that stays, with the bundle that stands beside it. Absent while one must be issued. */
  readonly leaf: { readonly pair: PemPair; readonly caPem: string } | undefined
  readonly leafExpiresAtMs: number | undefined
  /** At most one: a leaf is issued in the pass after its CA was written. */
  readonly action: Action | undefined
  readonly problem: Problem | undefined
}

export function planCertificates(
  observation: Observation,
  authority: Authority,
  installation: Installation,
  nowMs: number,
): CertificatePlan {
  const seen = see(observation, authority)
  if (seen.ca === undefined) return withoutCa(seen, authority)
  if (isReplaced(seen, seen.ca, nowMs)) return withoutUsableCa(seen, { code: 'CertificateAuthorityReplaced', secret: seen.caSecret })
  if (seen.caFacts === undefined || nowMs < seen.caFacts.notBeforeMs || nowMs >= seen.caFacts.notAfterMs)
    return withoutUsableCa(seen, { code: 'CertificateAuthorityInvalid', secret: seen.caSecret })
  const wanted =
    authority === 'client'
      ? apiCertificateNames(observation.cluster, installation)
      : nodeCertificateNames(observation.cluster, installation)
  const because = leafReason(seen, seen.ca, wanted, nowMs)
  const expiring = seen.caFacts !== undefined && seen.caFacts.notAfterMs - nowMs < caWarningMs
  return {
    ca: seen.ca,
    caExpiresAtMs: seen.caFacts?.notAfterMs,
    leaf: because === undefined && seen.leaf !== undefined ? { pair: seen.leaf, caPem: seen.ca.certificatePem } : undefined,
    leafExpiresAtMs: seen.leafFacts?.notAfterMs,
    action: because === undefined ? undefined : { kind: 'issue-leaf', authority, ca: seen.ca, names: wanted, because },
    problem: expiring
      ? { code: 'CertificateAuthorityExpiring', secret: seen.caSecret, expiresAtMs: seen.caFacts?.notAfterMs ?? nowMs }
      : undefined,
  }
}

interface Seen {
  readonly caSecret: string
  readonly ca: PemPair | undefined
  readonly caFacts: CertificateFacts | undefined
  readonly leaf: PemPair | undefined
  readonly leafFacts: CertificateFacts | undefined
  /** What members trust now. */
  readonly bundle: string | undefined
}

function see({ cluster, objects }: Observation, authority: Authority): Seen {
  const [caSecret, leafSecret] =
    authority === 'client' ? [names.clientCa(cluster), names.apiTls(cluster)] : [names.nodeCa(cluster), names.nodeTls(cluster)]
  const ca = usablePair(secretPair(objects.get(`Secret ${caSecret}`)))
  const leaf = secretPair(objects.get(`Secret ${leafSecret}`))
  return {
    caSecret,
    ca,
    caFacts: ca === undefined ? undefined : certificateFacts(ca.certificatePem),
    leaf,
    leafFacts: leaf === undefined ? undefined : certificateFacts(leaf.certificatePem),
    bundle: secretText(objects.get(`Secret ${leafSecret}`), 'ca.crt'),
  }
}

function usablePair(pair: PemPair | undefined): PemPair | undefined {
  return pair !== undefined && isKeyOf(pair.keyPem, pair.certificatePem) ? pair : undefined
}

/** Another CA than the one that signed the leaf in use and is trusted beside it: taking it would part members from each other, one renewal at a time. */
function isReplaced({ leaf, leafFacts, bundle }: Seen, ca: PemPair, nowMs: number): boolean {
  if (leaf === undefined || leafFacts === undefined || bundle === undefined || nowMs >= leafFacts.notAfterMs) return false
  return isSignedBy(leaf.certificatePem, bundle) && !isSignedBy(leaf.certificatePem, ca.certificatePem)
}

/** Nothing is issued and what is in use stays, whoever signed it. */
function withoutUsableCa(seen: Seen, problem: Problem): CertificatePlan {
  return {
    ca: undefined,
    caExpiresAtMs: undefined,
    leaf: seen.leaf !== undefined && seen.bundle !== undefined ? { pair: seen.leaf, caPem: seen.bundle } : undefined,
    leafExpiresAtMs: seen.leafFacts?.notAfterMs,
    action: undefined,
    problem,
  }
}

/** A new CA while leaves of the old one are in use would part members from each other and clients from all of them; a person must decide that. */
function withoutCa(seen: Seen, authority: Authority): CertificatePlan {
  const plan = withoutUsableCa(seen, { code: 'CertificateAuthorityMissing', secret: seen.caSecret })
  return plan.leaf !== undefined ? plan : { ...plan, action: { kind: 'issue-ca', authority }, problem: undefined }
}

function leafReason({ leaf, leafFacts, caFacts }: Seen, ca: PemPair, wanted: CertificateNames, nowMs: number): LeafReason | undefined {
  if (leaf === undefined) return 'absent'
  if (leafFacts === undefined || !isKeyOf(leaf.keyPem, leaf.certificatePem)) return 'unreadable'
  if (!isSignedBy(leaf.certificatePem, ca.certificatePem)) return 'other-ca'
  if (!sameNames(leafFacts, wanted)) return 'names-changed'
  // Made while a clock was ahead: members whose clock is right refuse it.
  if (nowMs < leafFacts.notBeforeMs) return 'not-yet-valid'
  // It ends with its CA: a new one would not live longer.
  if (caFacts !== undefined && leafFacts.notAfterMs >= caFacts.notAfterMs) return undefined
  const lifeMs = leafFacts.notAfterMs - leafFacts.notBeforeMs
  return nowMs >= leafFacts.notBeforeMs + lifeMs * renewAfter ? 'renewal-due' : undefined
}

function sameNames(facts: CertificateNames, wanted: CertificateNames): boolean {
  return namesText(facts) === namesText(wanted)
}

// An IPv6 address has many spellings, and the certificate's reader has its own.
function canonical(address: string): string {
  return isIP(address) === 6 ? new URL(`https://[${address}]`).hostname : address
}

function namesText(list: CertificateNames): string {
  return JSON.stringify([[...list.dnsNames].sort(), list.ipAddresses.map(canonical).sort()])
}
