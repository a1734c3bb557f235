//! Properties of sealing: a sealed value opens only in its own context.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use oauth_proxy::crypto::{
    CookieContext, Key, KeyId, KeyRing, OpenError, PartContext, RecordCipher, RecordPart, SealedPart, open_cookie,
    seal_cookie,
};
use proptest::prelude::{Strategy, any, prop, prop_assert_eq, prop_assume, proptest};

const KEY: [u8; 32] = [6; 32];

fn ring() -> KeyRing {
    ring_named("k1")
}

/// The key of [`ring`] under another name: a seal that did not bind its `kid` would open under it.
fn ring_named(id: &str) -> KeyRing {
    KeyRing::new(vec![(KeyId::parse(id).unwrap(), Key::from_bytes(&KEY).unwrap())]).unwrap()
}

/// Full context of a sealed part, and the secret that opens it.
#[derive(Clone, Debug, PartialEq)]
struct Place {
    id: [u8; 16],
    secret: [u8; 32],
    is_request_part: bool,
    generation: u64,
    hints: (Option<i64>, Option<i64>),
    issuer: String,
    client_id: String,
}

fn place() -> impl Strategy<Value = Place> {
    (
        any::<[u8; 16]>(),
        any::<[u8; 32]>(),
        any::<bool>(),
        any::<u64>(),
        any::<(Option<i64>, Option<i64>)>(),
        "[a-z:/.]{0,20}",
        "[a-z0-9-]{0,20}",
    )
        .prop_map(|(id, secret, is_request_part, generation, hints, issuer, client_id)| Place {
            id,
            secret,
            is_request_part,
            generation,
            hints,
            issuer,
            client_id,
        })
}

impl Place {
    fn cipher(&self) -> RecordCipher<'_> {
        RecordCipher { id: &self.id, secret: &self.secret, issuer: &self.issuer, client_id: &self.client_id }
    }

    fn context(&self) -> PartContext {
        PartContext {
            part: if self.is_request_part { RecordPart::Request } else { RecordPart::Refresh },
            generation: self.generation,
            access_token_expires_at: self.hints.0,
            refresh_at: self.hints.1,
        }
    }

    fn seal(&self, plaintext: &[u8]) -> SealedPart {
        self.cipher().seal(plaintext, self.context(), &ring())
    }

    fn open(&self, sealed: &SealedPart) -> Result<Vec<u8>, OpenError> {
        self.cipher().open(sealed, self.context(), &ring()).map(|plaintext| plaintext.to_vec())
    }

    /// This place with its `number`th field replaced by that of `other`.
    fn with_one_of(&self, other: &Self, number: usize) -> Self {
        let mut changed = self.clone();
        match number {
            0 => changed.id = other.id,
            1 => changed.secret = other.secret,
            2 => changed.is_request_part = !self.is_request_part,
            3 => changed.generation = other.generation,
            4 => changed.issuer.clone_from(&other.issuer),
            5 => changed.hints = other.hints,
            _ => changed.client_id.clone_from(&other.client_id),
        }
        changed
    }
}

