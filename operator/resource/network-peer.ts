// Who may reach the API port: the peers of a Kubernetes NetworkPolicy (networking.k8s.io/v1), in the same shape, so that what is known about them holds here.
import { isIP } from 'node:net'
import { z } from 'zod'
import { withRule } from './validation-rule.ts'

// Longest label key: a DNS subdomain of 253 characters, a slash and a name of 63.
const labelKeyMax = 317
const labelValue = z.string().max(63)
// Selectors longer than this are a mistake, and an unbounded map makes the cost of the CEL rules unbounded.
const selectorTermsMax = 16
const ipBlockExceptionsMax = 32
// "255.255.255.255/32" is the longest IPv4 form; 49 characters hold every IPv6 form with its prefix length.
const cidrMax = 49

const labelKey = z.string().min(1).max(labelKeyMax)
const matchExpression = z.strictObject({
  key: labelKey.describe('The label that the requirement is about.'),
  operator: z.enum(['In', 'NotIn', 'Exists', 'DoesNotExist']).describe('How the label relates to the values.'),
  values: z
    .array(labelValue)
    .max(selectorTermsMax)
    .optional()
    .meta({ 'x-kubernetes-list-type': 'atomic' })
    .describe('Values for In and NotIn; absent for Exists and DoesNotExist.'),
})

function labelSelector(description: string) {
  return z
    .strictObject({
      matchLabels: z
        .record(z.string(), labelValue)
        .optional()
        .meta({ maxProperties: selectorTermsMax })
        .describe('Labels that must all be present with these values.'),
      matchExpressions: z
        .array(matchExpression)
        .max(selectorTermsMax)
        .optional()
        .describe('Requirements that must all hold.')
        .meta({ 'x-kubernetes-list-type': 'atomic' }),
    })
    .meta({ 'x-kubernetes-map-type': 'atomic' })
    .describe(description)
}

const cidr = withRule(
  z.string().max(cidrMax).describe('An IPv4 or IPv6 network such as 10.20.0.0/16.'),
  { rule: 'isCIDR(self)', message: 'must be a network in CIDR form, such as 10.20.0.0/16' },
  isCidr,
)

function isCidr(text: string): boolean {
  const [address = '', prefix = '', ...rest] = text.split('/')
  const family = isIP(address)
  if (family === 0 || rest.length > 0 || !/^(0|[1-9][0-9]{0,2})$/.test(prefix)) return false
  return Number(prefix) <= (family === 4 ? 32 : 128)
}

const ipBlock = z
  .strictObject({
    cidr,
    except: z
      .array(cidr)
      .max(ipBlockExceptionsMax)
      .optional()
      .describe('Networks inside of `cidr` that are left out.')
      .meta({ 'x-kubernetes-list-type': 'atomic' }),
  })
  .describe('Clients outside of the cluster, by address. May not be combined with selectors.')

/** One peer. An empty peer is refused: in a NetworkPolicy, absence means "everyone", and nobody may come to that by accident. */
export const networkPeer = withRule(
  z.strictObject({
    podSelector: labelSelector(
      'Pods by label: in the namespace of the cluster, or with namespaceSelector in the namespaces that it selects. `{}` selects all pods there.',
    ).optional(),
    namespaceSelector: labelSelector(
      'Namespaces by label. Together with podSelector in one peer, both must hold. `{}` selects all namespaces.',
    ).optional(),
    ipBlock: ipBlock.optional(),
  }),
  {
    rule: 'has(self.ipBlock) ? !has(self.podSelector) && !has(self.namespaceSelector) : has(self.podSelector) || has(self.namespaceSelector)',
    message: 'name either ipBlock alone, or podSelector, namespaceSelector or both',
  },
  (peer) =>
    peer.ipBlock === undefined
      ? peer.podSelector !== undefined || peer.namespaceSelector !== undefined
      : peer.podSelector === undefined && peer.namespaceSelector === undefined,
)

export type NetworkPeer = z.output<typeof networkPeer>
