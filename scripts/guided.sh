# A handler whose code is laid out by how often its branches are taken (profile-guided optimisation). Sourced, not run.
#
# Two builds in a folder of their own: the first counts while tests/bench/train.mjs spends a working day with it, the
# second is built for what was counted.

guided=${CARGO_TARGET_DIR:-target}/guided

# shellcheck source=scripts/relocations.sh
. scripts/relocations.sh

# build_guided SUBCOMMAND PROFILE TARGET: cargo's subcommand (build or zigbuild), one of its profiles, and the target.
build_guided() {
    local counts=$PWD/$guided/counts reader counting=$guided/counting
    [[ $guided != /* ]] || counts=$guided/counts
    reader=$(profile_reader)
    rm -rf "$counts"
    build_with "-Cprofile-generate=$counts" "$counting" "$@"
    if [ ! -d tests/e2e/node_modules ]; then npm ci --no-progress --prefix tests/e2e; fi
    cargo build --locked -p cosmos-emulator
    node tests/bench/train.mjs --handler "$counting/$3/$2/oauth-proxy"
    "$reader" merge -o "$counts.profdata" "$counts"
    build_with "-Cprofile-use=$counts.profdata" "$guided" "$@"
}

# guided_binary PROFILE TARGET: where it is.
guided_binary() { echo "$guided/$2/$1/oauth-proxy"; }

# build_with FLAG FOLDER SUBCOMMAND PROFILE TARGET
build_with() {
    local flags="${RUSTFLAGS:-} $1"
    flags="$flags $(packed_relocations "$5")"
    RUSTFLAGS=$flags cargo "$3" --profile "$4" --locked --target "$5" --target-dir "$2" -p oauth-proxy
}

# llvm-profdata must be of the compiler's LLVM: rustup has it.
profile_reader() {
    if command -v rustup >/dev/null; then rustup component add llvm-tools >&2; fi
    local found
    found=$(find "$(rustc --print sysroot)/lib/rustlib" -name llvm-profdata -path '*/bin/*' | head -n 1)
    if [ -z "$found" ]; then
        echo 'a guided build needs llvm-profdata of the Rust toolchain: rustup component add llvm-tools' >&2
        return 2
    fi
    echo "$found"
}
