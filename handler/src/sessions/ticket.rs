//! Session ticket in the cookie: identifier, secret and times.
//!
//! Fixed layout, 73 bytes: version, identifier, `S`, and three times. `crypto` seals it.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::clock::Timestamp;
use crate::crypto::{base64url, derive_session};

const VERSION: u8 = 1;
const LENGTH: usize = 1 + 16 + 32 + 3 * 8;

/// Identifier of a session, only in its cookie; the store knows its [`SessionKey`]. Prints nothing.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct SessionId([u8; 16]);

/// Secret `S` of a session: opens its record, and exists only in its cookie. Prints nothing.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct SessionSecret([u8; 32]);

/// Key of a session in the store: `base64url(SHA-256("sid" || id))`, independent of rotating keys.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SessionKey(String);

impl SessionId {
    /// The identifier's bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// Token of a sign-out link (`signout?token=`): derived from the identifier without revealing it.
    #[must_use]
    pub fn sign_out_token(&self) -> String {
        base64url(&Sha256::new().chain_update(b"signout").chain_update(self.0).finalize()[..16])
    }

    /// True for this session's own [`sign_out_token`](Self::sign_out_token), compared in constant time.
    #[must_use]
    pub fn is_sign_out_token(&self, token: &str) -> bool {
        self.sign_out_token().as_bytes().ct_eq(token.as_bytes()).into()
    }

    /// Key of this session in the store.
    #[must_use]
    pub fn key(&self) -> SessionKey {
        SessionKey(base64url(&Sha256::new().chain_update(b"sid").chain_update(self.0).finalize()))
    }
}

impl SessionSecret {
    /// The secret's bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl SessionKey {
    /// The key as text, 43 characters of the base64url alphabet.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionId(..)")
    }
}

impl fmt::Debug for SessionSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionSecret(..)")
    }
}

/// Content of the session cookie, sent with each request.
#[derive(Clone, Debug)]
pub struct SessionTicket {
    /// The identifier.
    pub id: SessionId,
    /// The secret, which opens the record.
    pub secret: SessionSecret,
    /// Time of the sign-in.
    pub issued_at: Timestamp,
    /// Time of the cookie's last issue; the idle limit counts from here.
    pub last_seen: Timestamp,
    /// Absolute end, which sliding never moves.
    pub expires_at: Timestamp,
}

/// Error for opened bytes that are no ticket of this version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a session ticket of this version")]
pub struct TicketError;

impl SessionTicket {
    /// Session of one sign-in: identifier and secret are derived from the sign-in's 32 random bytes and the
    /// Provider's code, so a repeated callback yields the same session, and no other callback does.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32], code: &str, now: Timestamp, expires_at: Timestamp) -> Self {
        let derived = derive_session(seed, code.as_bytes());
        let mut id = [0; 16];
        let mut secret = [0; 32];
        id.copy_from_slice(&derived[..16]);
        secret.copy_from_slice(&derived[16..]);
        Self { id: SessionId(id), secret: SessionSecret(secret), issued_at: now, last_seen: now, expires_at }
    }

    /// Serialises the ticket, to be sealed.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(LENGTH));
        bytes.push(VERSION);
        bytes.extend_from_slice(&self.id.0);
        bytes.extend_from_slice(&self.secret.0);
        for time in [self.issued_at, self.last_seen, self.expires_at] {
            bytes.extend_from_slice(&time.as_unix().to_be_bytes());
        }
        bytes
    }

    /// Parses the bytes of [`Self::to_bytes`].
    ///
    /// # Errors
    /// [`TicketError`] for another version or another length.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, TicketError> {
        let (&[VERSION], rest) = bytes.split_first_chunk().ok_or(TicketError)? else {
            return Err(TicketError);
        };
        let (id, rest) = rest.split_first_chunk().ok_or(TicketError)?;
        let (secret, rest) = rest.split_first_chunk().ok_or(TicketError)?;
        let (issued_at, rest) = read_time(rest)?;
        let (last_seen, rest) = read_time(rest)?;
        let (expires_at, rest) = read_time(rest)?;
        if !rest.is_empty() {
            return Err(TicketError);
        }
        Ok(Self { id: SessionId(*id), secret: SessionSecret(*secret), issued_at, last_seen, expires_at })
    }
}

