// The handler as the provider knows it.

export const CLIENT_ID = 'bench'
export const CLIENT_SECRET = 'a-secret-of-a-benchmark'
