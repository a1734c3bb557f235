# The linker's option for packed relocations (DT_RELR), where the C library reads them. Sourced, not run.
#
# The binary may be loaded anywhere, so every start applies relocations. Unpacked they are a table of 850 KB, which is read
# and stays in memory (docs/decisions/0037).

# packed_relocations TARGET: a flag for rustc, or nothing.
packed_relocations() {
    local reads=no
    case $1 in
    # Since musl 1.2.4; Rust brings its own, 1.2.5. Zig's linker knows no such option.
    *-linux-musl) if [ "${builder:-build}" = build ]; then reads=yes; fi ;;
    *-linux-gnu) if is_at_least 2.36 "$(getconf GNU_LIBC_VERSION)"; then reads=yes; fi ;;
    esac
    if [ $reads = yes ]; then echo '-Clink-arg=-Wl,-z,pack-relative-relocs'; fi
}

# is_at_least VERSION TEXT: whether TEXT ends in this version or a later one.
is_at_least() { printf '%s\n' "$1" "${2##* }" | sort -C -V; }