fn read_time(bytes: &[u8]) -> Result<(Timestamp, &[u8]), TicketError> {
    let (time, rest) = bytes.split_first_chunk().ok_or(TicketError)?;
    Ok((Timestamp::from_unix(i64::from_be_bytes(*time)), rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::base64url_decode;
    use crate::random;

    const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);
    const END: Timestamp = Timestamp::from_unix(1_800_028_800);

    #[test]
    fn a_ticket_reads_back_as_it_was_written() {
        let ticket = SessionTicket::from_seed(&random::bytes(), "code", NOW, END);

        let read = SessionTicket::from_bytes(&ticket.to_bytes()).unwrap();

        assert_eq!(read.to_bytes(), ticket.to_bytes());
        assert_eq!((read.issued_at, read.last_seen, read.expires_at), (NOW, NOW, END));
    }

    #[test]
    fn one_sign_in_is_one_session_and_no_other_code_leads_to_it() {
        let ticket = |seed: u8, code: &str| SessionTicket::from_seed(&[seed; 32], code, NOW, END).to_bytes();

        assert_eq!(ticket(1, "code"), ticket(1, "code"));
        assert_ne!(ticket(1, "code"), ticket(2, "code"));
        assert_ne!(ticket(1, "code"), ticket(1, "other"));
    }

    #[test]
    fn another_version_or_length_is_refused() {
        let valid = SessionTicket::from_seed(&random::bytes(), "code", NOW, END).to_bytes().to_vec();
        for length in 0..valid.len() {
            assert_eq!(SessionTicket::from_bytes(&valid[..length]).unwrap_err(), TicketError, "{length} bytes");
        }
        assert!(SessionTicket::from_bytes(&[valid.clone(), vec![0]].concat()).is_err());
        assert!(SessionTicket::from_bytes(&[vec![2], valid[1..].to_vec()].concat()).is_err());
    }

    #[test]
    fn the_stores_key_follows_from_the_identifier_alone() {
        let id = SessionId([0; 16]);

        assert_eq!(id.key(), SessionId([0; 16]).key());
        assert_ne!(id.key(), SessionId([1; 16]).key());
        assert_eq!(id.key().as_str().len(), 43);
    }

    #[test]
    fn a_ticket_prints_no_secret() {
        let ticket = SessionTicket {
            secret: SessionSecret([0xAB; 32]),
            ..SessionTicket::from_seed(&random::bytes(), "code", NOW, END)
        };

        let printed = format!("{ticket:?}");

        assert!(printed.contains("SessionSecret(..)") && printed.contains("SessionId(..)"), "{printed}");
        assert!(!printed.contains("171"), "{printed}");
    }

    const FROZEN: &str = "AcOWPPzujjPbXRoB4QhjwWirQvPUUWqt6JBeF_R8ps4JuFOGbVznz1xvNLpJ-XfL5AAAAABrSdIAAAAAAGtJ1FgAAAAAa0pC\
        gA";

    #[test]
    fn the_frozen_ticket_never_changes() {
        let last_seen = Timestamp::from_unix(1_800_000_600);

        let ticket = SessionTicket { last_seen, ..SessionTicket::from_seed(&[3; 32], "frozen", NOW, END) };

        assert_eq!(base64url(&ticket.to_bytes()), FROZEN);
    }

    #[test]
    fn the_frozen_ticket_still_opens() {
        let ticket = SessionTicket::from_bytes(&base64url_decode(FROZEN).unwrap()).unwrap();

        let expected = SessionTicket::from_seed(&[3; 32], "frozen", NOW, END);
        assert_eq!(ticket.id, expected.id);
        assert_eq!(ticket.secret.as_bytes(), expected.secret.as_bytes());
        let times = [ticket.issued_at, ticket.last_seen, ticket.expires_at].map(Timestamp::as_unix);
        assert_eq!(times, [1_800_000_000, 1_800_000_600, 1_800_028_800]);
    }

    #[test]
    fn the_frozen_names_of_a_session_never_change() {
        let id = SessionTicket::from_seed(&[3; 32], "frozen", NOW, END).id;

        assert_eq!(id.key().as_str(), "N-qJ5kyyOos8W9xrY2Kwi-WXktpo_axsprL4w--pom0");
        assert_eq!(id.sign_out_token(), "lSoJZ9ZEwKxM-1mu_p1eQQ");
        assert!(id.is_sign_out_token("lSoJZ9ZEwKxM-1mu_p1eQQ"));
    }
}
