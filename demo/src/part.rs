//! The parts of the demo. Each has one name and one hue, in the terminal and on every page.

/// Part of the demo: author of a line in the terminal, or owner of a thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// The product.
    Handler,
    /// The stand-in for an identity provider.
    Provider,
    /// The legacy application.
    Application,
    /// The browser of whoever tries the demo.
    Browser,
}

impl Part {
    /// Its name in the terminal, and its class in the style sheet.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Handler => "handler",
            Self::Provider => "provider",
            Self::Application => "app",
            Self::Browser => "browser",
        }
    }

    /// Its hue in a terminal (ECMA-48, SGR): the style sheet has the same ones.
    pub(crate) fn colour(self) -> &'static str {
        match self {
            Self::Handler => "34",
            Self::Provider => "35",
            Self::Application => "32",
            Self::Browser => "90",
        }
    }
}
