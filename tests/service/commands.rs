//! What a command tells whoever called it: exit codes, and where the words go.

use crate::world::World;

#[test]
fn an_unusable_configuration_is_no_failure_that_trying_again_mends() {
    let mut world = World::new();
    let code = |world: &World, arguments: &[&str]| world.run(arguments).status.code();
    assert_eq!(code(&world, &["feed", "list"]), Some(0));
    assert_eq!(code(&world, &["feed", "render", "khong-co"]), Some(1));
    assert_eq!(code(&world, &["feed", "rendr"]), Some(2));
    world.write("feeds/hong.toml", "[digest]\nschedule = \"6.30\"\n");
    assert_eq!(code(&world, &["serve"]), Some(2), "systemd must not start it again and again");
    std::fs::remove_file(world.path("feeds/hong.toml")).unwrap();
    world.set("BANTIN_SERVER__LISEN", "127.0.0.1:0");
    let refused = world.run(&["serve"]);
    let words = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(2), "{words}");
    assert!(refused.stdout.is_empty() && words.contains("did you mean `server.listen`?"), "{words}");
}

#[test]
fn a_command_that_nobody_reads_on_ends_without_a_word_and_one_that_cannot_be_written_down_says_so() {
    let world = World::new();
    world.import(&[crate::served::article("1", "Một", "Kinh tế")]);
    let commands: [&[&str]; 6] = [
        &["article", "list"],
        &["article", "list", "--json"],
        &["feed", "render", "all"],
        &["suppression", "export"],
        &["subscriber", "export"],
        &["digest", "list"],
    ];
    for command in commands {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = world.run_into(command, writer);
        assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(141), &b""[..]), "{command:?}");
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = world.run_into(command, full);
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{command:?}: {told}");
        assert!(told.contains("No space left"), "{command:?}: {told}");
    }
}
