#!/bin/sh
# Turns secrets that are files into the environment of this process alone, then becomes the command.
#   /run/secrets/exchange_key    -> FREQTRADE__EXCHANGE__KEY
#   /run/secrets/exchange_secret -> FREQTRADE__EXCHANGE__SECRET
#   /run/secrets/quorum_token    -> QUORUM_TOKEN
#   /run/secrets/state_url       -> QUORUM_STATE_URL
set -eu

secret() {
    file="/run/secrets/$1"
    if [ -r "$file" ] && [ -s "$file" ]; then
        value="$(cat "$file")"
        export "$2=$value"
    fi
}

secret exchange_key FREQTRADE__EXCHANGE__KEY
secret exchange_secret FREQTRADE__EXCHANGE__SECRET
secret exchange_password FREQTRADE__EXCHANGE__PASSWORD
secret telegram_token FREQTRADE__TELEGRAM__TOKEN
secret quorum_token QUORUM_TOKEN
secret state_url QUORUM_STATE_URL
exec "$@"
