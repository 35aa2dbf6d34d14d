// What the operator knows about itself that shows in the objects it makes. The same for all clusters; set once at the start.
export interface Installation {
  /** Where the operator's own pods run: the policies let it in from there. */
  readonly operatorNamespace: string
  /** Image of the members when the resource names none. */
  readonly nodeImage: string
  /** More names for the API's and the nodes' certificates. Empty on Kubernetes; the local runtime needs loopback addresses. */
  readonly extraDnsNames: readonly string[]
  readonly extraIpAddresses: readonly string[]
}
