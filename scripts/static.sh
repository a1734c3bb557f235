# Static Linux binaries (musl), which run in any Linux and in an empty image. Sourced, not run.

target=x86_64-unknown-linux-musl

# shellcheck source=scripts/relocations.sh
. scripts/relocations.sh

say() { echo "$(basename "$0"): $*"; }
has() { command -v "$1" >/dev/null; }

# A C compiler that makes static Linux binaries: the cryptography is C.
choose_builder() {
    if [ "$(uname -sm)" = 'Linux x86_64' ]; then
        if ! has musl-gcc && has apt-get && [ "$(id -u)" = 0 ]; then
            say 'installing musl-tools'
            apt-get update -qq && apt-get install -qq -y --no-install-recommends musl-tools >/dev/null
        fi
        if has musl-gcc; then builder=build && return; fi
    fi
    if has cargo-zigbuild; then builder=zigbuild && return; fi
    say 'there is no compiler for static Linux binaries. Debian and Ubuntu: apt-get install musl-tools.' >&2
    say 'Elsewhere: cargo install cargo-zigbuild, and zig.' >&2
    exit 2
}

add_target() {
    if has rustup && ! rustup target list --installed | grep -qx "$target"; then
        say "adding the Rust target $target"
        rustup target add "$target"
    fi
}

# build PACKAGE: one at a time, so that no other package adds features to it.
build() {
    add_target
    local flags
    flags=$(packed_relocations "$target")
    # Beside a linker that cargo's configuration names for this target; RUSTFLAGS would take the place of its flags.
    cargo "$builder" --release --locked --target "$target" --config "target.$target.rustflags=[${flags:+'$flags'}]" -p "$1"
}

# built NAME: where the binary is.
built() { echo "${CARGO_TARGET_DIR:-target}/$target/release/$1"; }
