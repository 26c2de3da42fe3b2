use percent_encoding::percent_decode_str;
use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    str::FromStr,
};

/// Where mail goes, as `mail.url` says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MailUrl {
    /// `outbox:var/outbox`: every message is a file in this folder.
    Outbox(PathBuf),
    /// `smtp://…` or `smtps://…`: the next mail server.
    Smtp(SmtpUrl),
    /// `mx:`: the mail servers of each reader's domain, without one between.
    Direct(DirectUrl),
}

/// How the mail servers of readers' domains are found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectUrl {
    /// Where they listen: 25, but for tests.
    pub port: u16,
    /// `?dns=192.0.2.53` or `?dns=192.0.2.53:53`: the name server, if not the system's.
    pub name_server: Option<SocketAddr>,
    /// `?inside=true`: whether they may lie within our network. A stranger names them, so they may not;
    /// for tests and inner networks only.
    pub inside: bool,
}

/// The address of a mail server, and how to speak with it.
#[derive(Clone, PartialEq, Eq)]
pub struct SmtpUrl {
    /// Its name or IP address, IPv6 without brackets.
    pub host: String,
    /// Its port: 25; 587 with credentials (RFC 6409 §3.1); 465 for `smtps` (RFC 8314 §7.3).
    pub port: u16,
    /// Whether the line is encrypted.
    pub tls: TlsPolicy,
    /// A PEM file of authorities to trust beside those of the system.
    pub authorities: Option<PathBuf>,
    pub(super) credentials: Option<(String, String)>,
}

/// When the line to the mail server is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsPolicy {
    /// `?tls=none`: never.
    Never,
    /// `?tls=opportunistic`: when offered, whoever's certificate it is (RFC 7435): one who can
    /// show a false certificate could as well hide the offer.
    Offered,
    /// `?tls=required`: by STARTTLS with a valid certificate, or no mail goes.
    Required,
    /// `smtps://`: from the first byte, with a valid certificate.
    Implicit,
}

/// Why a text is no `mail.url`. None of them repeats the text: it may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MailUrlError {
    /// No way of mailing that we know.
    #[error(
        "mail.url begins with none of `outbox:`, `smtp://`, `smtps://`, `mx:`; write it like smtp://localhost:25 or outbox:var/outbox"
    )]
    Scheme,
    /// An outbox without a folder.
    #[error("mail.url names no folder; write outbox:var/outbox, or outbox:/srv/outbox for an absolute path")]
    Folder,
    /// Not to be read as an address.
    #[error(
        "mail.url: {0}; write it like smtps://name:password@mail.example.vn, in the password %40 for @, %2F for /, %3A for :, %23 for #, %3F for ? and %25 for %"
    )]
    Malformed(&'static str),
    /// An unknown parameter or value.
    #[error(
        "mail.url: `{0}` is not understood; behind the ? may stand tls=required, tls=opportunistic, tls=none and ca=FILE"
    )]
    Parameter(String),
    /// An unknown parameter or value behind `mx:`.
    #[error(
        "mail.url: `{0}` is not understood; behind mx:? may stand dns=ADDRESS, port=NUMBER and inside=true"
    )]
    DirectParameter(String),
    /// A password that others could read.
    #[error(
        "mail.url: the password would go in clear text to another machine; write ?tls=required or smtps://, or leave the password out"
    )]
    PasswordInClear,
    /// `smtps` without TLS.
    #[error("mail.url: smtps:// is always encrypted; leave ?tls= out, or write smtp://")]
    ImplicitTls,
}

impl FromStr for MailUrl {
    type Err = MailUrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        let (scheme, rest) = text.split_once(':').ok_or(MailUrlError::Scheme)?;
        match scheme.to_ascii_lowercase().as_str() {
            "outbox" if rest.is_empty() || rest.starts_with("//") || rest.contains('\0') => {
                Err(MailUrlError::Folder)
            }
            "outbox" => Ok(Self::Outbox(PathBuf::from(rest))),
            "smtp" | "smtps" if rest.starts_with("//") => SmtpUrl::parse(text).map(Self::Smtp),
            "mx" => rest.parse().map(Self::Direct),
            _ => Err(MailUrlError::Scheme),
        }
    }
}

