//! TLS to a database server: how much of it is asked for, and what a certificate must prove. It does not know
//! the server.

use std::path::Path;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

/// How much TLS is asked for, each more than the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum TlsMode {
    /// None.
    Disable,
    /// If the server has it, against those who only listen.
    Prefer,
    /// Always, against those who only listen.
    Require,
    /// Always, with a certificate that was signed by one of our authorities.
    VerifyCa,
    /// Always, with a certificate that was signed by one of them for this host.
    VerifyFull,
}

/// How a client talks TLS in that mode.
///
/// # Errors
/// In words, if the authorities cannot be read.
pub(super) fn client_config(mode: TlsMode, authorities: Option<&Path>) -> Result<ClientConfig, String> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let verifier: Arc<dyn ServerCertVerifier> = match (mode, authorities) {
        (TlsMode::VerifyCa | TlsMode::VerifyFull, Some(file)) => {
            let roots = Arc::new(read_authorities(file)?);
            let strict = WebPkiServerVerifier::builder_with_provider(roots, provider)
                .build()
                .map_err(|error| format!("{}: {error}", file.display()))?;
            if mode == TlsMode::VerifyFull { strict } else { Arc::new(AnyName(strict)) }
        }
        _ => Arc::new(AnyCertificate(provider)),
    };
    Ok(builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth())
}

/// Makes sure that libraries that ask for the process's provider of cryptography get the one that we build.
pub(super) fn install_provider() {
    // If one is installed already, it does as well.
    let _ = ring::default_provider().install_default();
}

/// The certificates in a file.
///
/// # Errors
/// In words, if there are none.
pub(super) fn read_authorities(file: &Path) -> Result<RootCertStore, String> {
    let in_words =
        |reason: String| format!("the certificates in {} cannot be used: {reason}", file.display());
    let mut roots = RootCertStore::empty();
    let certificates = CertificateDer::pem_file_iter(file).map_err(|error| in_words(error.to_string()))?;
    for certificate in certificates {
        let certificate = certificate.map_err(|error| in_words(error.to_string()))?;
        roots.add(certificate).map_err(|error| in_words(error.to_string()))?;
    }
    if roots.is_empty() { Err(in_words("there is none".to_owned())) } else { Ok(roots) }
}

/// Accepts every certificate: for `require`, which is only against those who listen.
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
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// Accepts every certificate that one of our authorities has signed, for any host. The name is checked last,
/// so a certificate that fails because of its name is good otherwise.
#[derive(Debug)]
struct AnyName(Arc<WebPkiServerVerifier>);

impl ServerCertVerifier for AnyName {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match self.0.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            Err(error) if is_about_the_name(&error) => Ok(ServerCertVerified::assertion()),
            result => result,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

/// Whether a certificate was refused because it is for another host.
pub(super) fn is_about_the_name(error: &Error) -> bool {
    matches!(
        error,
        Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }
        )
    )
}
