// Port: the few things that the log does with a disk. Owned by the log; `directory-disk.ts` is the real one, tests and the simulator bring disks that fail, lie or tear.
// All calls are synchronous: they are made on a thread that has nothing else to do, and a synchronous fdatasync is the fastest there is (no libuv pool to share).

export interface LogFile {
  /** Writes all of `bytes` at `position`; a short write goes on until done or until the disk refuses. */
  write(bytes: Uint8Array, position: number): void
  /** fdatasync: data and length. */
  sync(): void
  truncate(length: number): void
  close(): void
}

export interface LogDisk {
  names(): readonly string[]
  read(name: string): Uint8Array
  /** Fails when the name exists. */
  create(name: string): LogFile
  open(name: string): LogFile
  remove(name: string): void
  /** Makes created and removed names durable. */
  syncDirectory(): void
}
