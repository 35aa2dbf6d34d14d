// A Kubernetes cluster of one process: the in-memory API server, the little of its controllers that makes Pods, the process kubelet, and an operator that is handed in
// (which one is the business of whoever composes: `demo.ts`, tests).
import { randomUUID } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Logger } from 'pino'
import { systemClock } from '../controller/clock.ts'
import type { Controller } from '../controller/controller.ts'
import type { Kube } from '../kube/kube.ts'
import { MemoryKube } from '../kube/memory-kube.ts'
import type { Admit } from '../kube/memory-kube.ts'
import type { ImageCommands } from './launch-plan.ts'
import { LocalAddresses } from './local-addresses.ts'
import type { AddressBook, AddressMode } from './local-addresses.ts'
import { ProcessKubelet } from './process-kubelet.ts'
import { startStatefulSetController } from './stateful-set-controller.ts'

export interface LocalClusterOptions {
  /** Everything on disk; made 0700, and left where it is. */
  readonly folder: string
  readonly mode: AddressMode
  readonly images: ImageCommands
  readonly baseEnv: Readonly<Record<string, string>>
  readonly admit?: Admit
  readonly log: Logger
  readonly startOperator: (parts: OperatorParts) => Promise<Closable>
}

export interface OperatorParts {
  readonly kube: Kube
  readonly addresses: LocalAddresses
}

export interface Closable {
  close(): Promise<void>
}

export class LocalCluster {
  readonly kube: MemoryKube
  readonly addresses: LocalAddresses
  readonly kubelet: ProcessKubelet
  readonly #sets: Controller
  readonly #operator: Closable

  private constructor(parts: {
    kube: MemoryKube
    addresses: LocalAddresses
    kubelet: ProcessKubelet
    sets: Controller
    operator: Closable
  }) {
    this.kube = parts.kube
    this.addresses = parts.addresses
    this.kubelet = parts.kubelet
    this.#sets = parts.sets
    this.#operator = parts.operator
  }

  static async start(options: LocalClusterOptions): Promise<LocalCluster> {
    const { folder, mode, images, baseEnv, admit, log, startOperator } = options
    await mkdir(folder, { recursive: true, mode: 0o700 })
    const kube = new MemoryKube({ now: () => new Date(), newUid: randomUUID, ...(admit === undefined ? {} : { admit }) })
    const addresses = await openAddresses(join(folder, 'addresses.json'), mode)
    const common = { kube, clock: systemClock, random: Math.random }
    const sets = startStatefulSetController({ ...common, log: log.child({ part: 'stateful-sets' }) })
    const kubelet = await ProcessKubelet.start({
      ...common,
      log: log.child({ part: 'kubelet' }),
      select: {},
      folder,
      addresses,
      images,
      baseEnv,
    })
    const operator = await startOperator({ kube, addresses })
    return new LocalCluster({ kube, addresses, kubelet, sets, operator })
  }

  /** The operator first, so that nobody repairs what is being taken down; then the controllers; then every process. */
  async close(): Promise<void> {
    await this.#operator.close()
    await this.#sets.close()
    await this.kubelet.close()
  }
}

/** The addresses of a former run on the same folder, if there was one. */
async function openAddresses(file: string, mode: AddressMode): Promise<LocalAddresses> {
  const text = await readFile(file, 'utf8').catch(() => undefined)
  const remembered = text === undefined ? undefined : (JSON.parse(text) as AddressBook)
  // Written at once: a pod must not start with an address that a crash could make us forget.
  const onChange = (book: AddressBook): void => writeFileSync(file, JSON.stringify(book), { mode: 0o600 })
  const options = { mode, random: Math.random, onChange }
  const addresses = await LocalAddresses.open(remembered === undefined ? options : { ...options, remembered })
  if (remembered === undefined) await writeFile(file, JSON.stringify(addresses.book), { mode: 0o600 })
  return addresses
}
