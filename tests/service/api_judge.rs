//! An outside judge of the API: schemathesis sends what the served document allows and forbids, and
//! holds the answers against it.

use crate::api::token;
use crate::gets::newsroom;
use std::path::Path;
use std::process::Command;

/// Every check is on. Of what a schema allows some is refused for what no schema can say: a date beyond
/// all calendars, a key that another request had, a version that nobody has any more.
const SETTINGS: &str = "
[checks.positive_data_acceptance]
expected-statuses = [\"2xx\", \"3xx\", 401, 403, 404, 409, 412, 422]
[checks.negative_data_rejection]
expected-statuses = [400, 401, 403, 404, 405, 409, 412, 413, 415, 422]
";

#[test]
fn schemathesis_finds_nothing() {
    let world = newsroom();
    let token = token(&world, "judge", &["write"]);
    let settings = world.write("schemathesis.toml", SETTINGS);
    let own = concat!(env!("CARGO_MANIFEST_DIR"), "/target/test-schemathesis");
    let folder = std::env::var("BANTIN_TEST_SCHEMATHESIS").unwrap_or_else(|_| own.to_owned());
    let output = Command::new(Path::new(&folder).join("bin/st"))
        .args(["--config-file", settings.to_str().unwrap(), "run", &world.url("/api/openapi.json")])
        .args(["--header", &format!("Authorization: Bearer {token}"), "--seed", "1", "--workers", "1"])
        .args(["--max-examples", "8", "--generation-database", "none", "--no-color"])
        .current_dir(world.path("."))
        .output()
        .unwrap_or_else(|error| {
            panic!("schemathesis is needed for the tests ({error}); tests/run installs it")
        });
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{told}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(told.contains("Tested: 30") && !world.log().contains("panicked"), "{told}\n{}", world.log());
}
