//! Output of the demo in the terminal. Colours only where a person looks.
//!
//! A closed terminal does not stop the demo: lines that can't be written are dropped.

use std::io::{self, IsTerminal, Write};

use crate::part::Part;

/// Said quietly.
pub(crate) const DIM: &str = "2";
/// Said clearly.
pub(crate) const BOLD: &str = "1";

/// One line of what happens: who, and a sentence.
pub(crate) fn print_event(part: Part, text: &str) {
    print(&format!("  {}  {text}", paint(part.colour(), &format!("{:<8}", part.name()))));
}

/// Writes a text and a line end.
pub(crate) fn print(text: &str) {
    let _ = writeln!(io::stdout().lock(), "{text}");
}

/// Says why the demo doesn't run.
pub(crate) fn print_error(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// `text` in an ANSI style where stdout is a terminal and `NO_COLOR` isn't set (no-color.org).
pub(crate) fn paint(style: &str, text: &str) -> String {
    if !io::stdout().is_terminal() || std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()) {
        return text.to_owned();
    }
    format!("\x1b[{style}m{text}\x1b[0m")
}
