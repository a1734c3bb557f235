//! Texts of our pages by language: titles, sentences and labels of buttons and links, from one file per language.
//!
//! The files are TOML and are read at compile time: a text that is missing, unknown or out of order does not compile.

use super::language::Language;

/// Closed set of texts, each named as in the language files.
macro_rules! texts {
    ($(#[$doc:meta])* $kind:ident { $($name:ident)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum $kind {
            $($name,)*
        }

        impl $kind {
            const NAMES: [&str; [$(stringify!($name)),*].len()] = [$(stringify!($name)),*];
        }
    };
}

texts! {
    /// Heading of a page, and the window's title.
    Title {
        SessionEnded
        ServiceNotReady
        NotTheWayIn
        RequestRefused
        MayNotOpen
        SignInOnceMore
        SignInTooWeak
        ForPrograms
        SignInLoop
        AddressUnusable
        NotPassedOn
        NothingHere
        NotPossibleHere
        NoLiveUpdates
        ApplicationDown
        ApplicationSlow
        UploadStopped
        ProviderDown
        SignInNotSetUp
        LinkForAnother
        AddressTooLong
        NotSignedIn
        OneMoreStep
        ApprovalNeeded
        SignInUnfinished
        SignInOver
        SignInUsed
        SignedOutMeanwhile
        SignInTooSlow
        LogoutNotDone
        SessionsUnreadable
        NotSetUpYet
        FormRefused
        FormTooOld
        FormOfAnother
        SignedOut
        SignOutQuestion
        SignedIn
        SendFormQuestion
        SendingForm
        ToApplication
        SignInToSee
        MayNotWork
        SigningIn
    }
}

texts! {
    /// Sentence of a page. A page strings several together.
    Sentence {
        SessionRequired
        GatewayUnknown
        NotTheWayIn
        GatewayUnproved
        Csrf
        CrossSite
        AccessDenied
        StepUpRequired
        StepUpUnmet
        ForPrograms
        BrowserSendsNone
        CookieNotReturned
        CookiesMayBeBlocked
        AllowCookies
        ApplicationAsksAgain
        ClockSkew
        SessionLost
        AddressUnusable
        HeadersTooLarge
        RouteNotFound
        MethodNotAllowed
        WebSocketUnsupported
        UpstreamUnreachable
        UpstreamBroken
        UpstreamTimeout
        UploadStopped
        SessionCut
        RequestIncomplete
        ProviderDown
        ProviderMismatch
        RequestRefused
        ClientRefused
        SecretExpired
        SecretWrong
        FederatedCredential
        RedirectUri
        OtherIssuer
        ReturnUrlTooLong
        SignInUnusable
        Cancelled
        NotAllowed
        Interaction
        AdminConsent
        LoginUnknown
        SignInOver
        SignInUsed
        SignedOutMeanwhile
        SignInTooSlow
        FrontchannelBusy
        SessionsUnreadable
        RefreshUnavailable
        RouteTokenUnavailable
        RouteTokenRefused
        RouteTokenInteraction
        ConfigurationIncomplete
        FormTooLarge
        FormTimeout
        FormIncomplete
        FormBusy
        FormUnsupported
        KeptFormInvalid
        FormOfAnother
        SignedOut
        StillSignedIn
        SignOut
        SignedInElsewhere
        SendForm
        SendingForm
        ToApplication
        SignInToSee
        MayNotWork
        NothingPassedOn
        NotAccepted
        MayHaveArrived
        KeptHere
        SendAgainSoon
        ReloadToSend
        ReturnAndSend
        ReturnAndReload
        NotKeptTooLarge
        NotKeptFiles
        NotKept
        FromAnotherSite
        StartAgain
        RetrySoon
        RetryUseless
        PleaseReport
        ReportIfAgain
    }
}

texts! {
    /// Label of a link, a button or a reference.
    Label {
        SignIn
        SignInNewTab
        SignInAgain
        SignInAsAnother
        TryAgain
        StartPage
        OpenApplication
        OpenAnyway
        SendAgain
        SendAs
        Continue
        ContinueToSignIn
        SignOut
        StaySignedIn
        Reason
        Request
        Contact
    }
}

/// All texts of one language.
struct Texts {
    titles: [&'static str; Title::NAMES.len()],
    sentences: [&'static str; Sentence::NAMES.len()],
    labels: [&'static str; Label::NAMES.len()],
}

static ENGLISH: Texts = Texts::parse(include_str!("texts/en.toml"));
static GERMAN: Texts = Texts::parse(include_str!("texts/de.toml"));
static FRENCH: Texts = Texts::parse(include_str!("texts/fr.toml"));
static SPANISH: Texts = Texts::parse(include_str!("texts/es.toml"));
static DUTCH: Texts = Texts::parse(include_str!("texts/nl.toml"));
static JAPANESE: Texts = Texts::parse(include_str!("texts/ja.toml"));

impl Language {
    /// The title in this language.
    #[must_use]
    pub(crate) fn title(self, title: Title) -> &'static str {
        self.texts().titles[title as usize]
    }

    /// The sentence in this language.
    #[must_use]
    pub(crate) fn sentence(self, sentence: Sentence) -> &'static str {
        self.texts().sentences[sentence as usize]
    }

    /// The label in this language.
    #[must_use]
    pub(crate) fn label(self, label: Label) -> &'static str {
        self.texts().labels[label as usize]
    }

    /// Text of these sentences. Japanese has no blank between two.
    #[must_use]
    pub(crate) fn text(self, sentences: &[Sentence]) -> String {
        let sentences: Vec<&str> = sentences.iter().map(|sentence| self.sentence(*sentence)).collect();
        sentences.join(if matches!(self, Self::Japanese) { "" } else { " " })
    }

