# The linker's option for packed relocations (DT_RELR), where the C library reads them. Sourced, not run.
#
# Every start applies 35,000 relocations: the binary may be loaded anywhere. They are 850 KB, which stay in memory. Packed
# they are 20 KB.

# packed_relocations TARGET: a flag for rustc, or nothing.
packed_relocations() {
    local reads=no
    case $1 in
    *-linux-musl) if [ "${builder:-build}" = build ]; then reads=yes; fi ;; # zig's linker knows no such option
    *-linux-gnu) if is_at_least 2.36 "$(getconf GNU_LIBC_VERSION)"; then reads=yes; fi ;;
    esac
    if [ $reads = yes ]; then echo '-Clink-arg=-Wl,-z,pack-relative-relocs'; fi
}

# is_at_least VERSION TEXT: whether TEXT ends in this version or a later one.
is_at_least() { printf '%s\n' "$1" "${2##* }" | sort -C -V; }
