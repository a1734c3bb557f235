//! `require` of a route, read from JSON: every mistake is reported, each with its place.

use std::time::Duration;

use crate::duration::parse_duration;

use actix_web::http::Method;
use serde_json::{Map, Value};

use super::condition::{ClaimPath, ClaimTest, Condition};

/// The mistakes in a requirement, each with its place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("; "))]
pub struct RequirementError(pub Vec<String>);

/// Deeper conditions are refused: nobody could tell who passes.
const MAX_DEPTH: usize = 4;

const KINDS: &str = "all, any, claim, scope, methods, tenant, acr, max_age";

/// Reads one condition, or a list of which all must hold.
pub(super) fn condition(json: &Value) -> Result<Condition, RequirementError> {
    let mut reader = Reader { mistakes: Vec::new() };
    let condition = reader.condition(json, "require", 0);
    match condition {
        Some(condition) if reader.mistakes.is_empty() => Ok(condition),
        _ => Err(RequirementError(reader.mistakes)),
    }
}

struct Reader {
    mistakes: Vec<String>,
}

impl Reader {
    fn mistake<T>(&mut self, place: &str, problem: impl std::fmt::Display) -> Option<T> {
        self.mistakes.push(format!("{place}: {problem}"));
        None
    }

    fn condition(&mut self, json: &Value, place: &str, depth: usize) -> Option<Condition> {
        if depth > MAX_DEPTH {
            return self.mistake(place, format_args!("conditions nest deeper than {MAX_DEPTH}"));
        }
        match json {
            Value::Array(_) => self.list(json, place, depth).map(Condition::All),
            Value::Object(members) => self.object(members, place, depth),
            _ => self.mistake(place, format_args!("a condition is an object with one of {KINDS}")),
        }
    }

    fn object(&mut self, members: &Map<String, Value>, place: &str, depth: usize) -> Option<Condition> {
        if members.contains_key("claim") {
            return self.claim(members, place);
        }
        let mut entries = members.iter();
        let (Some((kind, value)), None) = (entries.next(), entries.next()) else {
            return self.mistake(place, format_args!("a condition has exactly one of {KINDS}"));
        };
        let inner = format!("{place}.{kind}");
        match kind.as_str() {
            "all" => self.list(value, &inner, depth).map(Condition::All),
            "any" => self.list(value, &inner, depth).map(Condition::Any),
            "scope" => self.words(value, &inner).map(Condition::Scope),
            "methods" => self.methods(value, &inner).map(Condition::Methods),
            "tenant" => self.texts(value, &inner).map(|tenants| Condition::Claim {
                claim: ClaimPath { written: "tid".to_owned(), name: "tid".to_owned(), below: Vec::new() },
                test: ClaimTest::OneOf(tenants),
            }),
            "acr" => self.words(value, &inner).map(Condition::Acr),
            "max_age" => self.duration(value, &inner).map(Condition::MaxAge),
            "equals" | "one_of" | "present" => self.mistake(place, format_args!("{kind} needs a claim")),
            _ => self.mistake(place, format_args!("{kind:?} is no condition; known are {KINDS}")),
        }
    }

    fn list(&mut self, json: &Value, place: &str, depth: usize) -> Option<Vec<Condition>> {
        let Some(list) = json.as_array().filter(|list| !list.is_empty()) else {
            return self.mistake(place, "expected a list of at least one condition");
        };
        let read = |(at, json)| self.condition(json, &format!("{place}[{at}]"), depth + 1);
        let conditions: Vec<Option<Condition>> = list.iter().enumerate().map(read).collect();
        let conditions = conditions.into_iter().collect::<Option<Vec<_>>>()?;
        let is_all = !place.ends_with(".any");
        if is_all && has_disjoint_methods(&conditions) {
            return self.mistake(place, "two lists of methods have none in common, so nothing could pass");
        }
        Some(conditions)
    }

