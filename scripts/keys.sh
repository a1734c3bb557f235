# What the scripts about keys share. Sourced, not run.

cookie_key=${COOKIE_KEY_NAME:-cookie-key}
token_key=${TOKEN_KEY_NAME:-token-key}

# 32 random bytes become a new version of a secret. They go through a file that only we can read, never through an argument.
add_key_version() {
    local vault=$1 name=$2 file
    file=$(umask 077 && mktemp)
    # shellcheck disable=SC2064 # the name of this file, not of a later one
    trap "rm -f '$file'" EXIT
    head -c 32 /dev/urandom | base64 | tr -d '\n' >"$file"
    # Whoever calls this in a condition has switched `set -e` off: a failure is passed on by hand.
    az keyvault secret set --vault-name "$vault" --name "$name" --file "$file" --encoding utf-8 \
        --content-type 'base64 of 32 random bytes' --only-show-errors --output none || {
        rm -f "$file"
        return 1
    }
    rm -f "$file"
}
