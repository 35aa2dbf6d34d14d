// What a disk in memory throws when its power has gone: the node that called it is dead, and must neither go on nor report anything.
export class PowerLost extends Error {
  constructor() {
    super('the power is gone')
  }
}
