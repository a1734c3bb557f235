//! A moment of made-up input for every parser: the corpus, and mutations of it by number.

use fuzz::{Mutator, TARGETS, corpus, run};

/// `FUZZ_EXECUTIONS` runs longer, `FUZZ_SEED` runs others.
fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

#[test]
fn no_made_up_input_breaks_a_parsers_promise() {
    let executions = number("FUZZ_EXECUTIONS", 3_000);

    for target in TARGETS {
        run(target, number("FUZZ_SEED", 1), executions);
    }
}

#[test]
fn every_target_has_a_corpus_and_the_same_seed_makes_the_same_input() {
    for target in TARGETS {
        let corpus = corpus(target.name);
        assert!(corpus.len() >= 5, "{}", target.name);
        let inputs = |seed| {
            let mut mutator = Mutator::new(seed, corpus.clone());
            (0..50).map(|_| mutator.next().to_vec()).collect::<Vec<_>>()
        };
        assert_eq!(inputs(1), inputs(1));
        assert_ne!(inputs(1), inputs(2));
    }
}
