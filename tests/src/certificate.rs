//! The certificate of an HTTPS server on this machine.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer as Authority, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::PrivateKeyDer;

/// A new certificate of `localhost`, and the certificate authority that signed it.
pub struct LocalhostCertificate {
    /// The certificate of the authority, as PEM. A process trusts it if `SSL_CERT_FILE` names a file with it.
    pub authority: String,
    /// The configuration of the server.
    pub config: ServerConfig,
}

impl LocalhostCertificate {
    /// Makes an authority and a certificate.
    ///
    /// # Panics
    /// When there is no randomness.
    #[expect(clippy::new_without_default, reason = "each call makes new keys")]
    pub fn new() -> Self {
        let key = KeyPair::generate().expect("a key can be made");
        let mut params = CertificateParams::new(Vec::new()).expect("no names are valid");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).expect("the key can sign").pem();
        let authority = Authority::new(params, key);
        let key = KeyPair::generate().expect("a key can be made");
        let params = CertificateParams::new(vec!["localhost".to_owned()]).expect("the name is valid");
        let certificate = params.signed_by(&key, &authority).expect("the authority can sign");
        let private = PrivateKeyDer::try_from(key.serialize_der()).expect("the key is PKCS #8");
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()));
        let config =
            config.with_safe_default_protocol_versions().expect("ring has them").with_no_client_auth();
        let config = config
            .with_single_cert(vec![certificate.der().clone()], private)
            .expect("the key is that of the certificate");
        Self { authority: pem, config }
    }
}
