//! Page text for a navigation that would change something and could not be forwarded.
//!
//! The page says that nothing was passed on, and how nothing gets lost: without the back/forward cache, Back shows an
//! empty form.

use super::error::{Error, Unsent};
use super::not_kept::NotKept;

impl Unsent {
    /// Text of the page.
    pub(super) fn text(&self) -> String {
        let detail = self.error.telling().detail;
        match (&self.error, &self.kept) {
            (Error::SessionRequired, Ok(_)) => {
                format!("{NOT_PASSED_ON} This page keeps it. {RETURN}, and send it again.")
            }
            (Error::SessionRequired, Err(NotKept::CrossSite)) => FROM_ANOTHER_SITE.to_owned(),
            (Error::SessionRequired, Err(reason)) => {
                format!("{NOT_PASSED_ON} {} {RETURN}, and reload it. The Back button may help, too.", reason.text())
            }
            (Error::FormOfAnotherPerson, _) => format!("{detail} {RETURN}, and send it again."),
            (_, Ok(_)) => format!("{detail} {NOT_PASSED_ON} This page keeps it until then."),
            (_, Err(NotKept::CrossSite)) => format!("{detail} {NOT_PASSED_ON}"),
            (_, Err(_)) => format!("{detail} {NOT_PASSED_ON} Reload this page to send it again."),
        }
    }

    /// True if a sign-in in a new tab lets the person continue in this one.
    pub(super) fn needs_another_tab(&self) -> bool {
        let needs_sign_in = self.error.needs_sign_in() || matches!(self.error, Error::FormOfAnotherPerson);
        needs_sign_in && !matches!(self.kept, Err(NotKept::CrossSite))
    }
}

impl NotKept {
    fn text(self) -> &'static str {
        match self {
            Self::TooLarge => "It is too large for this page to keep, but your browser may still have it.",
            Self::File => "This page cannot keep its files, but your browser may still have them.",
            Self::CrossSite | Self::Other => "This page cannot keep it, but your browser may still have it.",
        }
    }
}

/// First sentence of the page: people who sent something want to know this first.
pub(super) const NOT_PASSED_ON: &str = "Nothing of what you sent was passed on.";

const RETURN: &str = "Sign in in a new tab, come back to this page";

const FROM_ANOTHER_SITE: &str = "What you sent may come from another site, so nothing of it was passed on or kept. Sign \
                                 in, and do it again in the application itself.";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sessions::StoreError;

    fn unsent(error: Error, kept: Result<(), NotKept>) -> Unsent {
        Unsent { error, kept: kept.map(|()| "1.k.sealed".to_owned()) }
    }

    #[test]
    fn the_page_says_what_happened_to_the_form_and_what_to_do() {
        let store = || Error::Store(StoreError::Missing);
        let session = || Error::SessionRequired;
        let another_tab = "Sign in in a new tab, come back to this page";
        let table = [
            (unsent(session(), Ok(())), [NOT_PASSED_ON, "This page keeps it", another_tab], true),
            (unsent(session(), Err(NotKept::TooLarge)), [NOT_PASSED_ON, "too large", "reload it"], true),
            (unsent(session(), Err(NotKept::File)), [NOT_PASSED_ON, "its files", "reload it"], true),
            (unsent(session(), Err(NotKept::Other)), [NOT_PASSED_ON, "cannot keep it", "reload it"], true),
            (unsent(session(), Err(NotKept::CrossSite)), ["another site", "nothing of it", "Sign in"], false),
            (unsent(Error::FormOfAnotherPerson, Ok(())), ["another account", "not passed on", another_tab], true),
            (unsent(store(), Ok(())), [NOT_PASSED_ON, "This page keeps it", "in a moment"], false),
            (unsent(store(), Err(NotKept::Other)), [NOT_PASSED_ON, "Reload this page", "in a moment"], false),
            (unsent(store(), Err(NotKept::CrossSite)), [NOT_PASSED_ON, "signed in", "in a moment"], false),
        ];
        for (unsent, expected, needs_another_tab) in table {
            let text = unsent.text();
            assert!(expected.iter().all(|part| text.contains(part)), "{text}");
            assert_eq!(unsent.needs_another_tab(), needs_another_tab, "{text}");
        }
    }
}
