//! Twice the input costs at most 2.2 times the instructions, counted by Valgrind: no clock, so no other load matters.

use std::fs;
use std::path::Path;
use std::process::Command;

use fuzz::worst::WORST;

/// Instructions that any input costs; a ratio of less says nothing.
const SMALL: u64 = 50_000;

/// The instructions of each call of `measured` and of making the next input, in order; `None` where there is no Valgrind.
fn instructions(folder: &Path) -> Option<Vec<u64>> {
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--dump-before=*measured*", "--callgrind-out-file=out"]);
    let ended = command.current_dir(folder).args([env!("CARGO_BIN_EXE_fuzz"), "measure"]).output().ok()?;
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    // A part ends where the next call begins, so the first is what came before, and the last has no number.
    let names = (2..=2 * WORST.len()).map(|number| format!("out.{number}")).chain(["out".to_owned()]);
    let part = |name: String| fs::read_to_string(folder.join(name)).ok();
    let total = |text: String| text.lines().find_map(|line| line.strip_prefix("totals: ")?.trim().parse().ok());
    Some(names.map(|name| part(name).and_then(total).expect("a count of each call")).collect())
}

#[test]
fn the_worst_input_costs_what_its_size_costs() {
    let folder = std::env::temp_dir().join(format!("fuzz-cost-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let counts = instructions(&folder);
    fs::remove_dir_all(&folder).unwrap();
    let Some(counts) = counts else {
        assert!(std::env::var_os("CI").is_none(), "there is no valgrind, and nothing is skipped in CI");
        println!("skipped: there is no valgrind");
        return;
    };
    for (worst, count) in WORST.iter().zip(counts.chunks(2)) {
        let (one, two) = (count[0], count[1]);

        println!("{:24} 4 KiB {one:9}, 8 KiB {two:9} instructions", worst.name);
        assert!(one > 100, "{}: nothing was counted", worst.name);
        assert!(two.saturating_sub(SMALL) * 10 <= one * 22, "{}: {one} instructions, then {two}", worst.name);
    }
}
