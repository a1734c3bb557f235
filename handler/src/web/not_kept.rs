//! Why the page of a request that was not passed on does not keep its form.

use super::form_reader::FormError;

/// Why a page does not keep a form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotKept {
    /// It may not come from a page of this origin: it would turn into one that does.
    CrossSite,
    /// It is larger than a page may be.
    TooLarge,
    /// It holds a file.
    File,
    /// It did not arrive, or no page can send it again.
    Other,
}

impl From<FormError> for NotKept {
    fn from(error: FormError) -> Self {
        match error {
            FormError::TooLarge => Self::TooLarge,
            FormError::File => Self::File,
            FormError::Timeout | FormError::Incomplete | FormError::Busy | FormError::Unsupported => Self::Other,
        }
    }
}
