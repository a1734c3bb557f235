//! Settings of the browser's cache for signed-in people, and of its clearing when another person signs in.

use super::reader::{Reader, Setting};
use crate::proxy::BrowserCache;
use crate::web::ClearSiteData;

const BROWSER_CACHE: Setting = Setting { name: "BROWSER_CACHE", expected: "allow or no-store", example: "allow" };
const CLEAR_SITE_DATA: Setting = Setting {
    name: "CLEAR_SITE_DATA",
    expected: "none, or some of cache, cookies and storage, separated by commas",
    example: "cache,storage",
};

pub(super) struct Browser {
    pub(super) cache: BrowserCache,
    pub(super) clear_site_data: ClearSiteData,
}

pub(super) fn read(reader: &mut Reader<'_>) -> Option<Browser> {
    let cache = reader.parse_or(BROWSER_CACHE, BrowserCache::Allow, |text| match text {
        "allow" => Some(BrowserCache::Allow),
        "no-store" => Some(BrowserCache::NoStore),
        _ => None,
    });
    let cache_only = ClearSiteData { cache: true, ..ClearSiteData::default() };
    let clear_site_data = reader.parse_or(CLEAR_SITE_DATA, cache_only, clear_site_data);
    Some(Browser { cache: cache?, clear_site_data: clear_site_data? })
}

fn clear_site_data(text: &str) -> Option<ClearSiteData> {
    let mut types = ClearSiteData::default();
    if text == "none" {
        return Some(types);
    }
    for name in text.split(',') {
        let is_cleared = match name.trim() {
            "cache" => &mut types.cache,
            "cookies" => &mut types.cookies,
            "storage" => &mut types.storage,
            _ => return None,
        };
        *is_cleared = true;
    }
    Some(types)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Environment;

    /// The parsed settings, and the variables with a mistake.
    fn read_from(environment: Environment) -> (Option<Browser>, Vec<&'static str>) {
        let mut reader = Reader::new(&environment);
        let browser = read(&mut reader);
        (browser, reader.finish().iter().map(|mistake| mistake.variable).collect())
    }

    #[test]
    fn by_default_browsers_cache_and_the_cache_is_cleared() {
        let (browser, mistakes) = read_from(Environment::default());

        let Browser { cache, clear_site_data } = browser.unwrap();
        assert_eq!(cache, BrowserCache::Allow);
        assert_eq!(clear_site_data, ClearSiteData { cache: true, cookies: false, storage: false });
        assert!(mistakes.is_empty());
    }

    #[test]
    fn the_types_to_clear_are_a_list() {
        for (text, cache, cookies, storage) in [
            ("none", false, false, false),
            ("cache", true, false, false),
            ("cookies", false, true, false),
            ("storage , cache", true, false, true),
            ("cache,cookies,storage", true, true, true),
            ("cache,cache", true, false, false),
        ] {
            let (browser, _) = read_from(Environment::from([("CLEAR_SITE_DATA", text)]));
            assert_eq!(browser.unwrap().clear_site_data, ClearSiteData { cache, cookies, storage }, "{text}");
        }
    }

    #[test]
    fn other_words_are_mistakes_and_all_are_told() {
        for (cache, types) in [("deny", "all"), ("Allow", "Cache"), ("no_store", "cache,none"), ("0", "cache,")] {
            let (browser, mistakes) =
                read_from(Environment::from([("BROWSER_CACHE", cache), ("CLEAR_SITE_DATA", types)]));
            assert!(browser.is_none());
            assert_eq!(mistakes, ["BROWSER_CACHE", "CLEAR_SITE_DATA"]);
        }
    }
}
