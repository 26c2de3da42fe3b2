use super::{RelayError, SmtpUrl, TlsPolicy};
use rustls_platform_verifier::Verifier;
use std::{path::Path, sync::Arc};
use tokio_rustls::{
    TlsConnector,
    rustls::{
        ClientConfig, DigitallySignedStruct, Error, SignatureScheme,
        client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature},
        pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject as _},
    },
};

/// Makes the connector that the policy asks for: every certificate will do where encryption is
/// only taken as it comes.
pub(super) fn connector(url: &SmtpUrl) -> Result<TlsConnector, RelayError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let no_roots = |e: Error| RelayError::NoRoots(e.to_string());
    let verifier: Arc<dyn ServerCertVerifier> = match url.tls {
        TlsPolicy::Never | TlsPolicy::Offered => Arc::new(AnyCertificate(provider.clone())),
        TlsPolicy::Required | TlsPolicy::Implicit => {
            let authorities = url.authorities.as_deref().map(read).transpose()?.unwrap_or_default();
            Arc::new(Verifier::new_with_extra_roots(authorities, provider.clone()).map_err(no_roots)?)
        }
    };
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(no_roots)?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

fn read(path: &Path) -> Result<Vec<CertificateDer<'static>>, RelayError> {
    let trouble = |reason: String| RelayError::Authority { path: path.to_owned(), reason };
    let read = |e: &dyn std::fmt::Display| trouble(format!("cannot be read: {e}"));
    let certificates: Vec<_> = CertificateDer::pem_file_iter(path)
        .map_err(|e| read(&e))?
        .collect::<Result<_, _>>()
        .map_err(|e| read(&e))?;
    if certificates.is_empty() { Err(trouble("holds no certificate".into())) } else { Ok(certificates) }
}

/// Verifies that the other side holds the key it shows, and not whose it is.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
