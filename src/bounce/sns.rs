use crate::fetch::{FetchError, Fetcher, Method};
use crate::mail::report::sns::{SnsFault, SnsPost};
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use url::Url;
use webpki::EndEntityCert;

/// So many keys are kept. Amazon has one at a time in each region.
const KEPT: usize = 16;

/// Who believes posts of Amazon SNS: those that are signed, and of the newsroom's own topic.
pub struct Sns {
    topic: String,
    fetcher: Fetcher,
    /// Public keys by the addresses of their certificates.
    keys: Mutex<HashMap<Url, Vec<u8>>>,
}

/// What a post asks of us.
#[derive(Debug, PartialEq, Eq)]
pub enum Asked {
    /// To take a notice.
    Notice,
    /// To open a page, or posts do not begin.
    Page(Url),
    /// Nothing.
    Nothing,
}

/// Why a post is not believed.
#[derive(Debug, thiserror::Error)]
pub enum SnsError {
    /// It is wrong.
    #[error(transparent)]
    Fault(#[from] SnsFault),
    /// Its certificate did not come. Later may help.
    #[error("the certificate of Amazon SNS was not fetched: {0}")]
    Fetch(#[from] FetchError),
}

impl Sns {
    /// Of one topic; certificates come by this fetcher.
    pub fn new(topic: String, fetcher: Fetcher) -> Self {
        Self { topic, fetcher, keys: Mutex::default() }
    }

    /// What a post asks, if it is Amazon's.
    pub async fn asked(&self, body: &[u8]) -> Result<Asked, SnsError> {
        self.asked_by(body, async |url| Ok(self.fetcher.ask(Method::Get, url, &[]).await?.body)).await
    }

    async fn asked_by(
        &self,
        body: &[u8],
        fetch: impl AsyncFnOnce(&Url) -> Result<Vec<u8>, FetchError>,
    ) -> Result<Asked, SnsError> {
        let post = SnsPost::read(body, &self.topic)?;
        let place = post.certificate_url()?;
        let known = self.keys().get(&place).cloned();
        let key = match known {
            Some(key) => key,
            None => key_of(&fetch(&place).await?).ok_or(SnsFault::Certificate)?,
        };
        post.verify(&key)?;
        let mut keys = self.keys();
        if keys.len() >= KEPT {
            keys.clear();
        }
        keys.insert(place, key);
        Ok(match post.subscription_page()? {
            Some(page) => Asked::Page(page),
            None if post.is_notice() => Asked::Notice,
            None => Asked::Nothing,
        })
    }

    /// Opens a page, as a person would.
    pub async fn confirm(&self, page: &Url) -> Result<bool, FetchError> {
        Ok(self.fetcher.ask(Method::Get, page, &[]).await?.status == 200)
    }

    fn keys(&self) -> MutexGuard<'_, HashMap<Url, Vec<u8>>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The public key of a certificate in PEM form. Who signed that is not asked: it came by HTTPS from
/// Amazon's own host.
fn key_of(pem: &[u8]) -> Option<Vec<u8>> {
    let certificate = CertificateDer::from_pem_slice(pem).ok()?;
    let certificate = EndEntityCert::try_from(&certificate).ok()?;
    Some(certificate.subject_public_key_info().as_ref().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fetch::{Limits, Reach};
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::rsa::KeySize;
    use aws_lc_rs::signature::{self, KeyPair as _, RsaEncoding, RsaKeyPair};
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde_json::{Value, json};
    use std::cell::Cell;

    const TOPIC: &str = "arn:aws:sns:eu-west-1:123456789012:thu-tra-lai";
    const PLACE: &str = "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-1.pem";

    fn element(tag: u8, content: &[u8]) -> Vec<u8> {
        let length = content.len().to_be_bytes();
        let length = &length[length.iter().position(|byte| *byte > 0).unwrap_or(length.len() - 1)..];
        let mut der = vec![tag];
        if content.len() >= 128 {
            der.push(0x80 | u8::try_from(length.len()).unwrap());
        }
        der.extend_from_slice(length);
        der.extend_from_slice(content);
        der
    }

    /// A certificate that its own key signed (RFC 5280 §4.1).
    fn certificate(key: &RsaKeyPair) -> Vec<u8> {
        // sha256WithRSAEncryption and rsaEncryption (RFC 4055 §5, RFC 3279 §2.3.1).
        let algorithm = |last| element(0x30, &[6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, last, 5, 0]);
        let time = |text: &str| element(0x17, text.as_bytes());
        let public = [&[0], key.public_key().as_ref()].concat();
        let body = [
            element(0xa0, &element(2, &[2])),
            element(2, &[1]),
            algorithm(11),
            element(0x30, &[]),
            element(0x30, &[time("260101000000Z"), time("361231235959Z")].concat()),
            element(0x30, &[]),
            element(0x30, &[algorithm(1), element(3, &public)].concat()),
        ];
        let body = element(0x30, &body.concat());
        let signature = [vec![0], sign(key, &signature::RSA_PKCS1_SHA256, &body)].concat();
        let whole = element(0x30, &[body, algorithm(11), element(3, &signature)].concat());
        let coded = STANDARD.encode(whole);
        format!("-----BEGIN CERTIFICATE-----\n{coded}\n-----END CERTIFICATE-----\n").into_bytes()
    }

    fn sign(key: &RsaKeyPair, how: &'static dyn RsaEncoding, text: &[u8]) -> Vec<u8> {
        let mut signature = vec![0; key.public_modulus_len()];
        key.sign(how, &SystemRandom::new(), text, &mut signature).unwrap();
        signature
    }

    fn notice(key: &RsaKeyPair) -> Value {
        let text = format!(
            "Message\nthư trả lại\nMessageId\n1\nTimestamp\n2026-11-24T06:00:00.000Z\nTopicArn\n{TOPIC}\nType\nNotification\n"
        );
        json!({
            "Type": "Notification", "MessageId": "1", "Message": "thư trả lại", "TopicArn": TOPIC,
            "Timestamp": "2026-11-24T06:00:00.000Z", "SigningCertURL": PLACE, "SignatureVersion": "2",
            "Signature": STANDARD.encode(sign(key, &signature::RSA_PKCS1_SHA256, text.as_bytes())),
        })
    }

    fn sns() -> Sns {
        Sns::new(TOPIC.to_owned(), Fetcher::new(Reach::Public, Limits::default()))
    }

    #[tokio::test]
    async fn a_post_that_amazon_signed_is_taken_and_its_certificate_fetched_once() {
        let key = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        let (sns, fetched) = (sns(), Cell::new(0));
        for _ in 0..3 {
            let fetch = async |url: &Url| {
                assert_eq!(url.as_str(), PLACE);
                fetched.set(fetched.get() + 1);
                Ok(certificate(&key))
            };
            let asked = sns.asked_by(notice(&key).to_string().as_bytes(), fetch).await;
            assert_eq!(asked.unwrap(), Asked::Notice);
        }
        assert_eq!(fetched.get(), 1);
    }

    #[tokio::test]
    async fn a_question_that_amazon_signed_names_the_page_to_open() {
        let key = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        let page = "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&Token=2336";
        let text = format!(
            "Message\nm\nMessageId\n1\nSubscribeURL\n{page}\nTimestamp\nt\nToken\n2336\nTopicArn\n{TOPIC}\n\
             Type\nSubscriptionConfirmation\n"
        );
        let how = &aws_lc_rs::signature::RSA_PKCS1_SHA256;
        let question = json!({
            "Type": "SubscriptionConfirmation", "MessageId": "1", "Message": "m", "TopicArn": TOPIC, "Token": "2336",
            "Timestamp": "t", "SubscribeURL": page, "SigningCertURL": PLACE, "SignatureVersion": "2",
            "Signature": STANDARD.encode(sign(&key, how, text.as_bytes())),
        });
        let fetch = async |_: &Url| Ok(certificate(&key));
        let asked = sns().asked_by(question.to_string().as_bytes(), fetch).await.unwrap();
        assert_eq!(asked, Asked::Page(page.parse().unwrap()));
    }

    #[tokio::test]
    async fn what_was_changed_or_signed_by_another_is_not_believed_and_no_key_is_kept() {
        let (key, another) = (
            RsaKeyPair::generate(KeySize::Rsa2048).unwrap(),
            RsaKeyPair::generate(KeySize::Rsa2048).unwrap(),
        );
        let sns = sns();
        let faults = async |post: Value, pem: Vec<u8>| {
            let fetch = async |_: &Url| Ok(pem);
            match sns.asked_by(post.to_string().as_bytes(), fetch).await {
                Err(SnsError::Fault(fault)) => fault,
                other => panic!("{other:?}"),
            }
        };
        let with = |name: &str, value: &str| {
            let mut post = notice(&key);
            post[name] = Value::from(value);
            post
        };
        assert_eq!(faults(with("Message", "khác"), certificate(&key)).await, SnsFault::Forged);
        assert_eq!(faults(with("SignatureVersion", "1"), certificate(&key)).await, SnsFault::Forged);
        assert_eq!(faults(with("Signature", "%"), certificate(&key)).await, SnsFault::Forged);
        assert_eq!(faults(notice(&key), certificate(&another)).await, SnsFault::Forged);
        assert_eq!(faults(notice(&key), b"<html>".to_vec()).await, SnsFault::Certificate);
        assert_eq!(
            faults(with("SigningCertURL", "https://evil.example/k.pem"), certificate(&key)).await,
            SnsFault::Place
        );
        assert!(sns.keys().is_empty());
    }
}
