//! Random bytes from the operating system, and the random strings built of them.
//!
//! Knows nothing of what they are used for.

use uuid::Uuid;

/// `N` random bytes from the operating system.
///
/// # Panics
/// When the operating system has no randomness to give: nothing this process does could be safe then.
#[must_use]
pub fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system provides random bytes");
    bytes
}

/// Two concatenated version 4 GUIDs: 64 hexadecimal digits, 244 random bits.
#[must_use]
pub fn guid_pair() -> String {
    format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple())
}
