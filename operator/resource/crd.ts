// The CustomResourceDefinition, made from the schema.
import { stringify } from 'yaml'
import { z } from 'zod'
import { clusterSpec } from './cluster-schema.ts'
import { clusterStatus } from './cluster-status.ts'
import { clusterNameMax, clusterNamePattern, clusterNameTaken, clusterNameTakenMessage } from './parse-cluster.ts'
import { clusterKind } from './resource-kind.ts'
import { structuralSchema } from './structural-schema.ts'
import { validationsKey } from './validation-rule.ts'

export const crdName = `${clusterKind.plural}.${clusterKind.group}`

const heading = `# Generated from operator/resource by \`npm run crds\`; do not edit. \`npm run crds -- --check\` says whether it is up to date.\n`

function openApi(schema: z.ZodType): Readonly<Record<string, unknown>> {
  return structuralSchema(z.toJSONSchema(schema, { target: 'openapi-3.0', io: 'input' }))
}

export function customResourceDefinition() {
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: crdName, labels: { 'app.kubernetes.io/name': 'securesql', 'app.kubernetes.io/part-of': 'securesql' } },
    spec: {
      group: clusterKind.group,
      scope: 'Namespaced',
      names: {
        kind: clusterKind.kind,
        listKind: `${clusterKind.kind}List`,
        plural: clusterKind.plural,
        singular: clusterKind.singular,
        shortNames: [clusterKind.shortName],
      },
      versions: [
        {
          name: clusterKind.version,
          served: true,
          storage: true,
          subresources: {
            status: {},
            scale: { specReplicasPath: '.spec.replicas', statusReplicasPath: '.status.replicas', labelSelectorPath: '.status.selector' },
          },
          additionalPrinterColumns: printerColumns,
          schema: { openAPIV3Schema: rootSchema() },
        },
      ],
    },
  }
}

const printerColumns = [
  { name: 'Ready', type: 'string', jsonPath: '.status.conditions[?(@.type=="Ready")].status', description: 'Whether clients are served.' },
  { name: 'Replicas', type: 'integer', jsonPath: '.spec.replicas', description: 'Voting members wanted.' },
  { name: 'Leader', type: 'string', jsonPath: '.status.leader', description: 'The member that leads.' },
  { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' },
  { name: 'Endpoint', type: 'string', jsonPath: '.status.endpoint', priority: 1 },
  {
    // Not a date: that column shows ages, and the future as <invalid>.
    name: 'Cert-Expiry',
    type: 'string',
    jsonPath: '.status.certificates.expiresAt',
    priority: 1,
    description: 'When the first leaf certificate expires.',
  },
]

function rootSchema() {
  return {
    type: 'object',
    description: 'A replicated SQLite cluster: encrypted and authenticated on every port, closed to everyone who is not named.',
    required: ['spec'],
    properties: {
      apiVersion: { type: 'string' },
      kind: { type: 'string' },
      metadata: { type: 'object' },
      spec: openApi(clusterSpec),
      status: openApi(clusterStatus),
    },
    [validationsKey]: [
      {
        rule: `self.metadata.name.size() <= ${clusterNameMax} && self.metadata.name.matches('${clusterNamePattern.source}')`,
        message: `metadata.name must begin with a letter, hold only lower-case letters, digits and -, and have at most ${clusterNameMax} characters: Services and pods are named after it`,
      },
      { rule: `!self.metadata.name.matches('${clusterNameTaken.source}')`, message: `metadata.name ${clusterNameTakenMessage}` },
    ],
  }
}

/** The file as it is written: one document, no anchors, long lines kept so that `git diff` shows what changed. */
export function customResourceDefinitionYaml(): string {
  return heading + stringify(customResourceDefinition(), { lineWidth: 0, aliasDuplicateObjects: false })
}
