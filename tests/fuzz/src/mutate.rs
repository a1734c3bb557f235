//! Seeded mutations: bytes changed, taken out, repeated, spliced from other inputs, and words that parsers trip over.

/// Makes one input after the other.
pub struct Mutator {
    state: u64,
    corpus: Vec<Vec<u8>>,
    input: Vec<u8>,
}

/// Longer inputs are cut: time goes into many instead.
const MAX_LENGTH: usize = 4096;

const WORDS: &[&[u8]] = &[
    b"%25",
    b"%2e",
    b"%2f",
    b"%5c",
    b"%00",
    b"%C0%AF",
    b"%u0061",
    b"..",
    b"//",
    b"\\",
    b";",
    b"~1",
    b"::$DATA",
    b"(S(x))",
    b".aspx",
    b"?",
    b"#",
    b"&",
    b"=",
    b",",
    b"\"",
    b"\\\"",
    b"{",
    b"}",
    b"[",
    b"]",
    b":",
    b"null",
    b"true",
    b"-1",
    b"1e999",
    b"18446744073709551616",
    b"\xef\xbb\xbf",
    b"\xff",
    b"\xe2\x80\x8b",
    b"\xef\xbd\x81",
    b"\r\n",
    b"\0",
    b"\t",
    b"__Host-",
    b"admin",
    b"oauth",
    b"https://",
    b"@",
    b"amp;",
    b"eyJ",
    b"code",
    b"state",
    b"error",
    b"kid",
    b"\\u0000",
    b"\\ud800",
];

impl Mutator {
    /// The mutations of this seed.
    #[must_use]
    pub fn new(seed: u64, corpus: Vec<Vec<u8>>) -> Self {
        Self { state: seed ^ 0x9e37_79b9_7f4a_7c15, corpus, input: Vec::new() }
    }

    /// The next input.
    #[expect(clippy::should_implement_trait, reason = "it lends its own buffer")]
    pub fn next(&mut self) -> &[u8] {
        let start = self.below(self.corpus.len());
        self.input.clone_from(&self.corpus[start]);
        for _ in 0..=self.below(6) {
            self.change();
        }
        self.input.truncate(MAX_LENGTH);
        &self.input
    }

    fn change(&mut self) {
        let at = self.below(self.input.len() + 1);
        let length = self.below(self.input.len() - at + 1).min(64);
        let (word, times, other, byte) =
            (self.below(WORDS.len()), self.below(8), self.below(self.corpus.len()), self.byte());
        match self.below(7) {
            0 => self.insert(at, WORDS[word]),
            1 if at < self.input.len() => self.input[at] = byte,
            2 => drop(self.input.drain(at..at + length)),
            3 => {
                let repeated = self.input[at..at + length].repeat(times);
                self.insert(at, &repeated);
            }
            4 => {
                let other = self.corpus[other].clone();
                let from = self.below(other.len() + 1);
                let to = from + self.below(other.len() - from + 1);
                self.insert(at, &other[from..to]);
            }
            5 => self.insert(at, &[byte]),
            _ if at < self.input.len() => self.input[at] ^= 1 << (byte % 8),
            _ => {}
        }
    }

    fn insert(&mut self, at: usize, bytes: &[u8]) {
        self.input.splice(at..at, bytes.iter().copied());
    }

    fn byte(&mut self) -> u8 {
        self.random().to_le_bytes()[0]
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.random() % (end.max(1) as u64)).unwrap_or_default()
    }

    /// SplitMix64 (Steele, Lea and Flood, 2014).
    fn random(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
