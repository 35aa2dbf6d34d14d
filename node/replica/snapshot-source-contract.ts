// What every snapshot source must do; each implementation's test file calls this.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { fail, ok } from '../../runtime/result.ts'
import type { NodeId } from '../raft/membership.ts'
import { virtualMembership } from '../raft/virtual-node.ts'
import type { SnapshotSource } from './snapshot-source.ts'
import type { SnapshotManifest, SnapshotStore } from './snapshot-store.ts'

/** Two members of one cluster, of which one asks and the other serves. */
export interface SnapshotSourceUnderTest {
  readonly source: SnapshotSource
  readonly server: NodeId
  /** The server's process ends. */
  readonly stopServer: () => Promise<void>
  readonly dispose: () => Promise<void>
}

const chunkBytes = 1024 * 1024

/** `make` gives a member that serves from `snapshots`. */
export function snapshotSourceContract(name: string, make: (snapshots: SnapshotStore) => Promise<SnapshotSourceUnderTest>): void {
  const contract = (title: string, body: (world: SnapshotSourceUnderTest, served: ServedSnapshot) => Promise<void>): void => {
    test(`${name}: ${title}`, async () => {
      const served = new ServedSnapshot()
      const world = await make(served)
      try {
        await body(world, served)
      } finally {
        await world.dispose()
      }
    })
  }

  contract('a manifest arrives as it was made', async ({ source, server }, served) => {
    assert.deepEqual(await source.manifest(server, { indexMin: 7 }), ok(served.manifest))
    assert.deepEqual(served.asked, [7])
  })

  contract('a server that has nothing to give says so', async ({ source, server }) => {
    assert.deepEqual(await source.manifest(server, { indexMin: 10_000 }), fail('snapshot_unavailable'))
  })

  contract('chunks put together are the snapshot, whatever their length', async ({ source, server }, served) => {
    const { id, bytes, hash } = served.manifest
    for (const length of [chunkBytes, 700_001]) {
      const digest = createHash('sha256')
      let received = 0
      while (received < bytes) {
        const chunk = await source.chunk(server, { id, offset: received, length })
        assert(chunk.ok)
        assert.equal(chunk.value.length, Math.min(length, bytes - received))
        digest.update(chunk.value)
        received += chunk.value.length
      }
      assert.equal(digest.digest('hex'), hash)
    }
  })

  contract('two chunks may be asked for at once, and each answer is that of its question', async ({ source, server }, served) => {
    const { id } = served.manifest
    const ask = (offset: number) => source.chunk(server, { id, offset, length: 1_000 })
    const [one, two] = await Promise.all([ask(5_000), ask(500_000)])
    assert(one.ok && two.ok)
    assert.deepEqual(
      [sum(one.value), sum(two.value)],
      [sum(served.bytes.subarray(5_000, 6_000)), sum(served.bytes.subarray(500_000, 501_000))],
    )
  })

  contract('a copy that was given up is gone', async ({ source, server }) => {
    assert.deepEqual(await source.chunk(server, { id: 'no-such-copy', offset: 0, length: 10 }), fail('snapshot_gone'))
  })

  contract('a server that has ended cannot be reached, and neither can a stranger', async ({ source, server, stopServer }, served) => {
    assert.deepEqual(await source.manifest('stranger' as NodeId, { indexMin: 1 }), fail('unreachable'))
    assert.equal((await source.manifest(server, { indexMin: 1 })).ok, true)
    await stopServer()
    assert.deepEqual(await source.manifest(server, { indexMin: 1 }), fail('unreachable'))
    assert.deepEqual(await source.chunk(server, { id: served.manifest.id, offset: 0, length: 10 }), fail('unreachable'))
  })

  contract('a server that ends in the middle of an answer leaves the question answered', async ({ source, server, stopServer }, served) => {
    const held = served.hold()
    const answer = source.chunk(server, { id: served.manifest.id, offset: 0, length: chunkBytes })
    await held.asked
    await stopServer()
    held.release()
    assert.deepEqual(await answer, fail('unreachable'))
  })
}

/** Serves one snapshot of a few MiB, which nobody installs. */
class ServedSnapshot implements SnapshotStore {
  readonly bytes = new Uint8Array(2_500_000).map((_, position) => (position * 31 + (position >>> 9)) % 251)
  readonly manifest: SnapshotManifest = {
    id: 'copy-of-12',
    index: 12,
    term: 2 ** 33,
    membership: { ...virtualMembership(['n1']), epoch: 2 },
    bytes: this.bytes.length,
    hash: createHash('sha256').update(this.bytes).digest('hex'),
  }
  readonly asked: number[] = []
  #gate: Promise<void> = Promise.resolve()
  #wasAsked: () => void = () => {}

  /** The next chunks are answered only when they are released. */
  hold(): { readonly asked: Promise<void>; readonly release: () => void } {
    const asked = Promise.withResolvers<void>()
    const gate = Promise.withResolvers<void>()
    this.#wasAsked = asked.resolve
    this.#gate = gate.promise
    return { asked: asked.promise, release: gate.resolve }
  }

  take({ indexMin }: { readonly indexMin: number }): ReturnType<SnapshotStore['take']> {
    this.asked.push(indexMin)
    return Promise.resolve(indexMin > this.manifest.index ? fail('snapshot_unavailable') : ok(this.manifest))
  }

  async read(options: { readonly id: string; readonly offset: number; readonly length: number }): ReturnType<SnapshotStore['read']> {
    this.#wasAsked()
    await this.#gate
    if (options.id !== this.manifest.id) return fail('snapshot_gone')
    return ok(this.bytes.slice(options.offset, options.offset + options.length))
  }

  stage(): never {
    throw new Error('a server receives nothing')
  }

  install(): never {
    throw new Error('a server installs nothing')
  }

  installed(): void {}
}

function sum(bytes: Uint8Array): number {
  return bytes.reduce((total, byte) => total + byte, 0)
}
