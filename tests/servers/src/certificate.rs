//! A certificate that no one trusts unless told to.

use std::sync::Arc;

use rcgen::{CertifiedKey, KeyPair, generate_simple_self_signed};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::PrivateKeyDer;

/// A certificate for `localhost` and 127.0.0.1, with its key.
pub struct Certificate(CertifiedKey<KeyPair>);

impl Certificate {
    /// Makes one.
    ///
    /// # Panics
    /// If the machine has no randomness.
    pub fn new() -> Self {
        let names = ["localhost", "127.0.0.1"].map(str::to_owned);
        Self(generate_simple_self_signed(names).expect("the names are good"))
    }

    /// The certificate without its key, for a client that is to trust it.
    pub fn pem(&self) -> String {
        self.0.cert.pem()
    }

    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        let key =
            PrivateKeyDer::try_from(self.0.signing_key.serialize_der()).expect("a key has a known form");
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("ring has them")
            .with_no_client_auth()
            .with_single_cert(vec![self.0.cert.der().clone()], key)
            .expect("the key is the certificate's");
        Arc::new(config)
    }
}

impl Default for Certificate {
    fn default() -> Self {
        Self::new()
    }
}