    fn texts(self) -> &'static Texts {
        match self {
            Self::English => &ENGLISH,
            Self::German => &GERMAN,
            Self::French => &FRENCH,
            Self::Spanish => &SPANISH,
            Self::Dutch => &DUTCH,
            Self::Japanese => &JAPANESE,
        }
    }
}

impl Texts {
    const fn parse(file: &'static str) -> Self {
        let file = skip(file, 0);
        let (titles, rest) = section(file, "[titles]", &Title::NAMES);
        let (sentences, rest) = section(rest, "[sentences]", &Sentence::NAMES);
        let (labels, rest) = section(rest, "[labels]", &Label::NAMES);
        assert!(rest.is_empty(), "there is a text more than `texts!` names");
        Self { titles, sentences, labels }
    }
}

/// Texts of the section at the start of `file`, and the part after it.
const fn section<const N: usize>(
    file: &'static str,
    heading: &str,
    names: &[&str; N],
) -> ([&'static str; N], &'static str) {
    let mut texts = [""; N];
    let mut rest = expect(file, heading);
    let mut index = 0;
    while index < N {
        rest = expect(expect(skip(rest, 0), names[index]), " = \"");
        let end = end_of_text(rest);
        assert!(end > 0, "a text is empty");
        let (text, after) = rest.split_at(end);
        texts[index] = text;
        rest = expect(after, "\"\n");
        index += 1;
    }
    (texts, skip(rest, 0))
}

/// `text` without the words that it must begin with.
const fn expect(text: &'static str, words: &str) -> &'static str {
    let (found, expected) = (text.as_bytes(), words.as_bytes());
    let mut at = 0;
    while at < expected.len() {
        if at >= found.len() || found[at] != expected[at] {
            panic!("{}", words); // the text that is expected here
        }
        at += 1;
    }
    text.split_at(at).1
}

/// `text` from `at` on, without the empty lines and the comments there.
const fn skip(text: &'static str, mut at: usize) -> &'static str {
    let bytes = text.as_bytes();
    while at < bytes.len() && (bytes[at] == b'\n' || bytes[at] == b'#') {
        while bytes[at] != b'\n' {
            at += 1;
        }
        at += 1;
    }
    text.split_at(at).1
}

/// Index of the closing quotation mark. A backslash would begin an escape of TOML, which this parser has none of.
const fn end_of_text(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut at = 0;
    while bytes[at] != b'"' {
        assert!(bytes[at] != b'\\' && bytes[at] != b'\n', "a text has a backslash or no closing quotation mark");
        at += 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every text of a language, by its name.
    fn all(language: Language) -> Vec<(String, &'static str)> {
        let Texts { titles, sentences, labels } = language.texts();
        let titles = Title::NAMES.iter().map(|name| format!("titles.{name}")).zip(titles);
        let sentences = Sentence::NAMES.iter().map(|name| format!("sentences.{name}")).zip(sentences);
        let labels = Label::NAMES.iter().map(|name| format!("labels.{name}")).zip(labels);
        titles.chain(sentences).chain(labels).map(|(name, text)| (name, *text)).collect()
    }

    /// Placeholders of a text: `{person}` and the like.
    fn placeholders(text: &str) -> Vec<&str> {
        text.match_indices('{').map(|(at, _)| &text[at..=at + text[at..].find('}').unwrap()]).collect()
    }

    #[test]
    fn every_language_has_the_placeholders_of_english_and_a_text_of_its_own() {
        // Words that two languages share.
        let is_shared = |name: &str| matches!(name, "labels.Request");
        for language in Language::ALL.into_iter().filter(|language| *language != Language::English) {
            for ((name, english), (_, text)) in all(Language::English).into_iter().zip(all(language)) {
                assert_eq!(placeholders(text), placeholders(english), "{language:?} {name}");
                assert!(is_shared(&name) || text != english, "{language:?} {name} is not translated");
            }
        }
    }

    #[test]
    fn no_text_of_a_language_is_written_twice() {
        for language in Language::ALL {
            let texts = all(language);
            for (at, (name, text)) in texts.iter().enumerate() {
                let kind = name.split('.').next().unwrap();
                let twice = texts[at + 1..].iter().find(|(other, same)| same == text && other.starts_with(kind));
                assert_eq!(twice, None, "{language:?} {name}");
            }
        }
    }

    #[test]
    fn every_sentence_ends_as_one_and_no_text_has_markup_or_odd_blanks() {
        for language in Language::ALL {
            for (name, text) in all(language) {
                let is_sentence = name.starts_with("sentences.");
                assert_eq!(text.ends_with(['.', '。']), is_sentence, "{language:?} {name}");
                assert!(!text.contains(['<', '>', '&', '"', '\t']) && !text.contains("  "), "{language:?} {name}");
                assert_eq!(text.trim(), text, "{language:?} {name}");
                assert!(text.chars().count() <= 260, "{language:?} {name} is too long for a page");
            }
        }
    }

    #[test]
    fn french_keeps_its_blank_before_high_punctuation() {
        for (name, text) in all(Language::French) {
            let found = text.match_indices(['?', '!', ':', ';']).find(|(at, _)| !text[..*at].ends_with('\u{a0}'));
            assert_eq!(found, None, "{name}");
        }
    }

    #[test]
    fn sentences_are_strung_together_as_the_language_does() {
        let sentences = [Sentence::ProviderDown, Sentence::RetrySoon];

        assert_eq!(Language::English.text(&sentences), "Signing in is not possible right now. Try again in a moment.");
        assert_eq!(
            Language::Japanese.text(&sentences),
            "現在、サインインできません。しばらくしてから、もう一度お試しください。"
        );
    }
}
