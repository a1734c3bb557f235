//! Opened content of a sealed value, wiped after use.

use std::fmt;
use std::ops::Deref;

use zeroize::Zeroize;

/// Plaintext bytes. Prints nothing, and is wiped when dropped.
///
/// Wiped as one slice: `Zeroizing<Vec<u8>>` wipes byte by byte, which would delay every request.
pub struct Plaintext(pub(super) Vec<u8>);

impl Deref for Plaintext {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Plaintext {
    fn drop(&mut self) {
        self.0.as_mut_slice().zeroize();
    }
}

impl fmt::Debug for Plaintext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Plaintext(..)")
    }
}
