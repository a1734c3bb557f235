//! The documents: links that lead somewhere, lines of at most 120 letters, table cells that can be read at a glance.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Letters in a line of prose. Tables, code and headings have their own shape.
const MAX_LINE: usize = 120;

/// Words in a table cell. More than that is prose, and belongs into a paragraph.
const MAX_CELL: usize = 40;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// Every Markdown file that a reader opens, by its path below the root.
fn documents() -> Vec<(PathBuf, String)> {
    let root = root();
    let mut found = vec![PathBuf::from("tests/README.md"), PathBuf::from(".github/PULL_REQUEST_TEMPLATE.md")];
    for folder in ["", "docs", "docs/changing", "docs/decisions"] {
        let entries = fs::read_dir(root.join(folder)).unwrap().map(|entry| entry.unwrap().file_name());
        let names = entries.map(|name| PathBuf::from(folder).join(name));
        found.extend(names.filter(|path| path.extension().is_some_and(|end| end == "md")));
    }
    assert!(found.len() > 40, "the documents were not found");
    found.into_iter().map(|path| (path.clone(), fs::read_to_string(root.join(&path)).unwrap())).collect()
}

/// The lines outside of fenced code, with their numbers.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut is_code = false;
    text.lines().enumerate().filter_map(move |(at, line)| {
        if line.trim_start().starts_with("```") {
            is_code = !is_code;
            return None;
        }
        (!is_code).then_some((at + 1, line))
    })
}

/// The anchors of a document's headings, as the usual renderers make them.
fn anchors(text: &str) -> BTreeSet<String> {
    prose(text)
        .filter_map(|(_, line)| line.strip_prefix('#').map(|rest| anchor(rest.trim_start_matches('#'))))
        .collect()
}

fn anchor(heading: &str) -> String {
    let kept = heading.trim().chars().filter(|letter| letter.is_alphanumeric() || matches!(letter, ' ' | '-' | '_'));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

/// Targets of `[text](target)` and `![text](target)` outside of code spans.
fn links(line: &str) -> Vec<&str> {
    let is_outside = |at: usize| line[..at].matches('`').count().is_multiple_of(2);
    let starts = line.match_indices("](").map(|(at, _)| at).filter(|at| is_outside(*at));
    starts.filter_map(|at| line[at + 2..].split(')').next()).collect()
}

fn cells(row: &str) -> Vec<String> {
    let row = row.trim().trim_start_matches('|').trim_end_matches('|').replace("\\|", "¦");
    row.split('|').map(|cell| cell.trim().to_owned()).collect()
}

#[test]
fn every_relative_link_leads_to_a_file_and_a_heading() {
    let root = root();
    let mut broken = Vec::new();
    let mut count = 0;
    for (path, text) in documents() {
        for (number, line) in prose(&text) {
            for target in links(line).into_iter().filter(|target| !target.contains("://")) {
                count += 1;
                let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
                let linked = match file {
                    "" => root.join(&path),
                    file => root.join(&path).parent().unwrap().join(file),
                };
                let has_anchor = || anchors(&fs::read_to_string(&linked).unwrap()).contains(anchor);
                if !linked.exists() || (!anchor.is_empty() && !has_anchor()) {
                    broken.push(format!("{}:{number}: {target}", path.display()));
                }
            }
        }
    }
    assert!(count > 150, "the links were not found");
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn lines_of_prose_fit_into_an_editor() {
    let mut long = Vec::new();
    for (path, text) in documents().into_iter().filter(|(path, _)| !path.ends_with("performance.md")) {
        let lines = prose(&text).filter(|(_, line)| !line.starts_with(['|', '#', '<', '!']));
        let too_long = lines.filter(|(_, line)| line.chars().count() > MAX_LINE && !line.contains("https://"));
        long.extend(too_long.map(|(number, _)| format!("{}:{number}", path.display())));
    }
    assert!(long.is_empty(), "wrap these at {MAX_LINE}: {long:#?}");
}

#[test]
fn table_cells_are_short() {
    let mut long = Vec::new();
    for (path, text) in documents() {
        for (number, line) in prose(&text).filter(|(_, line)| line.starts_with('|')) {
            let too_long =
                cells(line).into_iter().map(|cell| cell.split_whitespace().count()).filter(|n| *n > MAX_CELL);
            long.extend(too_long.map(|words| format!("{}:{number}: {words} words", path.display())));
        }
    }
    assert!(long.is_empty(), "move these below the table: {long:#?}");
}

#[test]
fn links_anchors_and_cells_are_read_as_a_renderer_does() {
    assert_eq!(links("see [a](b.md#c) and ![d](e.svg), not `[f](g)`"), ["b.md#c", "e.svg"]);
    assert_eq!(anchor(" *Limits* of `AUTH_PREFIX`, and more"), "limits-of-auth_prefix-and-more");
    assert_eq!(anchors("# A b\n```\n# no\n```\n## C"), BTreeSet::from(["a-b".to_owned(), "c".to_owned()]));
    assert_eq!(cells("| a \\| b | c |"), ["a ¦ b", "c"]);
}
