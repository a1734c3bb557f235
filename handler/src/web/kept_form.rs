//! Form that arrived without a session, sealed into the error page: nothing is stored anywhere else.
//!
//! It opens for [`KeptForm::LIFETIME`], at every instance. The visible page shows none of it.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::crypto::{KeySource, KeysUnavailable, open_form, open_with_reload, seal_form};
use crate::public_origin::PublicOrigin;
use crate::sessions::{IndexKey, SessionKey};

/// Form for the Upstream that could not be forwarded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptForm {
    /// Request target, byte for byte.
    pub target: String,
    /// `Content-Type` of the form.
    pub content_type: String,
    /// Body of the form.
    pub body: Vec<u8>,
    /// Session of the request's cookie, live or ended.
    pub session: Option<SessionKey>,
    /// Person of that session, if its record could be opened.
    pub person: Option<IndexKey>,
    /// Time of arrival.
    pub kept_at: Timestamp,
}

/// Metadata; the body follows after a line end.
#[derive(Serialize, Deserialize)]
struct Head {
    target: String,
    content_type: String,
    session: Option<SessionKey>,
    person: Option<String>,
    kept_at: Timestamp,
}

impl KeptForm {
    /// Maximum age at which it can be resubmitted: a page left open overnight.
    pub const LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

    fn to_bytes(&self) -> Vec<u8> {
        let head = Head {
            target: self.target.clone(),
            content_type: self.content_type.clone(),
            session: self.session.clone(),
            person: self.person.as_ref().map(|key| key.as_str().to_owned()),
            kept_at: self.kept_at,
        };
        let mut bytes = serde_json::to_vec(&head).expect("a head is plain data"); // JSON escapes line ends
        bytes.push(b'\n');
        bytes.extend_from_slice(&self.body);
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let end = bytes.iter().position(|byte| *byte == b'\n')?;
        let head: Head = serde_json::from_slice(&bytes[..end]).ok()?;
        Some(Self {
            target: head.target,
            content_type: head.content_type,
            body: bytes[end + 1..].to_vec(),
            session: head.session,
            person: head.person.as_deref().and_then(IndexKey::of_person),
            kept_at: head.kept_at,
        })
    }
}

/// Seals and opens kept forms on the public origin.
#[derive(Clone)]
pub struct KeptForms {
    origin: String,
    keys: Arc<dyn KeySource>,
}

impl KeptForms {
    /// Kept forms of this origin, sealed by these keys.
    #[must_use]
    pub fn new(origin: &PublicOrigin, keys: Arc<dyn KeySource>) -> Self {
        Self { origin: origin.as_str().to_owned(), keys }
    }

    /// Seals a form as text for a page; `None` without a key.
    #[must_use]
    pub fn seal(&self, form: &KeptForm) -> Option<String> {
        self.keys.is_ready().ok()?;
        Some(seal_form(&form.to_bytes(), &self.origin, &self.keys.cookie_keys()))
    }

    /// Opens a value of [`Self::seal`], if it is not too old. An unknown key triggers one reload.
    ///
    /// # Errors
    /// If that key may exist but cannot be loaded now: the form may be valid.
    pub async fn open(&self, sealed: &str, now: Timestamp) -> Result<Option<KeptForm>, KeysUnavailable> {
        let open = || open_form(sealed, &self.origin, &self.keys.cookie_keys());
        let opened = open_with_reload(&*self.keys, open).await?;
        let form = opened.and_then(|opened| KeptForm::from_bytes(&opened));
        Ok(form.filter(|form| now < form.kept_at.plus(KeptForm::LIFETIME)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::KeyRing;
    use crate::sessions::{IndexKind, SessionTicket};
    use crate::testing::{KeysOnReload, frozen_keys};

    const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);

    fn forms() -> KeptForms {
        KeptForms::new(&"https://app.example".parse().unwrap(), frozen_keys())
    }

    fn form() -> KeptForm {
        KeptForm {
            target: "/form?a=\"1\"".to_owned(),
            content_type: "multipart/form-data; boundary=b".to_owned(),
            body: b"line\r\n\xff\nline".to_vec(),
            session: Some(SessionTicket::from_seed(&[3; 32], "code", NOW, NOW).id.key()),
            person: Some(IndexKey::of(IndexKind::Subject, "https://op.example", "client", "ada")),
            kept_at: NOW,
        }
    }

    #[actix_web::test]
    async fn a_form_comes_back_byte_for_byte() {
        let anonymous = KeptForm { session: None, person: None, body: Vec::new(), ..form() };
        for form in [form(), anonymous] {
            let opened = forms().open(&forms().seal(&form).unwrap(), NOW).await.unwrap();

            assert_eq!(opened, Some(form));
        }
    }

    #[test]
    fn the_frozen_kept_form_never_changes() {
        let head = r#"{
            "target": "/form?a=1",
            "content_type": "application/x-www-form-urlencoded",
            "session": "N-qJ5kyyOos8W9xrY2Kwi-WXktpo_axsprL4w--pom0",
            "person": "RZ64-YSNQMEtqMIsq5qvlrVzRWaIDCxzdVNB7Vd4F64",
            "kept_at": 1800000000
        }"#;
        let head: String = head.split_whitespace().collect();
        let session = SessionTicket::from_seed(&[3; 32], "frozen", NOW, NOW).id.key();
        let content_type = "application/x-www-form-urlencoded".to_owned();
        let form = KeptForm { target: "/form?a=1".to_owned(), content_type, session: Some(session), ..form() };

        assert_eq!(form.to_bytes(), [head.as_bytes(), b"\n", &form.body].concat());
        assert_eq!(KeptForm::from_bytes(&form.to_bytes()), Some(form));
    }

    #[actix_web::test]
    async fn a_form_opens_for_a_day() {
        let sealed = forms().seal(&form()).unwrap();
        let end = NOW.plus(KeptForm::LIFETIME);

        assert!(forms().open(&sealed, end.minus(Duration::from_secs(1))).await.unwrap().is_some());
        assert!(forms().open(&sealed, end).await.unwrap().is_none());
    }

    #[actix_web::test]
    async fn what_is_no_form_of_this_origin_does_not_open() {
        let sealed = forms().seal(&form()).unwrap();
        let elsewhere = KeptForms::new(&"https://other.example".parse().unwrap(), frozen_keys());
        let headless = seal_form(b"{}\nbody", "https://app.example", &frozen_keys().cookie_keys());
        let endless = seal_form(b"{}", "https://app.example", &frozen_keys().cookie_keys());

        assert_eq!(elsewhere.open(&sealed, NOW).await.unwrap(), None);
        for value in ["", "1.c1.AAAA", &sealed[1..], &headless, &endless] {
            assert_eq!(forms().open(value, NOW).await.unwrap(), None, "{value}");
        }
    }

    #[actix_web::test]
    async fn a_form_under_a_key_that_is_not_in_hand_opens_after_one_reload() {
        let newest = Arc::new(KeyRing::generate());
        let origin: PublicOrigin = "https://app.example".parse().unwrap();
        let theirs = Arc::new(KeysOnReload::new(&newest));
        let ours = Arc::new(KeysOnReload::new(&newest));
        theirs.reload().await.unwrap();
        let sealed = KeptForms::new(&origin, theirs).seal(&form()).unwrap();

        let opened = KeptForms::new(&origin, Arc::<KeysOnReload>::clone(&ours)).open(&sealed, NOW).await.unwrap();

        assert_eq!((opened, ours.reloads()), (Some(form()), 1));
    }
}
