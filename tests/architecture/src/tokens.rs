//! Rust source as words and punctuation: no comments, no literals, and no item behind `#[cfg(test)]`.
//!
//! Knows just enough of the language to find paths in it.

/// The tokens of a file, and the modules that it declares for tests alone.
pub(crate) fn product_tokens(text: &str) -> (Vec<&str>, Vec<&str>) {
    const CFG_TEST: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
    let tokens = tokens(text);
    let (mut product, mut test_modules) = (Vec::new(), Vec::new());
    let mut rest = tokens.as_slice();
    while let Some(first) = rest.first() {
        if !rest.starts_with(&CFG_TEST) {
            product.push(*first);
            rest = &rest[1..];
            continue;
        }
        let (item, after) = rest.split_at(CFG_TEST.len() + item_length(&rest[CFG_TEST.len()..]));
        if let [.., "mod", name, ";"] = item {
            test_modules.push(*name);
        }
        rest = after;
    }
    (product, test_modules)
}

/// Tokens until the item's `;`, or to the end of its first block.
fn item_length(tokens: &[&str]) -> usize {
    let is_use = tokens.iter().find(|token| !matches!(**token, "pub" | "(" | "crate" | "super" | ")")) == Some(&"use");
    let mut depth = 0;
    for (at, token) in tokens.iter().enumerate() {
        match *token {
            "{" | "(" | "[" => depth += 1,
            "}" | ")" | "]" => depth -= 1,
            _ => {}
        }
        if depth == 0 && (*token == ";" || (*token == "}" && !is_use)) {
            return at + 1;
        }
    }
    tokens.len()
}

fn tokens(text: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = token_length(rest, first);
        let token = &rest[..length];
        if first.is_alphanumeric() || first == '_' || (length <= 2 && !first.is_whitespace() && !token.contains('"')) {
            tokens.push(token);
        }
        rest = &rest[length..];
    }
    tokens
}

fn token_length(rest: &str, first: char) -> usize {
    let until = |end: &str, from: usize| rest[from..].find(end).map_or(rest.len(), |at| from + at + end.len());
    let raw = rest.trim_start_matches('b').strip_prefix('r').map(|raw| raw.trim_start_matches('#'));
    match first {
        '/' if rest.starts_with("//") => until("\n", 0),
        '/' if rest.starts_with("/*") => until("*/", 2),
        'b' | 'r' if raw.is_some_and(|raw| raw.starts_with('"')) => {
            let hashes = rest.chars().take_while(|letter| *letter != '"').filter(|letter| *letter == '#').count();
            until(&["\"", &"#".repeat(hashes)].concat(), rest.find('"').unwrap() + 1)
        }
        'b' if rest.starts_with("b\"") || rest.starts_with("b'") => 1 + literal_length(&rest[1..]),
        '"' => literal_length(rest),
        '\'' if rest[1..].starts_with('\\') || rest[1..].chars().nth(1) == Some('\'') => literal_length(rest),
        ':' if rest.starts_with("::") => 2,
        _ if first.is_alphanumeric() || first == '_' => {
            rest.find(|letter: char| !letter.is_alphanumeric() && letter != '_').unwrap_or(rest.len())
        }
        _ => first.len_utf8(),
    }
}

/// A literal in the quotes that it begins with.
fn literal_length(rest: &str) -> usize {
    let quote = rest.as_bytes()[0];
    let mut is_escaped = false;
    for (at, byte) in rest.bytes().enumerate().skip(1) {
        if byte == quote && !is_escaped {
            return at + 1;
        }
        is_escaped = byte == b'\\' && !is_escaped;
    }
    rest.len()
}
