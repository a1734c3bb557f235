//! Keys of the frozen vectors: `c1` seals cookies, `k1` seals records.

use std::sync::Arc;

use crate::crypto::{Key, KeyId, KeyRing, StaticKeys};

pub(crate) fn frozen_keys() -> Arc<StaticKeys> {
    let ring = |kid, byte| {
        let key = (KeyId::parse(kid).unwrap(), Key::from_bytes(&[byte; 32]).unwrap());
        KeyRing::new(vec![key]).unwrap()
    };
    Arc::new(StaticKeys::new(ring("c1", 1), ring("k1", 6)))
}
