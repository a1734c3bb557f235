# A handler whose code is laid out by how often its branches are taken (profile-guided optimisation). Sourced, not run.
#
# Two builds in a folder of their own: the first counts while tests/bench/train.mjs spends a working day with it, the
# second is built for what was counted, and the functions that ran lie next to each other.

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
    executed_functions "$reader" "$counts.profdata" >"$counts.order"
    build_with "-Cprofile-use=$counts.profdata $(in_order "$counts.order")" "$guided" "$@"
}

# executed_functions READER COUNTS: the names of those that ran, the most often first.
executed_functions() {
    "$1" show --topn=1000000 "$2" | sed -n 's/^  \(.*;\)\{0,1\}\(.*\), max count = [1-9][0-9]*$/\2/p'
}

# in_order FILE: flags for rustc that lay these functions out one behind the other, so that fewer pages are read and kept.
# The linker is LLVM's, which comes with Rust: no other has the option.
in_order() {
    local linker
    linker=$(rustc --print sysroot)/lib/rustlib/$(rustc -vV | sed -n 's/^host: //p')/bin/gcc-ld
    if [ "${builder:-build}" = build ] && [ -x "$linker/ld.lld" ]; then
        printf -- '-Clink-arg=%s ' "-B$linker" -fuse-ld=lld "-Wl,--symbol-ordering-file=$1" -Wl,--no-warn-symbol-ordering
    fi
}

# guided_binary PROFILE TARGET: where it is.
guided_binary() { echo "$guided/$2/$1/oauth-proxy"; }

# build_with FLAG FOLDER SUBCOMMAND PROFILE TARGET
build_with() {
    RUSTFLAGS="${RUSTFLAGS:-} $1 $(packed_relocations "$5")" cargo "$3" --profile "$4" --locked --target "$5" --target-dir "$2" -p oauth-proxy
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
