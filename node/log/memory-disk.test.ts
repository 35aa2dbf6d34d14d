import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MemoryDisk } from './memory-disk.ts'
import { PowerLost } from './power-lost.ts'

const seeds = Array.from({ length: 60 }, (_, at) => at + 1)

/** What `make` leaves behind a power failure, over many seeds. */
function outcomes(make: (disk: MemoryDisk) => void, look: (disk: MemoryDisk) => string): readonly string[] {
  const found = seeds.map((seed) => {
    const disk = new MemoryDisk()
    make(disk)
    disk.powerFailure(seed)
    return look(disk)
  })
  return [...new Set(found)].toSorted()
}

test('a file whose name was not synced may be gone, whatever was synced into it; a removed one may be back', () => {
  const made = outcomes(
    (disk) => {
      disk.create('kept').write(Buffer.from('k'), 0)
      disk.syncDirectory()
      disk.remove('kept')
      const file = disk.create('made')
      file.write(Buffer.from('m'), 0)
      file.sync()
    },
    (disk) => disk.names().join(' '),
  )
  assert.deepEqual(made, ['', 'kept', 'kept made', 'made'])
})

test('of sectors that were not synced any subset is there; what was synced is always there', () => {
  const found = outcomes(
    (disk) => {
      const file = disk.create('f')
      disk.syncDirectory()
      file.write(Buffer.alloc(3 * 512, 'a'), 0)
      file.sync()
      file.write(Buffer.alloc(2 * 512, 'b'), 512)
    },
    (disk) => [0, 512, 1024].map((at) => String.fromCharCode(disk.read('f')[at] ?? 0)).join(''),
  )
  assert.deepEqual(found, ['aaa', 'aab', 'aba', 'abb'])
})

test('the same seed gives the same disk', () => {
  const disk = new MemoryDisk()
  const file = disk.create('f')
  file.write(Buffer.alloc(20 * 512, 'x'), 0)
  disk.syncDirectory()
  file.sync()
  const lose = (): string => {
    const copy = new MemoryDisk()
    copy.put('f', disk.read('f'))
    copy.open('f').write(Buffer.alloc(30 * 512, 'y'), 512)
    copy.powerFailure(7)
    return Buffer.from(copy.read('f')).toString('latin1')
  }
  assert.equal(lose(), lose())
})

test('without power nothing can be done, and the call at which it went was not made', () => {
  const disk = new MemoryDisk()
  const file = disk.create('f')
  disk.syncDirectory()
  disk.losePowerAfter(2)
  file.write(Buffer.from('1'), 0)
  assert.throws(() => file.sync(), PowerLost)
  for (const call of [
    () => file.write(Buffer.from('2'), 1),
    () => disk.open('f'),
    () => disk.syncDirectory(),
    () => file.read(new Uint8Array(1), 0),
  ]) {
    assert.throws(call, PowerLost)
  }
  assert(!disk.hasPower)
  disk.powerFailure(1)
  assert(disk.hasPower)
  assert(disk.read('f').length <= 1)
})

test('put back to an image, the disk is as it was for certain then; wiped, it is empty', () => {
  const disk = new MemoryDisk()
  const file = disk.create('f')
  disk.syncDirectory()
  file.write(Buffer.from('old'), 0)
  file.sync()
  file.write(Buffer.from('new'), 0)
  const image = disk.image()
  file.sync()
  disk.create('g')
  disk.restore(image)
  assert.deepEqual(disk.names(), ['f'])
  assert.equal(Buffer.from(disk.read('f')).toString(), 'old')
  disk.wipe()
  assert.deepEqual(disk.names(), [])
})

test('a full disk takes what there is room for and refuses the rest', () => {
  const disk = new MemoryDisk()
  const file = disk.create('f')
  disk.limit(10)
  file.write(Buffer.alloc(8), 0)
  assert.throws(() => file.write(Buffer.alloc(5), 8), { code: 'ENOSPC' })
  assert.equal(file.size(), 10)
  file.write(Buffer.alloc(10), 0)
})

test('how long the calls would take is told once', () => {
  const disk = new MemoryDisk()
  disk.slow((call, bytes) => (call === 'write' ? bytes / 100 : 5))
  const file = disk.create('f')
  file.write(Buffer.alloc(300), 0)
  file.sync()
  assert.equal(disk.takeLatencyMs(), 5 + 3 + 5)
  assert.equal(disk.takeLatencyMs(), 0)
})

test('a truncated file ends where it was cut, and zeros come behind that when it grows again', () => {
  const disk = new MemoryDisk()
  const file = disk.create('f')
  disk.syncDirectory()
  file.write(Buffer.alloc(1000, 1), 0)
  file.truncate(300)
  file.write(Buffer.from([2]), 600)
  assert.equal(disk.read('f').lastIndexOf(1), 299)
  file.sync()
  disk.powerFailure(5)
  assert.equal(disk.read('f').length, 601)
  assert.equal(disk.read('f').lastIndexOf(1), 299)
})
