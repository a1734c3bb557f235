//! Imports between the files of a crate, and the cycles among them.
//!
//! A name is followed through the re-exports of `mod.rs` files to the file that defines it. Methods are not followed: a
//! file depends on what it names.

use std::collections::{BTreeMap, BTreeSet};

use crate::tokens::product_tokens;

/// The files of a crate by their module's path, with what each imports.
pub struct ImportGraph {
    modules: BTreeMap<Vec<String>, Module>,
}

struct Module {
    file: String,
    items: BTreeSet<String>,
    uses: Vec<Use>,
    /// Paths in the code that begin with a keyword, a child or an imported module.
    mentions: Vec<Vec<String>>,
}

struct Use {
    path: Vec<String>,
    name: String,
    /// False for a re-export whose name the file itself doesn't use.
    is_used_here: bool,
}

impl ImportGraph {
    /// Reads a crate: each file's path below `src`, and its text. What is compiled for tests alone is left out.
    #[must_use]
    pub fn read(files: &[(String, String)]) -> Self {
        let parsed: Vec<_> = files.iter().map(|(file, text)| (module_path(file), file, product_tokens(text))).collect();
        let is_tested = |path: &Vec<String>| {
            parsed.iter().any(|(parent, _, (_, test_modules))| {
                path.strip_prefix(parent.as_slice())
                    .and_then(<[_]>::first)
                    .is_some_and(|child| test_modules.contains(&child.as_str()))
            })
        };
        let paths: BTreeSet<Vec<String>> =
            parsed.iter().map(|(path, ..)| path.clone()).filter(|path| !is_tested(path)).collect();
        let product = parsed.iter().filter(|(path, ..)| paths.contains(path));
        let modules =
            product.map(|(path, file, (tokens, _))| (path.clone(), Module::parse(path, file, tokens, &paths)));
        Self { modules: modules.collect() }
    }

    /// The files that import each other, directly or through others: each circle as its imports, one a line.
    #[must_use]
    pub fn circles(&self) -> Vec<Vec<String>> {
        let edges: BTreeMap<&Vec<String>, BTreeSet<&Vec<String>>> =
            self.modules.iter().map(|(path, module)| (path, self.imports(path, module))).collect();
        let reached: BTreeMap<&Vec<String>, BTreeSet<&Vec<String>>> =
            edges.keys().map(|path| (*path, reach(path, &edges))).collect();
        let mut circles: BTreeSet<Vec<String>> = BTreeSet::new();
        for (path, reachable) in reached.iter().filter(|(path, reachable)| reachable.contains(*path)) {
            let circle: BTreeSet<&Vec<String>> =
                reachable.iter().copied().filter(|other| reached[other].contains(*path)).collect();
            let within = circle
                .iter()
                .flat_map(|from| edges[from].iter().filter(|to| circle.contains(*to)).map(|to| self.line(from, to)));
            circles.insert(within.collect());
        }
        circles.into_iter().collect()
    }

    /// Every file with the top-level modules of the crate that it names, once each: imports, re-exports, paths in code.
    pub fn named_modules(&self) -> impl Iterator<Item = (&str, BTreeSet<&str>)> {
        self.modules.values().map(|module| {
            let paths = module.uses.iter().map(|used| &used.path).chain(&module.mentions);
            (module.file.as_str(), paths.filter_map(|path| path.first()).map(String::as_str).collect())
        })
    }

    fn line(&self, from: &Vec<String>, to: &Vec<String>) -> String {
        format!("{} imports {}", self.modules[from].file, self.modules[to].file)
    }

    fn imports(&self, path: &Vec<String>, module: &Module) -> BTreeSet<&Vec<String>> {
        let used = module.uses.iter().filter(|used| used.is_used_here).map(|used| &used.path);
        let files = used.chain(&module.mentions).filter_map(|named| self.defining(named, 0));
        files.filter(|file| *file != path).collect()
    }

    /// The file that defines what `path` names; `None` outside the crate.
    fn defining(&self, path: &[String], depth: usize) -> Option<&Vec<String>> {
        assert!(depth < 20, "{path:?} is re-exported in a circle");
        let length = (0..=path.len()).rev().find(|length| self.modules.contains_key(&path[..*length]))?;
        let (file, module) = self.modules.get_key_value(&path[..length])?;
        let Some(name) = path.get(length) else { return (!module.items.is_empty()).then_some(file) };
        if module.items.contains(name) {
            return Some(file);
        }
        match module.uses.iter().find(|used| used.name == *name) {
            Some(used) => self.defining(&used.path, depth + 1),
            None => (!module.items.is_empty()).then_some(file), // made by a macro
        }
    }
}

fn reach<'a>(
    from: &Vec<String>,
    edges: &BTreeMap<&'a Vec<String>, BTreeSet<&'a Vec<String>>>,
) -> BTreeSet<&'a Vec<String>> {
    let mut reached = BTreeSet::new();
    let mut next: Vec<&Vec<String>> = edges[from].iter().copied().collect();
    while let Some(path) = next.pop() {
        if reached.insert(path) {
            next.extend(&edges[path]);
        }
    }
    reached
}

