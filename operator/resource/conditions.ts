// Conditions and their reasons are API: programs match on them. A reason is never renamed; a retired one stays listed.

/** In the order in which they are shown. */
export const conditionTypes = ['Ready', 'Progressing', 'Degraded', 'UsersReady', 'CertificatesReady', 'NetworkRestricted'] as const
export type ConditionType = (typeof conditionTypes)[number]

/** Every reason, by the condition that carries it, and what it means. */
export const conditionReasons = {
  Ready: {
    AllMembersReady: 'Every member can serve and they agree on a leader.',
    QuorumReady: 'Not every member can serve, but a majority with a leader does: clients are served.',
    MembersStarting: 'The members have not all been ready yet.',
    NoLeader: 'No member that answers knows a leader.',
    QuorumLost: 'Fewer members than a majority can serve: writes are refused.',
    InvalidSpec: 'The spec does not satisfy the schema. Nothing is changed but for the renewal of certificates.',
  },
  Progressing: {
    Settled: 'The cluster is what the spec says.',
    Applying: 'Objects were created or changed in this pass.',
    MembersStarting: 'The objects are in place; not every member is ready yet.',
    ScalingNotSupportedYet: 'The number of members of an existing cluster cannot be changed yet. The members stay as they are.',
    StorageGrowthNotSupportedYet: 'The volumes of an existing cluster cannot be grown yet. They stay as they are.',
    RestartNotSupportedYet:
      'The pods differ from what the spec says and restarting them in order is not built yet. Delete them one at a time, the leader last.',
    MembersUnclear: 'Somebody else changed the number of pods in the StatefulSet, or what is noted about it. It is not written to.',
    InvalidSpec: 'The spec does not satisfy the schema. Nothing is changed but for the renewal of certificates.',
    Contested: 'An object is changed back each time that it is written. It is tried again ever more slowly.',
    ApiServerProblem: 'The API server, or a webhook that it asks, fails again and again.',
    Blocked: 'Something outside of the operator must change first; see Degraded.',
  },
  Degraded: {
    AsExpected: 'Nothing is wrong.',
    MembersNotReady: 'Some members cannot serve.',
    MembersStarting: 'The members have not all been ready yet.',
    ScalingNotSupportedYet: 'The number of members of an existing cluster cannot be changed yet. The members stay as they are.',
    StorageGrowthNotSupportedYet: 'The volumes of an existing cluster cannot be grown yet. They stay as they are.',
    MembersUnclear: 'Somebody else changed the number of pods in the StatefulSet, or what is noted about it. It is not written to.',
    InvalidSpec: 'The spec does not satisfy the schema. Nothing is changed but for the renewal of certificates.',
    NameTaken: 'An object that the cluster needs exists already and belongs to somebody else. It was not touched.',
    ApplyRefused: 'The API server refused an object of the cluster.',
    Contested: 'An object is changed back each time that it is written. It is tried again ever more slowly.',
    ApiServerProblem: 'The API server, or a webhook that it asks, fails again and again.',
    PasswordSecretMissing: 'A Secret that a user names does not exist.',
    PasswordUnusable: 'A Secret that a user names holds no usable password.',
    CertificateAuthorityMissing: 'The Secret of a CA is gone while certificates that it signed are in use.',
    CertificateAuthorityReplaced: 'The Secret of a CA holds another one than that which signed the certificates in use. Nothing is signed.',
    CertificateAuthorityInvalid: 'A CA has expired or is not valid yet. Nothing is signed.',
    CertificateAuthorityExpiring: 'A CA ends soon, and changing a CA without interruption is not built yet.',
  },
  UsersReady: {
    AccessGranted: 'The access file holds every user of the spec.',
    PasswordSecretMissing: 'A Secret that a user names does not exist. The last access file stays in force.',
    PasswordUnusable: 'A Secret that a user names holds no usable password. The last access file stays in force.',
    Pending: 'Not made yet.',
    Blocked: 'Something outside of the operator must change first; see Degraded.',
  },
  CertificatesReady: {
    Issued: 'All certificates are in place and valid.',
    Expired: 'A certificate in use has expired.',
    CertificateAuthorityMissing: 'The Secret of a CA is gone while certificates that it signed are in use; they stay until they expire.',
    CertificateAuthorityReplaced: 'The Secret of a CA holds another one than that which signed the certificates in use. Nothing is signed.',
    CertificateAuthorityInvalid: 'A CA has expired or is not valid yet. Nothing is signed.',
    CertificateAuthorityExpiring: 'A CA ends soon, and changing a CA without interruption is not built yet.',
    Pending: 'Not made yet.',
    Blocked: 'Something outside of the operator must change first; see Degraded.',
  },
  NetworkRestricted: {
    PoliciesInPlace: 'The NetworkPolicies are in place. Whether they are enforced depends on the network plugin.',
    Pending: 'Not made yet.',
    Blocked: 'Something outside of the operator must change first; see Degraded.',
  },
} as const satisfies Record<ConditionType, Readonly<Record<string, string>>>

export type Reason<Type extends ConditionType> = keyof (typeof conditionReasons)[Type] & string
