// A `kube` that fails as a test says: for what goes wrong between an operator and its API server.
import { fail, ok } from '../../runtime/result.ts'
import type { Kind, Kube, KubeObject, KubeProblem, KubeResult, ListOptions, ObjectList, ObjectRef, WatchOptions } from '../kube/kube.ts'

type Method = keyof Kube

export class FaultyKube implements Kube {
  readonly #inner: Kube
  readonly #faults: { readonly method: Method; readonly problem: KubeProblem; left: number }[] = []
  readonly #hung = new Set<Method>()
  readonly calls: Method[] = []

  constructor(inner: Kube) {
    this.#inner = inner
  }

  /** The next `times` calls of `method` fail with `code`, without reaching the server. */
  failNext(method: Method, code: KubeProblem['code'], times = 1): void {
    this.#faults.push({ method, problem: { code, message: 'injected' }, left: times })
  }

  /** From now on calls of `method` never come back. */
  hang(method: Method): void {
    this.#hung.add(method)
  }

  get(ref: ObjectRef): Promise<KubeResult<KubeObject>> {
    return this.#through('get', () => this.#inner.get(ref))
  }

  list(kind: Kind, options: ListOptions): Promise<KubeResult<ObjectList>> {
    return this.#through('list', () => this.#inner.list(kind, options))
  }

  /** A watch that hangs hears nothing and ends when it is told to. */
  watch(kind: Kind, options: WatchOptions): Promise<KubeResult<void>> {
    if (this.#hung.has('watch')) return new Promise((resolve) => options.signal.addEventListener('abort', () => resolve(ok(undefined))))
    return this.#through('watch', () => this.#inner.watch(kind, options))
  }

  create(object: KubeObject): Promise<KubeResult<KubeObject>> {
    return this.#through('create', () => this.#inner.create(object))
  }

  replace(object: KubeObject): Promise<KubeResult<KubeObject>> {
    return this.#through('replace', () => this.#inner.replace(object))
  }

  apply(object: KubeObject, fieldManager: string): Promise<KubeResult<KubeObject>> {
    return this.#through('apply', () => this.#inner.apply(object, fieldManager))
  }

  applyStatus(object: KubeObject, fieldManager: string): Promise<KubeResult<KubeObject>> {
    return this.#through('applyStatus', () => this.#inner.applyStatus(object, fieldManager))
  }

  remove(ref: ObjectRef, options: { readonly uid?: string }): Promise<KubeResult<void>> {
    return this.#through('remove', () => this.#inner.remove(ref, options))
  }

  #through<Value>(method: Method, call: () => Promise<KubeResult<Value>>): Promise<KubeResult<Value>> {
    this.calls.push(method)
    if (this.#hung.has(method)) return new Promise(() => {})
    const fault = this.#faults.find((candidate) => candidate.method === method && candidate.left > 0)
    if (fault === undefined) return call()
    fault.left -= 1
    return Promise.resolve(fail(fault.problem))
  }
}
