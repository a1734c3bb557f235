//! Reason why the page of a request that was not forwarded does not keep its form.

use super::form_reader::FormError;

/// Reason why a page does not keep a form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotKept {
    /// It may come from another origin, and would become a form of this one.
    CrossSite,
    /// It is too large for a page.
    TooLarge,
    /// It contains a file.
    File,
    /// It was not received, or no page can send it again.
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
