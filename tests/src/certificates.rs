//! Certificates for the throw-away servers: the test's own authority, and what it has signed.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

/// An authority, a server's certificate for the name `localhost`, and its key, each as PEM.
#[derive(Debug, Clone)]
pub struct Certificates {
    /// The authority that a client must trust.
    pub authority: String,
    /// The certificate that the server shows.
    pub server: String,
    /// The server's key.
    pub key: String,
}

impl Certificates {
    /// Makes new ones.
    ///
    /// # Panics
    /// If they cannot be made, which only a bug in the library could cause.
    pub fn new() -> Self {
        Self::make().expect("the parameters are right")
    }

    fn make() -> Result<Self, rcgen::Error> {
        let mut authority = CertificateParams::new(Vec::new())?;
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;
        let key = KeyPair::generate()?;
        let server = CertificateParams::new(vec!["localhost".to_owned()])?.signed_by(&key, &authority)?;
        Ok(Self { authority: authority.pem(), server: server.pem(), key: key.serialize_pem() })
    }
}

impl Default for Certificates {
    fn default() -> Self {
        Self::new()
    }
}
