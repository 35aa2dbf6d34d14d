import { podLayout } from '../../contract/admin-api.ts'
import type { Cluster } from '../resource/cluster.ts'
import type { Installation } from './installation.ts'
import { nodeArguments } from './node-arguments.ts'

/** Where each volume of the pod is mounted; `stateful-set.ts` says what they are. */
export const volumeMounts = [
  { name: 'data', mountPath: podLayout.dataDir },
  { name: 'api-tls', mountPath: podLayout.httpTlsDir, readOnly: true },
  { name: 'node-tls', mountPath: podLayout.nodeTlsDir, readOnly: true },
  { name: 'access', mountPath: podLayout.accessDir, readOnly: true },
  // SQLite spills sorts and temporary tables here; everything else is read-only.
  { name: 'tmp', mountPath: '/tmp' },
] as const

export function nodeContainer(cluster: Cluster, installation: Installation) {
  return {
    name: 'node',
    image: cluster.image ?? installation.nodeImage,
    imagePullPolicy: 'IfNotPresent',
    args: nodeArguments(cluster),
    env: [{ name: 'POD_NAME', valueFrom: { fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.name' } } }],
    ports: [
      { name: 'https', containerPort: podLayout.apiPort, protocol: 'TCP' },
      { name: 'raft', containerPort: podLayout.raftPort, protocol: 'TCP' },
    ],
    ...(cluster.resources === undefined ? {} : { resources: cluster.resources }),
    ...probes,
    securityContext: {
      allowPrivilegeEscalation: false,
      privileged: false,
      readOnlyRootFilesystem: true,
      runAsNonRoot: true,
      capabilities: { drop: ['ALL'] },
    },
    volumeMounts,
  }
}

// Without credentials: the access file gives everybody the permission `ready` and no more. The kubelet does not verify certificates.
function probe(path: string) {
  return { path, port: podLayout.apiPort, scheme: 'HTTPS' }
}

const probes = {
  // Up to five minutes until the first answer: replaying a long log after a crash must not be cut short by the liveness probe.
  startupProbe: { httpGet: probe('/readyz?noleader'), periodSeconds: 2, timeoutSeconds: 5, failureThreshold: 150, successThreshold: 1 },
  // Alive means "answers at all": a member that has lost its leader must not be restarted for it.
  livenessProbe: { httpGet: probe('/readyz?noleader'), periodSeconds: 10, timeoutSeconds: 5, failureThreshold: 6, successThreshold: 1 },
  readinessProbe: { httpGet: probe('/readyz'), periodSeconds: 3, timeoutSeconds: 3, failureThreshold: 2, successThreshold: 1 },
}
