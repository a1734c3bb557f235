//! Settings for other host names of the site, and for the URL's fragment across a sign-in.

use super::reader::{Reader, Setting};

const REDIRECT_ALIASES: Setting = Setting {
    name: "REDIRECT_ALIASES",
    expected: "true or false: whether a page under another name than that of PUBLIC_BASE_URL is redirected there",
    example: "true",
};
const KEEP_FRAGMENT: Setting = Setting {
    name: "KEEP_FRAGMENT",
    expected: "true or false: whether a page of ours keeps the #fragment over a sign-in with a form",
    example: "true",
};

pub(super) struct PublicSide {
    pub(super) redirect_aliases: bool,
    pub(super) keep_fragment: bool,
}

pub(super) fn read(reader: &mut Reader<'_>) -> Option<PublicSide> {
    let redirect_aliases = reader.parse_or(REDIRECT_ALIASES, true, |text| text.parse().ok());
    let keep_fragment = reader.parse_or(KEEP_FRAGMENT, false, |text| text.parse().ok());
    Some(PublicSide { redirect_aliases: redirect_aliases?, keep_fragment: keep_fragment? })
}
