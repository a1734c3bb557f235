// The two people every provider of these tests knows.

export const ALICE = { sub: 'sub-alice-5521', login: 'alice', password: 'correct horse 1', name: 'Alice Archer', email: 'alice.archer@mail.example' };
export const BOB = { sub: 'sub-bob-8804', login: 'bob', password: 'battery staple 2', name: 'Bob Baker', email: 'bob.baker@mail.example' };
export const PEOPLE = [ALICE, BOB];
