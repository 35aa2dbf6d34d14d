import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { frameHeader, frameHeaderBytes, FrameReader, type Frame } from './frame.ts'

function frame(type: number, body: Uint8Array): Buffer {
  return Buffer.concat([frameHeader(type, body.length), body])
}

function readAll(reader: FrameReader): (Frame | string)[] {
  const read: (Frame | string)[] = []
  for (;;) {
    const next = reader.next()
    if (next === undefined) return read
    read.push(next)
    if (typeof next === 'string') return read
  }
}

test('frames come out as they went in, whatever the pieces', () => {
  const frames = fc.array(fc.record({ type: fc.nat(255), body: fc.uint8Array({ maxLength: 200 }) }), { maxLength: 20 })
  const cuts = fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1 })
  fc.assert(
    fc.property(frames, cuts, (sent, sizes) => {
      const wire = Buffer.concat(sent.map(({ type, body }) => frame(type, body)))
      const reader = new FrameReader(1000)
      const read: (Frame | string)[] = []
      for (let at = 0, n = 0; at < wire.length; n += 1) {
        const size = sizes[n % sizes.length] ?? 1
        reader.push(wire.subarray(at, at + size))
        read.push(...readAll(reader))
        at += size
      }
      assert.deepEqual(
        read.map((one) => (typeof one === 'string' ? one : { type: one.type, body: Buffer.from(one.body).toString('hex') })),
        sent.map(({ type, body }) => ({ type, body: Buffer.from(body).toString('hex') })),
      )
    }),
  )
})

test('a length beyond the bound is refused after four bytes, before anything is kept', () => {
  const reader = new FrameReader(1000)
  reader.push(Buffer.from([0xff, 0xff, 0xff]))
  assert.equal(reader.next(), undefined)
  reader.push(Buffer.from([0xff]))
  assert.equal(reader.next(), 'frame_too_long')
  reader.push(Buffer.alloc(10_000))
  assert.equal(reader.next(), 'frame_too_long')
})

test('the bound counts type and body, and the longest frame passes', () => {
  const reader = new FrameReader(11)
  reader.push(frame(1, Buffer.alloc(10)))
  assert.equal(readAll(reader).length, 1)
  reader.push(frame(1, Buffer.alloc(11)))
  assert.deepEqual(readAll(reader), ['frame_too_long'])
})

test('a frame without a type is refused', () => {
  const reader = new FrameReader(100)
  reader.push(Buffer.alloc(4))
  assert.equal(reader.next(), 'frame_empty')
})

test('any bytes at all end in frames within the bound, a defect or waiting', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 64 }), { maxLength: 20 }), (chunks) => {
      const reader = new FrameReader(50)
      for (const chunk of chunks) {
        reader.push(chunk)
        for (const one of readAll(reader)) if (typeof one !== 'string') assert(one.body.length + frameHeaderBytes <= 54)
      }
    }),
  )
})
