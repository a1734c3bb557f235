//! `fuzz run TARGET|all EXECUTIONS [SEED]` runs made-up input; `fuzz cost` measures the worst input of each parser;
//! `fuzz measure` runs those twice each, for Valgrind.

use std::hint::black_box;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use fuzz::worst::{WORST, Worst};
use fuzz::{TARGETS, run};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["run", name, executions] => run_named(name, executions.parse().unwrap(), 1),
        ["run", name, executions, seed] => run_named(name, executions.parse().unwrap(), seed.parse().unwrap()),
        ["cost"] => WORST.iter().for_each(report),
        ["measure"] => measure(),
        _ => {
            eprintln!("usage: fuzz run TARGET|all EXECUTIONS [SEED] | fuzz cost | fuzz measure");
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}

fn run_named(name: &str, executions: u64, seed: u64) {
    for target in TARGETS.iter().filter(|target| name == "all" || target.name == name) {
        let started = Instant::now();
        run(target, seed, executions);
        println!("{:24} {executions} executions, seed {seed}: {:.1} s", target.name, started.elapsed().as_secs_f64());
    }
}

/// The worst input of 8 KiB against one of 16 KiB, and against a plain one.
fn report(worst: &Worst) {
    let (one, two) = (fastest(worst, 8 * 1024), fastest(worst, 16 * 1024));
    let plain = fastest(worst, 64);
    let (one_us, more_us) = (micros(one), micros(one.saturating_sub(plain)));
    println!(
        "{:24} 8 KiB {one_us:7.1} us, above 64 B {more_us:7.1} us, 16 KiB costs {:.2} times that",
        worst.name,
        micros(two) / one_us
    );
}

fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

/// The fastest of many runs: what else the machine does only slows one down.
fn fastest(worst: &Worst, size: usize) -> Duration {
    let input = (worst.input)(size);
    let one = || {
        let started = Instant::now();
        (worst.run)(black_box(&input));
        started.elapsed()
    };
    (0..2_000).map(|_| one()).min().unwrap()
}

/// Runs each worst input in both sizes; Valgrind counts from each call of `measured` to the next.
fn measure() {
    WORST.iter().for_each(|worst| (worst.run)(&(worst.input)(64))); // whatever is made at the first use
    for worst in WORST {
        for size in [4096, 8192] {
            measured(worst.run, &(worst.input)(size));
        }
    }
}

#[inline(never)]
fn measured(run: fn(&[u8]), input: &[u8]) {
    run(black_box(input));
}
