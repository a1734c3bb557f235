//! No two files of the handler import each other, directly or through others.

use std::fs;
use std::path::Path;

use architecture::ImportGraph;

#[test]
fn no_files_of_the_handler_import_each_other() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../handler/src");
    let mut files = Vec::new();
    collect(&root, &root, &mut files);
    assert!(files.len() > 100, "the handler's sources were not found");

    let circles = ImportGraph::read(&files).circles();

    assert!(circles.is_empty(), "{circles:#?}");
}

fn collect(root: &Path, folder: &Path, files: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(root, &path, files);
        } else if path.extension().is_some_and(|end| end == "rs") && !path.ends_with("main.rs") {
            let relative = path.strip_prefix(root).unwrap().to_string_lossy().replace('\\', "/");
            files.push((relative, fs::read_to_string(&path).unwrap()));
        }
    }
}

const A_AND_B: [&str; 2] = ["m/a.rs imports m/b.rs", "m/b.rs imports m/a.rs"];

/// The circles of a crate of `m/a.rs` and `m/b.rs`.
fn circles(module: &str, a: &str, b: &str) -> Vec<Vec<String>> {
    let files = [("lib.rs", "pub mod m;"), ("m/mod.rs", module), ("m/a.rs", a), ("m/b.rs", b)];
    ImportGraph::read(&files.map(|(file, text)| (file.to_owned(), text.to_owned()))).circles()
}

#[test]
fn every_way_to_name_the_other_file_closes_a_circle() {
    let module = "mod a; mod b; pub use a::A; pub use self::b::{B, C as D};";
    let table = [
        ("use super::b::B;", "neighbour"),
        ("use crate::m::B;", "re-export"),
        ("use crate::m::{self, D};", "re-export under another name"),
        ("use super::{super::m::{b::{B}}};", "nested braces"),
        ("#[cfg(test)] use super::x; fn f() -> crate::m::b::B { loop {} }", "path in the code"),
        ("use super::b; fn f() { b::f(\"// no comment\", '\"'); }", "imported module"),
        ("pub(crate) use super::b::B; struct S(B);", "re-export that is used"),
    ];
    for (import, reason) in table {
        let a = format!("{import} pub struct A;");
        assert_eq!(circles(module, &a, "use super::A; pub struct B; pub struct C; fn f() {}"), [A_AND_B], "{reason}");
    }
}

#[test]
fn what_is_no_import_of_the_product_closes_none() {
    let module = "mod a; mod b; pub use a::A; pub use b::B; #[cfg(test)] mod c;";
    let table = [
        ("", "nothing"),
        ("// use super::b::B;\n/* crate::m::B */", "comments"),
        ("const X: &str = r#\"crate::m::B\"#; const Y: &str = \"\\\"super::b::B\";", "literals"),
        ("#[cfg(test)] mod tests { use super::super::b::B; }", "unit tests"),
        ("#[cfg(test)] pub(crate) use super::{b::B};", "an import for tests"),
        ("pub use super::b::B;", "re-export that is not used"),
        ("use super::c::C;", "a module for tests"),
    ];
    for (import, reason) in table {
        let a = format!("{import} pub struct A;");
        assert_eq!(circles(module, &a, "use super::A; pub struct B;"), Vec::<Vec<String>>::new(), "{reason}");
    }
}

#[test]
fn a_module_file_with_items_of_its_own_is_a_node() {
    let found = circles(
        "mod a; mod b; use a::A; pub struct M(A); impl M { fn b() { b::f(); } }",
        "use super::M; pub struct A;",
        "",
    );

    assert_eq!(found, [["m/mod.rs imports m/a.rs", "m/a.rs imports m/mod.rs"]]);
}
