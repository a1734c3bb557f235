//! Tests that `docs/security.md` names as evidence exist under that name.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Paths and texts of the sources that can hold a test.
fn sources() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for folder in ["handler/src", "handler/tests", "tests"] {
        collect(&root().join(folder), &mut found);
    }
    assert!(found.len() > 200, "the sources were not found");
    found
}

fn collect(folder: &Path, found: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if !path.ends_with("node_modules") && !path.ends_with(".cache") {
                collect(&path, found);
            }
        } else if path.extension().is_some_and(|end| end == "rs" || end == "mjs") {
            found.push((path.to_str().unwrap().to_owned(), fs::read_to_string(&path).unwrap()));
        }
    }
}

/// Code spans of a Markdown text, without those of its fenced blocks.
fn code_spans(text: &str) -> BTreeSet<&str> {
    let prose = text.split("```").step_by(2);
    prose.flat_map(|part| part.lines()).flat_map(|line| line.split('`').skip(1).step_by(2)).collect()
}

/// True for a sentence in snake case, as tests are named: five words or more. No setting or error code has so many.
fn is_test_name(span: &str) -> bool {
    span.split('_').count() >= 5 && span.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'))
}

fn is_test_file(span: &str) -> bool {
    (span.ends_with(".rs") || span.ends_with(".test.mjs")) && !span.contains(' ')
}

#[test]
fn every_test_that_the_security_page_names_exists() {
    let page = fs::read_to_string(root().join("docs/security.md")).unwrap();
    let sources = sources();
    let spans = code_spans(&page);
    let names: Vec<&str> = spans.iter().copied().filter(|span| is_test_name(span)).collect();
    let files: Vec<&str> = spans.iter().copied().filter(|span| is_test_file(span)).collect();

    assert!(names.len() > 30 && files.len() > 20, "{names:?} {files:?}");
    let has_test = |name: &str| sources.iter().any(|(_, text)| text.contains(&format!("fn {name}(")));
    let missing: Vec<_> = names.into_iter().filter(|name| !has_test(name)).collect();
    assert!(missing.is_empty(), "no test has the name {missing:?}");
    let has_file = |file: &str| sources.iter().any(|(path, _)| path.ends_with(&format!("/{file}")));
    let missing: Vec<_> = files.into_iter().filter(|file| !has_file(file)).collect();
    assert!(missing.is_empty(), "there is no file {missing:?}");
}

#[test]
fn every_threat_names_a_test() {
    let page = fs::read_to_string(root().join("docs/security.md")).unwrap();
    let threats = page.split_once("## Threats").unwrap().1.split_once("\n## ").unwrap().0;
    let rows: Vec<&str> = threats.lines().filter(|line| line.starts_with("| ")).skip(1).collect();

    assert!(rows.len() > 15, "{rows:#?}");
    for row in rows {
        assert!(code_spans(row).iter().any(|span| is_test_name(span)), "{row}");
    }
}

#[test]
fn a_name_is_a_span_of_five_words_outside_of_fences() {
    let text = "a `GROUP_OVERAGE` and `a_name_that_is_a_test`\n```\n`another_name_that_is_a_test`\n```\n`web/csrf.rs`";

    let spans = code_spans(text);

    assert_eq!(spans.iter().copied().filter(|span| is_test_name(span)).collect::<Vec<_>>(), ["a_name_that_is_a_test"]);
    assert_eq!(spans.iter().copied().filter(|span| is_test_file(span)).collect::<Vec<_>>(), ["web/csrf.rs"]);
}
