// What every implementation of the `kube` port must do, as one suite: it runs on the in-memory twin in `npm test` and on a real kube-apiserver in
// `npm run e2e:apiserver`. A twin that is held to less than this would let the operator's tests pass on a server that does not exist.
import { test } from 'node:test'
import { contractOfApply } from './kube-contract-apply.ts'
import { contractOfWatch } from './kube-contract-watch.ts'
import { contractOfWrites } from './kube-contract-writes.ts'
import type { Kube } from './kube.ts'

/** Where one case runs. Objects of all cases have different names, so that one namespace serves them all. */
export interface KubeSetting {
  readonly kube: Kube
  readonly namespace: string
  /** Repeats `check` until it does not throw, within a deadline of the setting: garbage collection takes seconds on a real server. */
  readonly eventually: (check: () => Promise<void>) => Promise<void>
}

export interface ContractCase {
  readonly title: string
  readonly run: (setting: KubeSetting) => Promise<void>
}

export const kubeContractCases: readonly ContractCase[] = [...contractOfWrites, ...contractOfApply, ...contractOfWatch]

/** Registers the whole suite with node:test; `makeSetting` is called once for each case. */
export function kubeContract(name: string, makeSetting: () => Promise<KubeSetting>): void {
  for (const { title, run } of kubeContractCases) {
    test(`${name}: ${title}`, async () => run(await makeSetting()))
  }
}
