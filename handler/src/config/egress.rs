//! Proxies between us and the Provider, from the variables that other tools use too.

use super::Environment;
use super::reader::{Reader, Setting};
use crate::egress::Proxies;

const PROXY: &str = "the http or https URL of a proxy, with a user and a password if it asks for them";

const HTTPS_PROXY: Setting = Setting { name: "HTTPS_PROXY", expected: PROXY, example: "http://proxy.internal:3128" };
const HTTP_PROXY: Setting = Setting { name: "HTTP_PROXY", expected: PROXY, example: "http://proxy.internal:3128" };
const ALL_PROXY: Setting = Setting { name: "ALL_PROXY", expected: PROXY, example: "http://proxy.internal:3128" };
const NO_PROXY: Setting = Setting {
    name: "NO_PROXY",
    expected: "hosts, domains and networks that are reached directly, separated by commas",
    example: "localhost,127.0.0.1,169.254.0.0/16,.internal",
};

pub(super) fn read(reader: &mut Reader<'_>, environment: &Environment) -> Option<Proxies> {
    let https = proxy(reader, environment, HTTPS_PROXY);
    let http = proxy(reader, environment, HTTP_PROXY);
    let all = proxy(reader, environment, ALL_PROXY);
    let no = value(environment, NO_PROXY);
    Some(Proxies::new(https?, http?, all?, no))
}

fn proxy<'a>(reader: &mut Reader<'_>, environment: &'a Environment, setting: Setting) -> Option<&'a str> {
    let url = value(environment, setting);
    if !url.is_empty() && !Proxies::is_usable(url) {
        reader.mistake(setting, "its value cannot be used".to_owned());
        return None;
    }
    Some(url)
}

/// The value, by its lower-case name if the other is not set; empty without both.
fn value(environment: &Environment, setting: Setting) -> &str {
    let in_lower_case = || environment.value(&setting.name.to_ascii_lowercase());
    environment.value(setting.name).or_else(in_lower_case).unwrap_or_default()
}
