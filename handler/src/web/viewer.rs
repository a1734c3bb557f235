//! Person before a page: the language, the look of the site, and the identifier of the request.

use actix_web::HttpRequest;

use super::{Label, Language, PageDesign, RequestId};

/// Person who sees a page.
#[derive(Clone, Copy)]
pub struct Viewer<'a> {
    /// Language of the page.
    pub language: Language,
    /// Request identifier in logs and on the page.
    pub request_id: &'a RequestId,
    /// Look of the page.
    pub design: &'a PageDesign,
}

impl<'a> Viewer<'a> {
    /// The person behind a request.
    #[must_use]
    pub fn of(req: &HttpRequest, request_id: &'a RequestId, design: &'a PageDesign) -> Self {
        Self { language: Language::of(req), request_id, design }
    }

    /// The label in the person's language.
    #[must_use]
    pub(crate) fn label(&self, label: Label) -> &'static str {
        self.language.label(label)
    }
}
