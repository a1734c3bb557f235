//! Comments name a thing with a noun of the field: no block begins with a question word.

use std::fs;
use std::path::Path;

/// First words of a clause that paraphrases the thing instead of naming it.
const QUESTION_WORDS: [&str; 9] = ["What", "Whether", "Who", "How", "Where", "When", "Why", "Which", "That"];

#[test]
fn comments_begin_with_a_noun_or_a_verb() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let (mut blocks, mut questions) = (0, Vec::new());

    for folder in ["handler/src", "demo", "tests", "scripts"] {
        collect(&root.join(folder), &mut |path, text| {
            let first_lines = first_lines(text);
            blocks += first_lines.len();
            let found = first_lines.into_iter().filter(|line| is_question(line));
            questions.extend(found.map(|line| format!("{}: {line}", path.strip_prefix(&root).unwrap().display())));
        });
    }

    assert!(blocks > 3000, "the sources were not found");
    assert!(questions.is_empty(), "name these with a noun: {questions:#?}");
}

fn collect(folder: &Path, take: &mut impl FnMut(&Path, &str)) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if !["node_modules", ".cache", "target"].iter().any(|of_others| path.ends_with(of_others)) {
                collect(&path, take);
            }
        } else if path.extension().is_some_and(|end| ["rs", "mjs", "js"].iter().any(|ours| end == *ours)) {
            take(&path, &fs::read_to_string(&path).unwrap());
        }
    }
}

/// Text of the first line of each block of comment lines.
fn first_lines(text: &str) -> Vec<&str> {
    let mut lines = text.lines().map(str::trim_start).peekable();
    let mut first_lines = Vec::new();
    while let Some(line) = lines.next() {
        if line.starts_with("//") {
            first_lines.push(line);
            while lines.next_if(|next| next.starts_with("//")).is_some() {}
        } else if line.starts_with("/*") {
            // A formatter may leave the first line of a block empty.
            let is_opening = line.trim_end_matches('*') == "/";
            let first = if is_opening { lines.next() } else { Some(line) };
            first_lines.extend(first);
        }
    }
    first_lines.into_iter().map(|line| line.trim_start_matches(['/', '!', '*']).trim_start()).collect()
}

fn is_question(line: &str) -> bool {
    let word = line.split(|character: char| !character.is_ascii_alphanumeric()).next().unwrap_or_default();
    QUESTION_WORDS.contains(&word)
}

#[test]
fn a_block_counts_once_by_its_first_word() {
    let text = "//! Where a is.\n//! What b is.\n\nfn f() {} // Why\n    // Whatever\n    /// Who's c.\n    d()";

    let first_lines = first_lines(text);

    assert_eq!(first_lines, ["Where a is.", "Whatever"]);
    assert_eq!(first_lines.iter().map(|line| is_question(line)).collect::<Vec<_>>(), [true, false]);
    assert!(is_question("Who's c."));
}

#[test]
fn a_block_of_javascript_counts_by_its_first_text() {
    let text = "/** What a is. */\nfunction a() {}\n\n/**\n * Where b is.\n * Why.\n */\n  /* What c\n   is */ // d";

    assert_eq!(first_lines(text), ["What a is. */", "Where b is.", "What c"]);
}
