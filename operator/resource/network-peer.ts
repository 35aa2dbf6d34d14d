// Who may reach the API port: the peers of a Kubernetes NetworkPolicy (networking.k8s.io/v1), in the same shape, so that what is known about them holds here.
import { BlockList, isIP } from 'node:net'
import { z } from 'zod'
import { withRule } from './validation-rule.ts'
import { withoutEmpty } from './without-empty.ts'

// Longest label key: a DNS subdomain of 253 characters, a slash and a name of 63.
const labelKeyMax = 317
// What the API server would refuse of a label is refused here: a policy that cannot be written would hold up everything that comes after it.
// kubernetes.io, "Labels and Selectors", syntax and character set.
const labelKeyPattern =
  /^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/
const labelPrefixMax = 253
const labelValue = z
  .string()
  .max(63)
  .regex(/^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$/, { error: 'must be a label value: letters, digits, -, _ and .' })
// Selectors longer than this are a mistake, and an unbounded map makes the cost of the CEL rules unbounded.
const selectorTermsMax = 16
const ipBlockExceptionsMax = 32
// "255.255.255.255/32" is the longest IPv4 form; 49 characters hold every IPv6 form with its prefix length.
const cidrMax = 49

const labelKey = z
  .string()
  .min(1)
  .max(labelKeyMax)
  .regex(labelKeyPattern, { error: 'must be a label key, such as app or example.com/team' })
  .refine((key) => key.lastIndexOf('/') <= labelPrefixMax, { error: 'the part before the / is too long' })
const matchExpression = withRule(
  z.strictObject({
    key: labelKey.describe('The label that the requirement is about.'),
    operator: z.enum(['In', 'NotIn', 'Exists', 'DoesNotExist']).describe('How the label relates to the values.'),
    values: z
      .array(labelValue)
      .max(selectorTermsMax)
      .optional()
      .meta({ 'x-kubernetes-list-type': 'atomic' })
      .describe('Values for In and NotIn; absent for Exists and DoesNotExist.'),
  }),
  {
    rule: "(self.operator == 'In' || self.operator == 'NotIn') == (has(self.values) && self.values.size() > 0)",
    message: 'In and NotIn need values, Exists and DoesNotExist take none',
  },
  ({ operator, values = [] }) => (operator === 'In' || operator === 'NotIn') === values.length > 0,
)

function labelSelector(description: string) {
  return z
    .strictObject({
      matchLabels: z
        .record(z.string(), labelValue)
        // Not as CEL: keys of a map have no limit of length in a schema, which makes every rule over them too dear.
        .superRefine((labels, context) => {
          for (const key of Object.keys(labels))
            if (!labelKey.safeParse(key).success) context.addIssue({ code: 'custom', path: [key], message: 'must have a label key' })
        })
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

/** A policy's exception must be a part of its network, and not all of it. Only here: CEL over every pair would be too dear. */
function isPartOf(part: string, whole: string): boolean {
  const [[address = '', prefix], [network = '', wholePrefix]] = [part.split('/'), whole.split('/')]
  const family = isIP(network) === 6 ? 'ipv6' : 'ipv4'
  if (isIP(address) !== isIP(network) || Number(prefix) <= Number(wholePrefix)) return false
  const list = new BlockList()
  list.addSubnet(network, Number(wholePrefix), family)
  return list.check(address, family)
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
  .refine((block) => (block.except ?? []).every((part) => isPartOf(part, block.cidr)), {
    path: ['except'],
    error: 'must be parts of cidr, smaller than it',
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
type LabelSelector = NonNullable<NetworkPeer['podSelector']>

/** The peer as the API server stores it: without empty lists and maps. An empty selector stays, since it means "all". */
export function storedPeer({ podSelector, namespaceSelector, ipBlock: block }: NetworkPeer): NetworkPeer {
  return {
    ...(podSelector === undefined ? {} : { podSelector: storedSelector(podSelector) }),
    ...(namespaceSelector === undefined ? {} : { namespaceSelector: storedSelector(namespaceSelector) }),
    ...(block === undefined ? {} : { ipBlock: withoutEmpty(block) }),
  }
}

function storedSelector(selector: LabelSelector): LabelSelector {
  const { matchExpressions, ...rest } = selector
  return withoutEmpty(matchExpressions === undefined ? rest : { ...rest, matchExpressions: matchExpressions.map(withoutEmpty) })
}