impl SmtpUrl {
    fn parse(text: &str) -> Result<Self, MailUrlError> {
        use MailUrlError::Malformed;
        let url = ::url::Url::parse(text).map_err(|e| match e {
            ::url::ParseError::InvalidPort => Malformed("the port is no number from 1 to 65535"),
            ::url::ParseError::EmptyHost => Malformed("the host is missing"),
            _ => Malformed("this is no address of a mail server"),
        })?;
        if !matches!(url.path(), "" | "/") || url.fragment().is_some() {
            return Err(Malformed("something stands behind the host"));
        }
        let host = url.host_str().filter(|h| !h.is_empty()).ok_or(Malformed("the host is missing"))?;
        let host = match ::url::Host::parse(host).map_err(|_| Malformed("the host is no host name"))? {
            ::url::Host::Domain(name) => name,
            ::url::Host::Ipv4(ip) => ip.to_string(),
            ::url::Host::Ipv6(ip) => ip.to_string(),
        };
        let credentials = credentials(&url)?;
        let (mut asked, mut authorities) = (None, None);
        for (name, value) in url.query_pairs() {
            match (&*name, &*value) {
                ("tls", "required") => asked = Some(TlsPolicy::Required),
                ("tls", "opportunistic") => asked = Some(TlsPolicy::Offered),
                ("tls", "none") => asked = Some(TlsPolicy::Never),
                ("ca", file) if !file.is_empty() => authorities = Some(PathBuf::from(file)),
                _ => return Err(MailUrlError::Parameter(name.chars().take(40).collect())),
            }
        }
        let implicit = url.scheme() == "smtps";
        let in_private = is_loopback(&host) || credentials.is_none();
        let tls = match asked {
            None | Some(TlsPolicy::Required) if implicit => TlsPolicy::Implicit,
            Some(_) if implicit => return Err(MailUrlError::ImplicitTls),
            Some(TlsPolicy::Never | TlsPolicy::Offered) if !in_private => {
                return Err(MailUrlError::PasswordInClear);
            }
            None if !in_private => TlsPolicy::Required,
            None => TlsPolicy::Offered,
            Some(policy) => policy,
        };
        let port = match url.port() {
            Some(0) => return Err(Malformed("the port is no number from 1 to 65535")),
            Some(port) => port,
            None if implicit => 465,
            None if credentials.is_some() => 587,
            None => 25,
        };
        Ok(Self { host, port, tls, authorities, credentials })
    }
}

fn credentials(url: &::url::Url) -> Result<Option<(String, String)>, MailUrlError> {
    let decode = |part: &str| {
        let text = percent_decode_str(part).decode_utf8().ok()?;
        // NUL parts the fields of AUTH PLAIN (RFC 4616 §2).
        (!text.is_empty() && !text.contains(char::is_control)).then(|| text.into_owned())
    };
    match (url.username(), url.password()) {
        ("", None) => Ok(None),
        (user, password) => {
            let user = decode(user).ok_or(MailUrlError::Malformed("the user name is unusable"))?;
            let password =
                password.and_then(decode).ok_or(MailUrlError::Malformed("the password is unusable"))?;
            Ok(Some((user, password)))
        }
    }
}

impl MailUrl {
    /// The mail server's host; what stands for it where there is none.
    pub fn host(&self) -> &str {
        match self {
            Self::Smtp(url) => &url.host,
            Self::Direct(_) => "mx",
            Self::Outbox(_) => "outbox",
        }
    }
}

/// Judged by what is written, not by what the name server says: that can be forged.
pub(super) fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

impl fmt::Display for MailUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Outbox(folder) => write!(f, "outbox:{}", folder.display()),
            Self::Smtp(url) => url.fmt(f),
            Self::Direct(_) => f.write_str("mx:"),
        }
    }
}

/// Hides name and password.
impl fmt::Display for SmtpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.tls == TlsPolicy::Implicit { "smtps://" } else { "smtp://" })?;
        if self.credentials.is_some() {
            f.write_str("…@")?;
        }
        if self.host.contains(':') {
            write!(f, "[{}]", self.host)?
        } else {
            f.write_str(&self.host)?
        }
        write!(f, ":{}", self.port)?;
        match self.tls {
            TlsPolicy::Never => f.write_str("?tls=none"),
            TlsPolicy::Offered => f.write_str("?tls=opportunistic"),
            TlsPolicy::Required => f.write_str("?tls=required"),
            TlsPolicy::Implicit => Ok(()),
        }
    }
}

/// Hides name and password.
impl fmt::Debug for SmtpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SmtpUrl({self})")
    }
}

impl FromStr for DirectUrl {
    type Err = MailUrlError;

