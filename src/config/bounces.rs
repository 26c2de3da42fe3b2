use super::settings::Settings;
use super::{not_blank, path};
use crate::domain::HookKey;
use crate::inbox::ImapUrl;
use crate::mail::report::Rules;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

/// `[bounces]`: on which ways mail that could not be delivered comes back.
#[derive(Clone, Debug, Default)]
pub struct BounceSettings {
    /// Where LMTP is spoken.
    pub lmtp: Option<SocketAddr>,
    /// A Maildir that is watched.
    pub maildir: Option<PathBuf>,
    /// A mailbox that is looked into.
    pub imap: Option<ImapUrl>,
    /// The last part of the addresses to which providers post.
    pub hook_key: Option<HookKey>,
    /// The topic of Amazon SNS whose signed posts alone are taken from SES.
    pub sns_topic: Option<String>,
    /// What is known of servers' words.
    pub rules: Rules,
}

pub(super) fn bounce_settings(s: &mut Settings) -> BounceSettings {
    BounceSettings {
        lmtp: s.take("bounces.lmtp", |text| {
            text.parse()
                .map_err(|_| format!("`{text}` is no address to listen on; write it like 127.0.0.1:2424"))
        }),
        maildir: s.take("bounces.maildir", path),
        imap: s.take("bounces.imap", ImapUrl::from_str),
        hook_key: s.take("bounces.hook_key", HookKey::parse),
        sns_topic: s.take("bounces.sns_topic", sns_topic),
        rules: rules(s),
    }
}

/// `arn:partition:sns:region:account:name`.
fn sns_topic(text: &str) -> Result<String, String> {
    let parts: Vec<&str> = text.split(':').collect();
    match parts.as_slice() {
        ["arn", _, "sns", _, _, name] if !name.is_empty() => Ok(text.to_owned()),
        _ => Err(format!(
            "`{text}` is no topic of Amazon SNS; write it like arn:aws:sns:eu-west-1:123456789012:bounces"
        )),
    }
}

/// The built-in rules, behind a newsroom's own where it has some.
fn rules(s: &mut Settings) -> Rules {
    let own = s.take("bounces.rules", |file| {
        let file = not_blank(file)?;
        let text =
            std::fs::read_to_string(&file).map_err(|error| format!("{file} cannot be read: {error}"))?;
        Rules::with_own(&text).map_err(|error| format!("{file}: {error}"))
    });
    own.or_else(|| Rules::built_in().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_rules_stand_before_the_built_in_ones_and_faults_name_their_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.display().to_string()
        };
        let own = file("own.toml", "[[verdict]]\nclass = \"soft\"\nsays = [\"user unknown\"]\n");
        let mut s = Settings::of_file("bantin.toml", &format!("[bounces]\nrules = \"{own}\"\n"));
        let settings = bounce_settings(&mut s);
        let class = crate::mail::report::of_reply("550 5.1.1 user unknown", &settings.rules);
        assert_eq!(class, crate::domain::BounceClass::Soft);
        assert_eq!(s.finish(), []);

        let broken = file("broken.toml", "[[verdict]]\nclass = \"harsh\"\nsays = []\n");
        let text = format!(
            "[bounces]\nrules = \"{broken}\"\nhook_key = \"short\"\nlmtp = \"2424\"\nimap = \"mail\"\nsns_topic = \"bounces\"\n"
        );
        let mut s = Settings::of_file("bantin.toml", &text);
        bounce_settings(&mut s);
        let faults: Vec<String> = s.finish().iter().map(ToString::to_string).collect();
        assert_eq!(faults.len(), 5, "{faults:?}");
        assert!(
            faults.iter().any(|fault| fault.contains("broken.toml") && fault.contains("harsh")),
            "{faults:?}"
        );
        assert!(faults.iter().any(|fault| fault.contains("openssl rand")), "{faults:?}");
    }
}
