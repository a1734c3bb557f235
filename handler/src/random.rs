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
    #[cfg(test)]
    if seeded::fill(&mut bytes) {
        return bytes;
    }
    getrandom::fill(&mut bytes).expect("the operating system provides random bytes");
    bytes
}

/// Two concatenated version 4 GUIDs: 64 hexadecimal digits, 244 random bits.
#[must_use]
pub fn guid_pair() -> String {
    format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple())
}

/// Seeded replacement of the random source on this thread, so that a simulation repeats its jitter.
#[cfg(test)]
pub(crate) mod seeded {
    use std::cell::RefCell;

    thread_local!(static SOURCE: RefCell<Option<Box<dyn FnMut() -> u8>>> = const { RefCell::new(None) });

    /// Draws from `source` until the guard is dropped.
    pub(crate) fn draw_from(source: impl FnMut() -> u8 + 'static) -> Guard {
        SOURCE.with_borrow_mut(|current| *current = Some(Box::new(source)));
        Guard
    }

    /// Restores the operating system's randomness when dropped.
    pub(crate) struct Guard;

    impl Drop for Guard {
        fn drop(&mut self) {
            SOURCE.with_borrow_mut(|current| *current = None);
        }
    }

    pub(super) fn fill(bytes: &mut [u8]) -> bool {
        SOURCE.with_borrow_mut(|source| match source {
            Some(source) => {
                bytes.fill_with(source);
                true
            }
            None => false,
        })
    }
}
