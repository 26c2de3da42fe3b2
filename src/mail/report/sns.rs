//! Posts of Amazon SNS, by which SES tells of bounces, and what shows that they are Amazon's.
//!
//! <https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html>

use aws_lc_rs::signature::{
    RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use std::fmt::Write as _;
use url::Url;

/// What is signed of a notice, in this order.
const NOTICE: [&str; 6] = ["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"];
/// What is signed of a question whether posts are wanted, or that they are wanted no more.
const QUESTION: [&str; 7] =
    ["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"];

/// Why a post is not taken for Amazon's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SnsFault {
    /// It is something else.
    #[error("it is no post of Amazon SNS, or SNS delivers it raw: its `{0}` is missing")]
    Missing(&'static str),
    /// Of what kind it is, nobody said.
    #[error("its type `{0}` is none of SNS")]
    Type(String),
    /// Somebody else's topic.
    #[error("it is of the topic `{0}`, which `bounces.sns_topic` does not name")]
    Topic(String),
    /// Anybody may have laid the certificate there.
    #[error("its certificate or page is not at https://sns.(region).amazonaws.com")]
    Place,
    /// Signed in a way that came later.
    #[error("its signature is of version `{0}`; known are 1 and 2")]
    Version(String),
    /// What lies there is none.
    #[error("its certificate cannot be read")]
    Certificate,
    /// Not by who holds the certificate's key, or changed since.
    #[error("its signature does not fit")]
    Forged,
}

/// What a post is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Notice,
    Subscription,
    End,
}

/// A post, of which nothing is proved yet.
#[derive(Debug)]
pub struct SnsPost {
    body: Value,
    kind: Kind,
}

impl SnsPost {
    /// Reads a post that must be of this topic.
    pub fn read(body: &[u8], topic: &str) -> Result<Self, SnsFault> {
        let body: Value = serde_json::from_slice(body).map_err(|_| SnsFault::Missing("Type"))?;
        let kind = match body.get("Type").and_then(Value::as_str) {
            Some("Notification") => Kind::Notice,
            Some("SubscriptionConfirmation") => Kind::Subscription,
            Some("UnsubscribeConfirmation") => Kind::End,
            Some(other) => return Err(SnsFault::Type(shown(other))),
            None => return Err(SnsFault::Missing("Type")),
        };
        let post = Self { body, kind };
        let of = post.field("TopicArn")?;
        if of == topic { Ok(post) } else { Err(SnsFault::Topic(shown(of))) }
    }

    fn field(&self, name: &'static str) -> Result<&str, SnsFault> {
        self.body.get(name).and_then(Value::as_str).ok_or(SnsFault::Missing(name))
    }

    /// Where the certificate lies, if only Amazon can have laid it there.
    pub fn certificate_url(&self) -> Result<Url, SnsFault> {
        amazons(self.field("SigningCertURL")?)
            .filter(|url| url.path().ends_with(".pem"))
            .ok_or(SnsFault::Place)
    }

    /// The page that is to be opened, where the post asks whether its like are wanted.
    pub fn subscription_page(&self) -> Result<Option<Url>, SnsFault> {
        if self.kind != Kind::Subscription {
            return Ok(None);
        }
        amazons(self.field("SubscribeURL")?).map(Some).ok_or(SnsFault::Place)
    }

    /// Whether the post tells of mail.
    pub fn is_notice(&self) -> bool {
        self.kind == Kind::Notice
    }

    /// What is signed: names and values, each on a line of its own.
    fn signed_text(&self) -> Result<String, SnsFault> {
        let mut text = String::new();
        let names = if self.kind == Kind::Notice { &NOTICE[..] } else { &QUESTION[..] };
        for name in names {
            let value = match self.field(name) {
                // A notice need not have one.
                Err(_) if *name == "Subject" => continue,
                value => value?,
            };
            let _ = write!(text, "{name}\n{value}\n");
        }
        Ok(text)
    }

    /// Whether the holder of this key (DER, a SubjectPublicKeyInfo) signed the post.
    pub fn verify(&self, public_key: &[u8]) -> Result<(), SnsFault> {
        let how = match self.field("SignatureVersion")? {
            "1" => &RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY,
            "2" => &RSA_PKCS1_2048_8192_SHA256,
            other => return Err(SnsFault::Version(shown(other))),
        };
        let signature = STANDARD.decode(self.field("Signature")?).map_err(|_| SnsFault::Forged)?;
        UnparsedPublicKey::new(how, public_key)
            .verify(self.signed_text()?.as_bytes(), &signature)
            .map_err(|_| SnsFault::Forged)
    }
}

/// A stranger's word, fit for a log.
fn shown(word: &str) -> String {
    word.chars()
        .filter(|c| c.is_ascii_alphanumeric() || matches!(c, ':' | '-' | '_' | '.'))
        .take(300)
        .collect()
}

