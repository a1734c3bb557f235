//! Members of a route as they are written: their names and types, not yet their values.

use serde_json::{Map, Value};

use super::error::RouteProblem;
use crate::nearest_word::nearest_word;

const MEMBERS: [&str; 13] = [
    "path",
    "upstream",
    "access",
    "streams",
    "host",
    "token",
    "isolate",
    "cross_site",
    "headers",
    "assertion",
    "require",
    "explain",
    "step_up_challenges",
];

/// A route as it is written.
pub(super) struct RouteRow {
    pub(super) path: String,
    pub(super) upstream: String,
    pub(super) access: Option<String>,
    pub(super) streams: Option<String>,
    pub(super) host: Option<String>,
    pub(super) token: Option<Value>,
    pub(super) isolate: Option<bool>,
    pub(super) cross_site: Option<String>,
    pub(super) headers: Option<Value>,
    pub(super) assertion: Option<Value>,
    /// Also `null`: a template without a value must not leave a route without its rule.
    pub(super) require: Option<Value>,
    pub(super) explain: Option<String>,
    pub(super) step_up_challenges: Option<String>,
}

impl RouteRow {
    /// Reads an element of the list. `null` counts as absent, except for `require`.
    ///
    /// # Errors
    /// Every member that is unknown, missing or of another type.
    pub(super) fn parse(json: Value) -> Result<Self, Vec<RouteProblem>> {
        let Value::Object(members) = json else { return Err(vec![RouteProblem::NoObject]) };
        let mut reader = Reader { problems: members.keys().filter_map(|name| unknown(name)).collect(), members };
        let row = Self {
            path: reader.required("path"),
            upstream: reader.required("upstream"),
            access: reader.text("access"),
            streams: reader.text("streams"),
            host: reader.text("host"),
            token: reader.present("token"),
            isolate: reader.boolean("isolate"),
            cross_site: reader.text("cross_site"),
            headers: reader.present("headers"),
            assertion: reader.present("assertion"),
            require: reader.members.remove("require"),
            explain: reader.text("explain"),
            step_up_challenges: reader.text("step_up_challenges"),
        };
        if reader.problems.is_empty() { Ok(row) } else { Err(reader.problems) }
    }
}

fn unknown(name: &str) -> Option<RouteProblem> {
    let is_known = MEMBERS.contains(&name);
    (!is_known).then(|| RouteProblem::Unknown { name: name.to_owned(), meant: nearest_word(name, &MEMBERS) })
}

struct Reader {
    members: Map<String, Value>,
    problems: Vec<RouteProblem>,
}

impl Reader {
    fn present(&mut self, name: &str) -> Option<Value> {
        self.members.remove(name).filter(|value| !value.is_null())
    }

    fn text(&mut self, name: &'static str) -> Option<String> {
        match self.present(name)? {
            Value::String(text) => Some(text),
            _ => self.problem(RouteProblem::Type { name, expected: "text" }),
        }
    }

    fn boolean(&mut self, name: &'static str) -> Option<bool> {
        match self.present(name)? {
            Value::Bool(value) => Some(value),
            _ => self.problem(RouteProblem::Type { name, expected: "true or false" }),
        }
    }

    /// The text; empty after a problem.
    fn required(&mut self, name: &'static str) -> String {
        let is_there = self.members.get(name).is_some_and(|value| !value.is_null());
        let is_misspelt =
            |problem: &RouteProblem| matches!(problem, RouteProblem::Unknown { meant, .. } if *meant == Some(name));
        if !is_there && !self.problems.iter().any(is_misspelt) {
            self.problems.push(RouteProblem::Missing(name));
        }
        self.text(name).unwrap_or_default()
    }

    fn problem<T>(&mut self, problem: RouteProblem) -> Option<T> {
        self.problems.push(problem);
        None
    }
}
