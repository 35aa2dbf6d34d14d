// Who a caller is, once this node has checked the credentials. The password goes no further than that check.

/** `anonymous`: no credentials, or none that were needed: holds the permissions of `*`. */
export type Identity = { readonly kind: 'anonymous' } | { readonly kind: 'user'; readonly username: string }

export const anonymous: Identity = { kind: 'anonymous' }
