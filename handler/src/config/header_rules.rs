//! Lists of client headers: those that are removed, and those that pass all the same.

use super::reader::{Reader, Setting};
use crate::proxy::{HeaderRuleError, HeaderRules};

const STRIP_HEADERS: Setting = Setting {
    name: "STRIP_HEADERS",
    expected: "names of client headers that no upstream gets, or families such as x-acme-*, separated by commas",
    example: "x-acme-*,x-tenant-id",
};
const KEEP_HEADERS: Setting = Setting {
    name: "KEEP_HEADERS",
    expected: "names of client headers that pass though they look like identity, or families, separated by commas; none of \
               ours, the gateway's or the platform's",
    example: "x-http-method-override",
};

pub(super) fn read(reader: &mut Reader<'_>) -> Option<HeaderRules> {
    let [strip, keep] =
        [STRIP_HEADERS, KEEP_HEADERS].map(|setting| (setting, reader.optional(setting).unwrap_or_default()));
    let mut checked = |(setting, strip, keep)| {
        let rules = HeaderRules::parse(strip, keep);
        rules.map_err(|error: HeaderRuleError| reader.mistake(setting, error.to_string())).ok()
    };
    // Each list on its own, so that mistakes in both are reported.
    let (stripped, kept) = (checked((strip.0, strip.1, "")), checked((keep.0, "", keep.1)));
    stripped.and(kept).and_then(|_| HeaderRules::parse(strip.1, keep.1).ok())
}