    fn claim(&mut self, members: &Map<String, Value>, place: &str) -> Option<Condition> {
        let unknown = |name: &&String| !matches!(name.as_str(), "claim" | "equals" | "one_of" | "present");
        if let Some(name) = members.keys().find(unknown) {
            let known = "known beside claim are equals, one_of, present";
            return self.mistake(place, format_args!("{name:?} is no member of a condition; {known}"));
        }
        let claim = self.claim_path(members.get("claim"), place);
        let tests = ["equals", "one_of", "present"].map(|name| members.get(name));
        let test = match tests {
            [Some(value), None, None] => self.scalar(value, &format!("{place}.equals")).map(|text| vec![text]),
            [None, Some(values), None] => self.scalars(values, &format!("{place}.one_of")),
            [None, None, Some(Value::Bool(true))] => Some(Vec::new()),
            [None, None, Some(_)] => self.mistake(&format!("{place}.present"), "expected true"),
            _ => self.mistake(place, "a claim has exactly one of equals, one_of, present"),
        };
        let test = test.map(|wanted| match wanted.is_empty() {
            true => ClaimTest::Present,
            false => ClaimTest::OneOf(wanted),
        });
        Some(Condition::Claim { claim: claim?, test: test? })
    }

    /// A name; or, from a leading `/` on, a JSON Pointer (RFC 6901 4: `~1` is `/`, `~0` is `~`).
    fn claim_path(&mut self, json: Option<&Value>, place: &str) -> Option<ClaimPath> {
        let text = json.and_then(Value::as_str).unwrap_or_default();
        let Some(pointer) = text.strip_prefix('/') else {
            if text.is_empty() {
                return self
                    .mistake(place, "expected the name of a claim, or a JSON Pointer such as /realm_access/roles");
            }
            return Some(ClaimPath { written: text.to_owned(), name: text.to_owned(), below: Vec::new() });
        };
        let mut names = pointer.split('/').map(|name| name.replace("~1", "/").replace("~0", "~"));
        let name = names.next().filter(|name| !name.is_empty());
        match name {
            Some(name) => Some(ClaimPath { written: text.to_owned(), name, below: names.collect() }),
            None => self.mistake(place, format_args!("{text:?} points to no claim")),
        }
    }

    fn methods(&mut self, json: &Value, place: &str) -> Option<Vec<String>> {
        let methods = self.texts(json, place)?;
        let is_method =
            |text: &String| Method::from_bytes(text.as_bytes()).is_ok_and(|_| *text == text.to_ascii_uppercase());
        match methods.iter().find(|text| !is_method(text)) {
            Some(text) => {
                self.mistake(place, format_args!("{text:?} is no method; GET, POST, … are written in capitals"))
            }
            None => Some(methods),
        }
    }

    fn duration(&mut self, json: &Value, place: &str) -> Option<Duration> {
        let duration = json.as_str().and_then(parse_duration);
        match duration.filter(|duration| duration.as_secs() > 0) {
            Some(duration) => Some(duration),
            None => self.mistake(place, r#"expected a time such as "15min""#),
        }
    }

    /// One text, or a list of them.
    fn texts(&mut self, json: &Value, place: &str) -> Option<Vec<String>> {
        let list = json.as_array().map_or(std::slice::from_ref(json), Vec::as_slice);
        let text = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        match list.iter().map(text).collect::<Option<Vec<_>>>().filter(|texts| !texts.is_empty()) {
            Some(texts) => Some(texts),
            None => self.mistake(place, "expected text, or a list of at least one"),
        }
    }

    /// Texts without blanks, which separate values on the wire.
    fn words(&mut self, json: &Value, place: &str) -> Option<Vec<String>> {
        let texts = self.texts(json, place)?;
        match texts.iter().find(|text| text.contains(char::is_whitespace)) {
            Some(text) => self.mistake(place, format_args!("{text:?} holds a blank; several values are a list")),
            None => Some(texts),
        }
    }

    fn scalars(&mut self, json: &Value, place: &str) -> Option<Vec<String>> {
        let Some(list) = json.as_array().filter(|list| !list.is_empty()) else {
            return self.mistake(place, "expected a list of at least one value");
        };
        let read = |(at, value)| self.scalar(value, &format!("{place}[{at}]"));
        list.iter().enumerate().map(read).collect()
    }

    fn scalar(&mut self, json: &Value, place: &str) -> Option<String> {
        match json {
            Value::String(text) if !text.is_empty() => Some(text.clone()),
            Value::Bool(_) | Value::Number(_) => Some(json.to_string()),
            _ => self.mistake(place, "expected text, a number or a boolean"),
        }
    }
}

fn has_disjoint_methods(conditions: &[Condition]) -> bool {
    let lists = || {
        conditions.iter().filter_map(|condition| match condition {
            Condition::Methods(methods) => Some(methods),
            _ => None,
        })
    };
    let in_every_list = |method: &String| lists().all(|methods| methods.contains(method));
    lists().next().is_some_and(|first| !first.iter().any(in_every_list))
}
