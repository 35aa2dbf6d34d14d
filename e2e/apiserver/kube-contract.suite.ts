// The `kube` port's contract on a real API server, with the same cases as the in-memory twin in `npm test`, and the refusals that only a real server can give.
import { after, before, test } from 'node:test'
import { ClientKube, loadKubeConfig } from '../../operator/kube/client-kube.ts'
import { kubeContract } from '../../operator/kube/kube-contract.ts'
import { refused, secret, secretKind } from '../../operator/kube/kube-contract-objects.ts'
import { join } from 'node:path'
import { freePorts } from './free-ports.ts'
import { writeKubeconfig } from './kubeconfig.ts'
import { suiteControlPlane } from './suite-control-plane.ts'
import { waitUntil } from './wait-until.ts'

const controlPlane = suiteControlPlane()
const namespace = 'kube-contract'
const eventuallyMs = 240_000
const opened: ClientKube[] = []

before(() => controlPlane.newNamespace(namespace))
after(async () => {
  for (const kube of opened) kube.close()
  await controlPlane.admin.run(['delete', 'namespace', namespace, '--wait=false'])
})

kubeContract('kube-apiserver', async () => ({ kube: kubeOf(controlPlane.adminKubeconfig), namespace, eventually }))

test('what RBAC does not grant is forbidden, for reads, writes and watches', async () => {
  const { kubeconfig } = await controlPlane.asServiceAccount(namespace, 'default')
  const kube = kubeOf(kubeconfig)
  refused(await kube.list(secretKind, { namespace }), 'forbidden')
  refused(await kube.apply(secret({ namespace, name: 'not-mine' }, {}), 'contract'), 'forbidden')
  const signal = AbortSignal.timeout(eventuallyMs)
  refused(await kube.watch(secretKind, { namespace, resourceVersion: '0', onEvent: () => undefined, signal }), 'forbidden')
})

test('a token that the API server does not know is unauthorized', async () => {
  const kubeconfig = join(controlPlane.folder, 'forged.kubeconfig')
  await writeKubeconfig(kubeconfig, controlPlane, { kind: 'token', token: 'forged' })
  refused(await kubeOf(kubeconfig).list(secretKind, { namespace }), 'unauthorized')
})

test('an API server that does not listen is unreachable', async () => {
  const kubeconfig = join(controlPlane.folder, 'nobody.kubeconfig')
  const [port] = await freePorts(1)
  await writeKubeconfig(kubeconfig, { ...controlPlane, server: `https://127.0.0.1:${port}` }, { kind: 'token', token: 'any' })
  refused(await kubeOf(kubeconfig).list(secretKind, { namespace }), 'unreachable')
})

test('an API server whose certificate another authority signed is unreachable: the client never speaks to it', async () => {
  const kubeconfig = join(controlPlane.folder, 'untrusted.kubeconfig')
  // Any certificate that did not sign the server's will do as the only trusted one.
  await writeKubeconfig(
    kubeconfig,
    { ...controlPlane, authorityFile: join(controlPlane.folder, 'admin.crt') },
    { kind: 'token', token: 'any' },
  )
  refused(await kubeOf(kubeconfig).list(secretKind, { namespace }), 'unreachable')
})

function kubeOf(kubeconfig: string): ClientKube {
  const kube = new ClientKube(loadKubeConfig(kubeconfig))
  opened.push(kube)
  return kube
}

/** A real server's garbage collector and controllers take their time. */
async function eventually(check: () => Promise<void>): Promise<void> {
  let last: unknown
  const passed = async (): Promise<true | undefined> => {
    try {
      await check()
      return true
    } catch (problem) {
      last = problem
      return undefined
    }
  }
  await waitUntil({ what: 'the expected state', deadlineMs: eventuallyMs, everyMs: 100 }, passed).catch((problem: Error) => {
    throw new Error(problem.message, { cause: last })
  })
}
