use super::settings::Settings;
use crate::mail::dkim::Seal;
use std::path::PathBuf;

/// `[dkim]`: the keys that letters are signed with, each as `SELECTOR:FILE`. Several sign together:
/// one RSA and one Ed25519 key, or the old and the new one while they are changed.
pub(super) fn seals(s: &mut Settings, domain: &str) -> Vec<(Seal, PathBuf)> {
    let domain = s.take("dkim.domain", super::not_blank).unwrap_or_else(|| domain.to_owned());
    let Some((list, origin)) = s.take_list("dkim.keys") else { return Vec::new() };
    let mut seals = Vec::new();
    for entry in list {
        let Some((selector, file)) = entry.split_once(':') else {
            s.fault(
                origin.clone(),
                format!("`dkim.keys`: `{entry}` must be SELECTOR:FILE, as in s1:/etc/bantin/dkim/s1.pem"),
            );
            continue;
        };
        let pem = match std::fs::read_to_string(file) {
            Ok(pem) => pem,
            Err(error) => {
                s.fault(origin.clone(), format!("`dkim.keys`: {file} cannot be read: {error}"));
                continue;
            }
        };
        match Seal::new(&domain, selector, &pem) {
            Ok(seal) => seals.push((seal, PathBuf::from(file))),
            Err(error) => s.fault(origin.clone(), format!("`dkim.keys`: {selector} ({file}) {error}")),
        }
    }
    seals
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::dkim::KeyKind;

    #[test]
    fn keys_are_read_by_selector_and_faults_name_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| folder.path().join(name).display().to_string();
        std::fs::write(file("a.pem"), KeyKind::Ed25519.generate().unwrap()).unwrap();
        std::fs::write(file("b.pem"), "no key").unwrap();
        let keys = format!("s1:{}, s2:{}, s3:{}, s4", file("a.pem"), file("b.pem"), file("c.pem"));
        let mut s = Settings::of_file("bantin.toml", &format!("[dkim]\nkeys = \"{keys}\"\n"));
        let seals = seals(&mut s, "bao.example");
        assert_eq!(seals.len(), 1);
        assert_eq!(seals[0].0.record_name(), "s1._domainkey.bao.example");
        let faults: Vec<String> = s.finish().iter().map(ToString::to_string).collect();
        assert_eq!(faults.len(), 3, "{faults:?}");
        assert!(faults.iter().any(|f| f.contains("b.pem) is no private key in PEM form")), "{faults:?}");
        assert!(faults.iter().any(|f| f.contains("c.pem cannot be read")), "{faults:?}");
        assert!(faults.iter().any(|f| f.contains("SELECTOR:FILE")), "{faults:?}");
    }
}