/// An address at SNS itself.
fn amazons(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let host = url.host_str()?;
    let region = host.strip_prefix("sns.")?;
    let region =
        region.strip_suffix(".amazonaws.com").or_else(|| region.strip_suffix(".amazonaws.com.cn"))?;
    let is_region = !region.is_empty() && region.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let is_bare = url.port().is_none() && url.username().is_empty() && url.password().is_none();
    (url.scheme() == "https" && is_region && is_bare).then_some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The notice that Amazon's page on signatures shows.
    const EXAMPLE: &str = r#"{
        "Type": "Notification", "MessageId": "4d4dc071-ddbf-465d-bba8-08f81c89da64",
        "TopicArn": "arn:aws:sns:us-east-2:123456789012:s4-MySNSTopic-1G1WEFCOXTC0P",
        "Subject": "My subject", "Message": "My Test Message", "Timestamp": "2019-01-31T04:37:04.321Z",
        "SignatureVersion": "1", "Signature": "EXAMPLElDMXvB8r9R83tGoNn0ecwd5UjllzsvSvbItzfaMpN2nk5HVSw7Xn==",
        "SigningCertURL": "https://sns.us-east-2.amazonaws.com/SimpleNotificationService-f3ecfb7224c7233fe7bb5f59f96de52f.pem"}"#;
    const TOPIC: &str = "arn:aws:sns:us-east-2:123456789012:s4-MySNSTopic-1G1WEFCOXTC0P";

    #[test]
    fn what_is_signed_is_what_amazons_page_shows() {
        let post = SnsPost::read(EXAMPLE.as_bytes(), TOPIC).unwrap();
        assert_eq!(
            post.signed_text().unwrap(),
            "Message\nMy Test Message\nMessageId\n4d4dc071-ddbf-465d-bba8-08f81c89da64\nSubject\nMy subject\n\
             Timestamp\n2019-01-31T04:37:04.321Z\n\
             TopicArn\narn:aws:sns:us-east-2:123456789012:s4-MySNSTopic-1G1WEFCOXTC0P\nType\nNotification\n"
        );
        let bare = EXAMPLE.replace(r#""Subject": "My subject", "#, "");
        let text = SnsPost::read(bare.as_bytes(), TOPIC).unwrap().signed_text().unwrap();
        assert!(!text.contains("Subject") && text.contains("MessageId\n"));
    }

    #[test]
    fn a_question_is_signed_with_its_token_and_page() {
        let question = r#"{"Type": "SubscriptionConfirmation", "MessageId": "1", "Token": "2336", "TopicArn": "arn:t",
            "Message": "You have chosen\nto subscribe", "SubscribeURL": "https://sns.eu-west-1.amazonaws.com/?Action=x",
            "Timestamp": "2026-11-24T06:00:00.000Z"}"#;
        let post = SnsPost::read(question.as_bytes(), "arn:t").unwrap();
        assert_eq!(
            post.signed_text().unwrap(),
            "Message\nYou have chosen\nto subscribe\nMessageId\n1\nSubscribeURL\n\
             https://sns.eu-west-1.amazonaws.com/?Action=x\nTimestamp\n2026-11-24T06:00:00.000Z\nToken\n2336\n\
             TopicArn\narn:t\nType\nSubscriptionConfirmation\n"
        );
        assert!(post.subscription_page().unwrap().is_some() && !post.is_notice());
    }

    #[test]
    fn certificates_are_taken_from_amazon_alone() {
        let at = |place: &str| {
            let body = EXAMPLE.replace("https://sns.us-east-2.amazonaws.com/Simple", place);
            SnsPost::read(body.as_bytes(), TOPIC).unwrap().certificate_url().is_ok()
        };
        assert!(at("https://sns.us-east-2.amazonaws.com/Simple"));
        assert!(at("https://sns.cn-north-1.amazonaws.com.cn/Simple"));
        for elsewhere in [
            "http://sns.us-east-2.amazonaws.com/Simple",
            "https://sns.us-east-2.amazonaws.com.evil.example/Simple",
            "https://evil.example/sns.us-east-2.amazonaws.com/Simple",
            "https://sns.amazonaws.com/Simple",
            "https://sns.a.b.amazonaws.com/Simple",
            "https://sns.us-east-2.amazonaws.com:8443/Simple",
            "https://me@sns.us-east-2.amazonaws.com/Simple",
            "https://bucket.s3.amazonaws.com/Simple",
        ] {
            assert!(!at(elsewhere), "{elsewhere}");
        }
    }

    #[test]
    fn what_is_no_post_or_of_another_topic_is_told() {
        let fault = |body: &str, topic| SnsPost::read(body.as_bytes(), topic).unwrap_err();
        assert_eq!(fault("{}", TOPIC), SnsFault::Missing("Type"));
        assert_eq!(fault(r#"{"Type": "News"}"#, TOPIC), SnsFault::Type("News".to_owned()));
        assert_eq!(fault(EXAMPLE, "arn:aws:sns:us-east-2:1:mine"), SnsFault::Topic(TOPIC.to_owned()));
        let body = EXAMPLE.replace(r#""SignatureVersion": "1""#, r#""SignatureVersion": "3""#);
        let post = SnsPost::read(body.as_bytes(), TOPIC).unwrap();
        assert_eq!(post.verify(&[]), Err(SnsFault::Version("3".to_owned())));
    }
}