/// `a/b.rs` and `a/b/mod.rs` are `a::b`; `lib.rs` is the root.
fn module_path(file: &str) -> Vec<String> {
    let stem = file.trim_end_matches(".rs").trim_end_matches("/mod");
    if stem == "lib" { Vec::new() } else { stem.split('/').map(str::to_owned).collect() }
}

impl Module {
    fn parse(path: &[String], file: &str, tokens: &[&str], paths: &BTreeSet<Vec<String>>) -> Self {
        let is_child = |name: &str| paths.contains(&[path, &[name.to_owned()]].concat());
        let mut uses = Vec::new();
        let mut code = Vec::new();
        let mut rest = tokens;
        while let Some((first, after)) = rest.split_first() {
            if *first == "use" && after.first() != Some(&"<") {
                let length = after.iter().position(|token| *token == ";").unwrap();
                let is_public = matches!(code.last(), Some(&"pub" | &")"));
                let mut trees = Vec::new();
                use_tree(&after[..length], &[], &mut trees);
                uses.extend(trees.into_iter().map(|(used, name)| (used, name, is_public)));
                rest = &after[length + 1..];
            } else {
                code.push(*first);
                rest = after;
            }
        }
        let absolute = |named: &[String]| absolute(named, path, &is_child);
        let words: BTreeSet<&str> = code.iter().copied().collect();
        let uses: Vec<Use> = uses
            .into_iter()
            .filter_map(|(used, name, is_public)| {
                let is_used_here = !is_public || words.contains(name.as_str());
                Some(Use { path: absolute(&used)?, name, is_used_here })
            })
            .collect();
        let mentions = paths_in(&code).into_iter().filter_map(|named| {
            match uses.iter().find(|used| used.name == named[0] && paths.contains(&used.path)) {
                Some(module) => Some([&module.path, &named[1..]].concat()),
                None => absolute(&named),
            }
        });
        let mentions = mentions.collect();
        Self { file: file.to_owned(), items: items(&code), uses, mentions }
    }
}

/// The paths of a `use`, with the name that each is bound to.
fn use_tree(tokens: &[&str], prefix: &[String], found: &mut Vec<(Vec<String>, String)>) {
    let mut path = prefix.to_vec();
    for (at, token) in tokens.iter().enumerate() {
        match *token {
            "::" => {}
            "{" => {
                return branches(&tokens[at + 1..tokens.len() - 1])
                    .iter()
                    .for_each(|tree| use_tree(tree, &path, found));
            }
            "as" => return found.push((path, tokens[at + 1].to_owned())),
            "self" if at == 0 && !prefix.is_empty() => {}
            word => path.push(word.to_owned()),
        }
    }
    if let Some(name) = path.last().cloned() {
        found.push((path, name));
    }
}

/// The parts between the commas of one level.
fn branches<'a, 'b>(tokens: &'b [&'a str]) -> Vec<&'b [&'a str]> {
    let mut depth = 0;
    let parts = tokens.split(|token| {
        match *token {
            "{" => depth += 1,
            "}" => depth -= 1,
            _ => {}
        }
        depth == 0 && *token == ","
    });
    parts.filter(|part| !part.is_empty()).collect()
}

/// A path from the root; `None` for one of another crate.
fn absolute(named: &[String], here: &[String], is_child: &impl Fn(&str) -> bool) -> Option<Vec<String>> {
    let mut base = match named[0].as_str() {
        "crate" => return Some(named[1..].to_vec()),
        "self" => return Some([here, &named[1..]].concat()),
        "super" => here.to_vec(),
        child if is_child(child) => return Some([here, named].concat()),
        _ => return None,
    };
    let ups = named.iter().take_while(|segment| *segment == "super").count();
    base.truncate(base.len() - ups);
    Some([&base, &named[ups..]].concat())
}

/// Every path of at least two segments.
fn paths_in(code: &[&str]) -> Vec<Vec<String>> {
    let is_word = |token: &&str| token.starts_with(|first: char| first.is_alphanumeric() || first == '_');
    let mut paths = Vec::new();
    for at in 0..code.len() {
        let begins = is_word(&code[at]) && code.get(at + 1) == Some(&"::");
        if !begins || (at > 0 && matches!(code[at - 1], "::" | ".")) {
            continue;
        }
        let mut path = vec![code[at].to_owned()];
        let mut rest = &code[at + 1..];
        while let ["::", word, after @ ..] = rest
            && is_word(word)
        {
            path.push((*word).to_owned());
            rest = after;
        }
        paths.push(path);
    }
    paths
}

/// The names that a file defines at its top level.
fn items(code: &[&str]) -> BTreeSet<String> {
    const KEYWORDS: [&str; 8] = ["struct", "enum", "trait", "fn", "const", "static", "type", "union"];
    let mut items = BTreeSet::new();
    let mut depth = 0;
    for pair in code.windows(2) {
        match pair[0] {
            "{" => depth += 1,
            "}" => depth -= 1,
            keyword if depth == 0 && KEYWORDS.contains(&keyword) => _ = items.insert(pair[1].to_owned()),
            "macro_rules" if depth == 0 => _ = items.insert("macro_rules".to_owned()),
            _ => {}
        }
    }
    items
}