    /// Reads what stands behind `mx:`.
    fn from_str(rest: &str) -> Result<Self, MailUrlError> {
        let mut direct = Self { port: 25, name_server: None, inside: false };
        let parameters = match rest.strip_prefix('?') {
            Some(parameters) => parameters,
            None if rest.is_empty() => rest,
            None => return Err(MailUrlError::DirectParameter(rest.chars().take(40).collect())),
        };
        for (name, value) in ::url::form_urlencoded::parse(parameters.as_bytes()) {
            let unknown = || MailUrlError::DirectParameter(name.chars().take(40).collect());
            match &*name {
                "port" => direct.port = value.parse().ok().filter(|port| *port > 0).ok_or_else(unknown)?,
                "inside" => direct.inside = value.parse().map_err(|_| unknown())?,
                "dns" => {
                    let address = value.parse().or_else(|_| Ok(SocketAddr::new(value.parse()?, 53)));
                    let address: Result<_, std::net::AddrParseError> = address;
                    direct.name_server = Some(address.map_err(|_| unknown())?);
                }
                _ => return Err(unknown()),
            }
        }
        Ok(direct)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn each_way_of_mailing_is_understood() {
        for (text, shown) in [
            ("outbox:var/outbox", "outbox:var/outbox"),
            (" outbox:/srv/out ", "outbox:/srv/out"),
            ("smtp://localhost", "smtp://localhost:25?tls=opportunistic"),
            ("smtp://127.0.0.1:2525", "smtp://127.0.0.1:2525?tls=opportunistic"),
            ("smtp://[::1]:2525/", "smtp://[::1]:2525?tls=opportunistic"),
            ("smtp://Mail.Báo.vn?tls=required", "smtp://mail.xn--bo-mia.vn:25?tls=required"),
            ("smtp://mail.bao.vn?tls=none", "smtp://mail.bao.vn:25?tls=none"),
            ("smtp://an:s3cret@mail.bao.vn", "smtp://…@mail.bao.vn:587?tls=required"),
            ("smtp://an:s3cret@localhost:25", "smtp://…@localhost:25?tls=opportunistic"),
            ("smtps://an%40bao.vn:s3cret@mail.bao.vn", "smtps://…@mail.bao.vn:465"),
            ("smtps://mail.bao.vn:10465?tls=required", "smtps://mail.bao.vn:10465"),
        ] {
            assert_eq!(text.parse::<MailUrl>().map(|u| u.to_string()), Ok(shown.to_owned()), "{text}");
        }
        let direct = |text: &str| match text.parse() {
            Ok(MailUrl::Direct(direct)) => direct,
            other => panic!("{other:?}"),
        };
        assert_eq!(direct("mx:"), DirectUrl { port: 25, name_server: None, inside: false });
        let found = direct("mx:?dns=192.0.2.53&port=2525&inside=true");
        assert_eq!(found.name_server, Some("192.0.2.53:53".parse().unwrap()));
        assert_eq!((found.port, found.inside), (2525, true));
        let MailUrl::Smtp(url) = "smtps://an%40b.vn:p%3A%40%2F@b.vn?ca=/a%20b.pem".parse().unwrap() else {
            panic!("no SMTP")
        };
        assert_eq!(url.credentials, Some(("an@b.vn".into(), "p:@/".into())));
        assert_eq!(url.authorities, Some("/a b.pem".into()));
    }

    #[test]
    fn what_is_wrong_is_told_without_the_password() {
        use MailUrlError::*;
        let text = |e: &MailUrlError| e.to_string();
        for (url, told) in [
            ("", text(&Scheme)),
            ("localhost:25", text(&Scheme)),
            ("http://a.vn", text(&Scheme)),
            ("smtp:localhost", text(&Scheme)),
            ("outbox:", text(&Folder)),
            ("outbox://var/outbox", text(&Folder)),
            ("smtp://", text(&Malformed("the host is missing"))),
            ("smtp://a.vn:99999", text(&Malformed("the port is no number from 1 to 65535"))),
            ("smtp://a.vn:0", text(&Malformed("the port is no number from 1 to 65535"))),
            ("smtp://a.vn/x", text(&Malformed("something stands behind the host"))),
            ("smtp://an:s3/cret@a.vn", text(&Malformed("the port is no number from 1 to 65535"))),
            ("smtp://an@a.vn", text(&Malformed("the password is unusable"))),
            ("smtp://:s3cret@a.vn", text(&Malformed("the user name is unusable"))),
            ("smtp://an:s3cret%00@a.vn", text(&Malformed("the password is unusable"))),
            ("smtp://a.vn?tsl=none", text(&Parameter("tsl".into()))),
            ("smtp://a.vn?tls=maybe", text(&Parameter("tls".into()))),
            ("smtp://an:s3cret@a.vn?tls=none", text(&PasswordInClear)),
            ("smtp://an:s3cret@a.vn?tls=opportunistic", text(&PasswordInClear)),
            ("smtps://a.vn?tls=none", text(&ImplicitTls)),
            ("mx:gmail.com", text(&DirectParameter("gmail.com".into()))),
            ("mx:?dns=name.vn", text(&DirectParameter("dns".into()))),
            ("mx:?port=0", text(&DirectParameter("port".into()))),
        ] {
            let error = url.parse::<MailUrl>().unwrap_err().to_string();
            assert_eq!(error, told, "{url}");
            assert!(!error.contains("s3"), "{error}");
        }
    }

    #[test]
    fn neither_display_nor_debug_shows_the_password() {
        let url: MailUrl = "smtps://an:s3cret@mail.bao.vn".parse().unwrap();
        assert!(!format!("{url} {url:?}").contains("s3cret"));
        assert!(!format!("{url} {url:?}").contains("an:"));
    }

    proptest! {
        #[test]
        fn no_text_is_too_odd(text in "(smtp|smtps|outbox)?:?/{0,2}.*") {
            let _ = text.parse::<MailUrl>();
        }
    }
}
