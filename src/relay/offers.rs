use super::answer::Answer;

/// What a server said that it can, in its answer to EHLO (RFC 5321 §4.1.1.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Offers {
    /// The name that it gave itself.
    pub(super) name: String,
    /// RFC 2920.
    pub(super) pipelining: bool,
    /// RFC 1870; what it takes at most, where it says so.
    pub(super) size: Option<Option<usize>>,
    /// RFC 6152.
    pub(super) eight_bit: bool,
    /// RFC 6531.
    pub(super) utf8: bool,
    /// RFC 3461.
    pub(super) dsn: bool,
    /// RFC 3207.
    pub(super) starttls: bool,
    /// RFC 2034. Enhanced codes are read also where they are not announced.
    pub(super) enhanced: bool,
    /// RFC 4954, mechanisms that we speak.
    pub(super) plain: bool,
    pub(super) login: bool,
}

impl Offers {
    pub(super) fn of(hello: &Answer) -> Self {
        let name = hello.lines.first().and_then(|line| line.split_whitespace().next());
        let name: String = name.unwrap_or_default().chars().take(255).collect();
        let mut offers = Self { name, ..Self::default() };
        for line in hello.lines.iter().skip(1) {
            // Old servers write AUTH=LOGIN.
            let mut words = line.split([' ', '=']).filter(|word| !word.is_empty());
            match words.next().unwrap_or_default().to_ascii_uppercase().as_str() {
                "PIPELINING" => offers.pipelining = true,
                // 0: no limit of its own (RFC 1870 §3).
                "SIZE" => {
                    offers.size = Some(words.next().and_then(|n| n.parse().ok()).filter(|limit| *limit > 0));
                }
                "8BITMIME" => offers.eight_bit = true,
                "SMTPUTF8" => offers.utf8 = true,
                "DSN" => offers.dsn = true,
                "STARTTLS" => offers.starttls = true,
                "ENHANCEDSTATUSCODES" => offers.enhanced = true,
                "AUTH" => {
                    for mechanism in words {
                        offers.plain |= mechanism.eq_ignore_ascii_case("PLAIN");
                        offers.login |= mechanism.eq_ignore_ascii_case("LOGIN");
                    }
                }
                _ => {}
            }
        }
        offers
    }

    /// For an operator.
    pub(super) fn told(&self) -> String {
        let size = match self.size {
            Some(Some(limit)) => format!("SIZE {limit}"),
            _ => "SIZE".to_owned(),
        };
        let told: Vec<&str> = [
            (self.starttls, "STARTTLS"),
            (self.pipelining, "PIPELINING"),
            (self.size.is_some(), size.as_str()),
            (self.eight_bit, "8BITMIME"),
            (self.utf8, "SMTPUTF8"),
            (self.dsn, "DSN"),
            (self.enhanced, "ENHANCEDSTATUSCODES"),
            (self.plain, "AUTH PLAIN"),
            (self.login, "AUTH LOGIN"),
        ]
        .into_iter()
        .filter_map(|(is_offered, name)| is_offered.then_some(name))
        .collect();
        if told.is_empty() { "no extensions".to_owned() } else { told.join(", ") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_to_ehlo_is_understood_as_servers_write_it() {
        let lines = [
            "mx.bao.vn at your service",
            "size 10240000",
            "PIPELINING",
            "",
            "AUTH=LOGIN XOAUTH2",
            "auth PLAIN",
            "8BitMIME",
        ];
        let lines = lines.map(str::to_owned).to_vec();
        let offers = Offers::of(&Answer { code: 250, status: None, lines });
        assert_eq!(offers.name, "mx.bao.vn");
        assert_eq!(offers.told(), "PIPELINING, SIZE 10240000, 8BITMIME, AUTH PLAIN, AUTH LOGIN");
        let of = |line: &str| {
            Offers::of(&Answer { code: 250, status: None, lines: vec!["x".into(), line.into()] })
        };
        assert_eq!((of("SIZE").size, of("SIZE 0").size, of("x").size), (Some(None), Some(None), None));
        assert_eq!(of("").told(), "no extensions");
    }
}
