# What one does every day. `tests/run` is what CI runs.

# A whole sample newsroom, on a free port
demo *arguments:
    cargo run -- demo {{arguments}}

# Everything that CI checks; installs what the tests need
check:
    tests/run

# Tests by a part of their name: just test digest
test name='':
    cargo test {{name}}

# Random histories against the model, many more than the tests take: after a change of what is due to whom
model histories='20000':
    BANTIN_MODEL_HISTORIES={{histories}} cargo test --test service model::every_due

# Write the golden feeds and mails anew; then look at the difference
bless:
    BLESS=1 cargo test --no-default-features --lib golden
    git diff --stat tests/golden

# How fast it is
bench *arguments:
    cargo bench {{arguments}}

# Looks for bytes that break a parser: just fuzz html 600
fuzz target seconds='60':
    cargo +nightly fuzz run --fuzz-dir tests/fuzz {{target}} -- -max_total_time={{seconds}} -timeout=20
