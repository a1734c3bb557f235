//! Page text for a navigation that would change something and could not be forwarded.
//!
//! The page says that nothing was passed on, and how nothing gets lost: without the back/forward cache, Back shows an
//! empty form.

use super::error::{Error, Unsent};
use super::not_kept::NotKept;
use super::{Language, Sentence};

impl Unsent {
    /// Text of the page.
    pub(super) fn text(&self, language: Language) -> String {
        // People who sent something want to know first what became of it.
        let is_obvious = matches!(self.error, Error::SessionRequired);
        let cause = if is_obvious { &[] } else { self.error.response().sentences };
        language.text(&[cause, self.fate()].concat())
    }

    /// Fate of the form, and what to do about it.
    fn fate(&self) -> &'static [Sentence] {
        use Sentence::{KeptHere, NotKept as NotKeptHere, NotKeptFiles, NotKeptTooLarge, NothingPassedOn};
        use Sentence::{ReloadToSend, RetrySoon, ReturnAndReload, ReturnAndSend, SendAgainSoon};
        if matches!(self.error, Error::FormOfAnotherPerson) {
            return &[ReturnAndSend];
        }
        if self.error.is_of_application() {
            return self.fate_of_refused();
        }
        match (&self.kept, self.error.may_need_sign_in(), self.error.is_temporary()) {
            (Ok(_), true, _) => &[NothingPassedOn, KeptHere, ReturnAndSend],
            (Ok(_), false, true) => &[NothingPassedOn, KeptHere, SendAgainSoon],
            (Ok(_), false, false) => &[NothingPassedOn, KeptHere],
            (Err(NotKept::CrossSite), true, _) => &[Sentence::FromAnotherSite],
            (Err(NotKept::CrossSite), false, true) => &[NothingPassedOn, RetrySoon],
            (Err(NotKept::TooLarge), true, _) => &[NothingPassedOn, NotKeptTooLarge, ReturnAndReload],
            (Err(NotKept::File), true, _) => &[NothingPassedOn, NotKeptFiles, ReturnAndReload],
            (Err(NotKept::Other), true, _) => &[NothingPassedOn, NotKeptHere, ReturnAndReload],
            (Err(_), false, true) => &[NothingPassedOn, ReloadToSend],
            (Err(_), false, false) => &[NothingPassedOn],
        }
    }

    /// Fate of a form that the application refused for the person's sign-in.
    fn fate_of_refused(&self) -> &'static [Sentence] {
        use Sentence::{KeptHere, NotAccepted, NotKept as NotKeptHere, NotKeptFiles, NotKeptTooLarge};
        use Sentence::{ReturnAndReload, ReturnAndSend};
        match (&self.kept, self.error.may_need_sign_in()) {
            (Ok(_), true) => &[NotAccepted, KeptHere, ReturnAndSend],
            (Ok(_), false) => &[NotAccepted, KeptHere],
            (Err(NotKept::TooLarge), true) => &[NotAccepted, NotKeptTooLarge, ReturnAndReload],
            (Err(NotKept::File), true) => &[NotAccepted, NotKeptFiles, ReturnAndReload],
            (Err(NotKept::Other), true) => &[NotAccepted, NotKeptHere, ReturnAndReload],
            (Err(_), _) => &[NotAccepted],
        }
    }

    /// True if a sign-in in a new tab lets the person continue in this one.
    pub(super) fn needs_another_tab(&self) -> bool {
        let needs_sign_in = self.error.may_need_sign_in() || matches!(self.error, Error::FormOfAnotherPerson);
        needs_sign_in && !matches!(self.kept, Err(NotKept::CrossSite))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oidc::TargetRefusal;
    use crate::sessions::{RouteTokenError, StoreError};

    fn unsent(error: Error, kept: Result<(), NotKept>) -> Unsent {
        Unsent { error, kept: kept.map(|()| "1.k.sealed".to_owned()) }
    }

    #[test]
    fn the_page_says_what_happened_to_the_form_and_what_to_do() {
        let store = || Error::Store(StoreError::Missing);
        let session = || Error::SessionRequired;
        let interaction = || Error::RouteToken(RouteTokenError::Refused(TargetRefusal::InteractionRequired));
        const NOT_PASSED_ON: &str = "Nothing of what you sent was passed on.";
        let challenged = || Error::StepUpChallenged(Box::default());
        let refused = "The application did not accept what you sent.";
        let another_tab = "Sign in in a new tab, come back to this page";
        let table = [
            (unsent(session(), Ok(())), [NOT_PASSED_ON, "This page keeps it", another_tab], true),
            (unsent(session(), Err(NotKept::TooLarge)), [NOT_PASSED_ON, "too large", "reload it"], true),
            (unsent(session(), Err(NotKept::File)), [NOT_PASSED_ON, "its files", "reload it"], true),
            (unsent(session(), Err(NotKept::Other)), [NOT_PASSED_ON, "cannot keep it", "reload it"], true),
            (unsent(session(), Err(NotKept::CrossSite)), ["another site", "nothing of it", "Sign in"], false),
            (unsent(Error::FormOfAnotherPerson, Ok(())), ["another account", "not passed on", another_tab], true),
            (unsent(challenged(), Ok(())), [refused, "This page keeps", another_tab], true),
            (unsent(challenged(), Err(NotKept::TooLarge)), [refused, "too large", "reload it"], true),
            (unsent(challenged(), Err(NotKept::File)), [refused, "its files", "reload it"], true),
            (unsent(challenged(), Err(NotKept::Other)), [refused, "cannot keep it", "reload it"], true),
            (unsent(challenged(), Err(NotKept::CrossSite)), [refused, "asks for", "stronger"], false),
            (unsent(Error::StepUpChallengeUnmet, Ok(())), ["a stronger", refused, another_tab], true),
            (unsent(store(), Ok(())), [NOT_PASSED_ON, "This page keeps it", "in a moment"], false),
            (unsent(store(), Err(NotKept::Other)), [NOT_PASSED_ON, "Reload this page", "in a moment"], false),
            (unsent(store(), Err(NotKept::CrossSite)), [NOT_PASSED_ON, "signed in", "in a moment"], false),
            (unsent(Error::StepUpUnmet, Ok(())), ["a stronger", NOT_PASSED_ON, another_tab], true),
            (unsent(interaction(), Ok(())), ["only you can do there", NOT_PASSED_ON, another_tab], true),
            (unsent(interaction(), Err(NotKept::CrossSite)), ["only you", "another site", "Sign in"], false),
        ];
        for (unsent, expected, needs_another_tab) in table {
            let text = unsent.text(Language::English);
            assert!(expected.iter().all(|part| text.contains(part)), "{text}");
            assert_eq!(unsent.needs_another_tab(), needs_another_tab, "{text}");
        }
    }
}
