//! HTTP client in memory: a function responds to every request, in virtual time if the test has paused it.
//!
//! Knows no Provider; the test supplies the script.

use std::rc::Rc;

use futures_core::future::LocalBoxFuture;

use super::message::{Request, Response};
use crate::oidc::ProviderError;

/// Request as the script sees it.
#[derive(Clone, Debug)]
pub(crate) struct ScriptedRequest {
    /// `GET` or `POST`.
    pub(crate) method: String,
    /// The whole URL.
    pub(crate) url: String,
    /// The `Authorization` header, of Basic authentication or of UserInfo.
    pub(crate) authorization: Option<String>,
    /// The form of a `POST`, empty for a `GET`.
    pub(crate) body: String,
}

/// Script that responds. Its futures may use `tokio::time`; the timeout of a real request applies too.
#[derive(Clone)]
pub(crate) struct ScriptedWire(Rc<dyn Fn(ScriptedRequest) -> LocalBoxFuture<'static, Result<Response, ProviderError>>>);

impl ScriptedWire {
    pub(crate) fn new<F>(script: impl Fn(ScriptedRequest) -> F + 'static) -> Self
    where
        F: Future<Output = Result<Response, ProviderError>> + 'static,
    {
        Self(Rc::new(move |request| Box::pin(script(request))))
    }

    pub(super) async fn send(&self, request: Request<'_>) -> Result<Response, ProviderError> {
        let request = ScriptedRequest {
            method: request.method.to_string(),
            url: request.url.to_owned(),
            authorization: request.authorization.map(str::to_owned),
            body: request.body,
        };
        (self.0)(request).await
    }
}

impl ScriptedRequest {
    /// Value of a form field.
    pub(crate) fn field(&self, name: &str) -> Option<String> {
        let mut pairs = url::form_urlencoded::parse(self.body.as_bytes());
        pairs.find(|(given, _)| given == name).map(|(_, value)| value.into_owned())
    }
}

impl Response {
    /// A response with a JSON body.
    pub(crate) fn json(status: u16, body: &serde_json::Value) -> Self {
        Self { status, retry_after: None, date: None, body: body.to_string().into() }
    }
}