proptest! {
    #[test]
    fn a_part_opens_where_it_was_sealed(place in place(), plaintext in any::<Vec<u8>>()) {
        prop_assert_eq!(place.open(&place.seal(&plaintext)), Ok(plaintext));
    }

    #[test]
    fn a_part_opens_nowhere_else(place in place(), other in place(), number in 0_usize..7) {
        let elsewhere = place.with_one_of(&other, number);
        prop_assume!(elsewhere != place);

        prop_assert_eq!(elsewhere.open(&place.seal(b"tokens")), Err(OpenError::Invalid));
    }

    #[test]
    fn the_key_and_the_record_open_nothing_without_the_secret(place in place(), guess: [u8; 32]) {
        prop_assume!(guess != place.secret);
        let without_cookie = Place { secret: guess, ..place.clone() };

        prop_assert_eq!(without_cookie.open(&place.seal(b"tokens")), Err(OpenError::Invalid));
    }

    #[test]
    fn a_part_of_another_session_does_not_pass_for_this_ones(place in place(), other in place()) {
        prop_assume!(place != other);

        prop_assert_eq!(place.open(&other.seal(b"tokens")), Err(OpenError::Invalid));
    }

    #[test]
    fn a_part_under_another_keys_name_stays_shut(place in place()) {
        let mut sealed = place.seal(b"tokens");
        sealed.kid = "k2".to_owned();

        let opened = place.cipher().open(&sealed, place.context(), &ring_named("k2"));

        prop_assert_eq!(opened.unwrap_err(), OpenError::Invalid);
    }

    #[test]
    fn a_part_with_any_bit_flipped_stays_shut(place in place(), plaintext: Vec<u8>, bit: prop::sample::Index) {
        let mut sealed = place.seal(&plaintext);
        let bit = bit.index((sealed.salt.len() + sealed.ciphertext.len()) * 8);
        let bytes = sealed.salt.iter_mut().chain(&mut sealed.ciphertext);
        *bytes.into_iter().nth(bit / 8).unwrap() ^= 1 << (bit % 8);

        prop_assert_eq!(place.open(&sealed), Err(OpenError::Invalid));
    }

    #[test]
    fn a_part_cut_or_grown_stays_shut(place in place(), plaintext: Vec<u8>, at: prop::sample::Index, more: Vec<u8>) {
        let whole = place.seal(&plaintext);

        let mut cut = whole.clone();
        cut.ciphertext.truncate(at.index(whole.ciphertext.len()));
        let mut grown = whole;
        grown.ciphertext.push(0);
        grown.ciphertext.extend(more);

        prop_assert_eq!(place.open(&cut), Err(OpenError::Invalid));
        prop_assert_eq!(place.open(&grown), Err(OpenError::Invalid));
    }

    #[test]
    fn the_request_and_the_refresh_part_of_two_generations_mix_in_no_way(place in place(), plaintext: Vec<u8>) {
        let next = Place { generation: place.generation.wrapping_add(1), ..place.clone() };
        let mixed = SealedPart { ciphertext: next.seal(&plaintext).ciphertext, ..place.seal(&plaintext) };

        prop_assert_eq!(place.open(&mixed), Err(OpenError::Invalid));
        prop_assert_eq!(next.open(&mixed), Err(OpenError::Invalid));
    }

    #[test]
    fn a_cookie_opens_in_its_own_place_alone(name in "[a-z_-]{1,20}", origin in "[a-z:/.]{1,20}", plaintext: Vec<u8>) {
        let plaintext = &plaintext[..plaintext.len().min(1000)];
        let here = CookieContext { name: &name, origin: &origin };
        let sealed = seal_cookie(plaintext, here, &ring());
        // The same characters with the boundary moved by one.
        let (moved_name, rest) = (format!("{name}{}", &origin[..1]), &origin[1..]);

        let elsewhere = [
            CookieContext { name: &moved_name, origin: rest },
            CookieContext { name: &origin, origin: &name },
            CookieContext { name: &name, origin: "" },
        ];
        prop_assert_eq!(open_cookie(&sealed, here, &ring()).unwrap().to_vec(), plaintext);
        for place in elsewhere.into_iter().filter(|place| (place.name, place.origin) != (here.name, here.origin)) {
            prop_assert_eq!(open_cookie(&sealed, place, &ring()).unwrap_err(), OpenError::Invalid);
        }
    }

    #[test]
    fn a_cookie_with_any_bit_flipped_or_any_end_cut_stays_shut(plaintext: Vec<u8>, at: prop::sample::Index) {
        let here = CookieContext { name: "__Host-session", origin: "https://app.example" };
        let sealed = seal_cookie(&plaintext[..plaintext.len().min(1000)], here, &ring());
        let body = URL_SAFE_NO_PAD.decode(sealed.strip_prefix("1.k1.").unwrap()).unwrap();
        let value = |kid: &str, body: &[u8]| format!("1.{kid}.{}", URL_SAFE_NO_PAD.encode(body));

        let mut flipped = body.clone();
        let bit = at.index(body.len() * 8);
        flipped[bit / 8] ^= 1 << (bit % 8);
        let changed = [value("k1", &flipped), value("k1", &body[..at.index(body.len())])];

        prop_assert_eq!(value("k1", &body), sealed);
        for value in changed {
            prop_assert_eq!(open_cookie(&value, here, &ring()).unwrap_err(), OpenError::Invalid);
        }
        let renamed = open_cookie(&value("k2", &body), here, &ring_named("k2"));
        prop_assert_eq!(renamed.unwrap_err(), OpenError::Invalid);
    }
}
