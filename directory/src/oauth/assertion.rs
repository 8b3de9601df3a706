//! The checks of a client assertion (RFC 7523 §3), which a client sends instead of a secret.

use jiff::Timestamp;
use jsonwebtoken::Algorithm;
use shared::credential::{Credential, CredentialKind};

use super::check::{Check, one_of, shown, shown_time};
use super::jwt::Jwt;
use super::key_set::KeySet;

/// How far the clock of an issuer may be wrong, in seconds.
const CLOCK_SKEW: i64 = 60;
/// The longest lifetime of an assertion, in seconds. Those of Entra live 65 to 90 minutes.
const MAX_LIFETIME: i64 = 2 * 60 * 60;

/// What an assertion has to have for one credential.
#[derive(Debug)]
pub struct Expectation<'c> {
    issuers: Vec<String>,
    subject: &'c str,
    audiences: Vec<String>,
    tenant: Option<&'c str>,
}

impl<'c> Expectation<'c> {
    /// What the assertions of a key or federation have to have. `None` if the credential is neither. `issuer` is the issuer of
    /// this token endpoint, `https://HOST/{connector}`, and `token_url` its URL.
    pub fn of(credential: &'c Credential, issuer: &str, token_url: &str) -> Option<Self> {
        match &credential.kind {
            CredentialKind::Federation(federation) => Some(Self {
                issuers: federation.issuers.clone(),
                subject: &federation.subject,
                audiences: federation.audiences.clone(),
                tenant: federation.tenant.as_deref(),
            }),
            // RFC 7523 §3: the client is issuer and subject. The audience is the token endpoint's URL, or its issuer.
            CredentialKind::ClientKey(key) => Some(Self {
                issuers: vec![key.client_id.clone()],
                subject: &key.client_id,
                audiences: vec![token_url.to_owned(), issuer.to_owned()],
                tenant: None,
            }),
            CredentialKind::Basic { .. } | CredentialKind::Bearer | CredentialKind::ClientSecret { .. } => {
                None
            }
        }
    }

    /// Whether the assertion can be meant for the credential: only then its keys are needed.
    pub fn has_issuer_of(&self, jwt: &Jwt<'_>) -> bool {
        jwt.text("iss").is_some_and(|iss| self.issuers.iter().any(|expected| expected == iss))
    }

    /// Checks an assertion. It is right if all checks passed.
    pub fn check(&self, jwt: &Jwt<'_>, keys: &KeySet, now: Timestamp) -> Vec<Check> {
        let mut checks = signature_checks(jwt, keys).to_vec();
        checks.push(Check::new(
            "iss",
            one_of(&self.issuers),
            shown(jwt.claim("iss")),
            self.has_issuer_of(jwt),
        ));
        checks.push(Check::new(
            "sub",
            self.subject,
            shown(jwt.claim("sub")),
            jwt.text("sub") == Some(self.subject),
        ));
        let is_for_us =
            jwt.audiences().iter().any(|audience| self.audiences.iter().any(|expected| expected == audience));
        checks.push(Check::new("aud", one_of(&self.audiences), shown(jwt.claim("aud")), is_for_us));
        if let Some(tenant) = self.tenant {
            checks.push(Check::new("tid", tenant, shown(jwt.claim("tid")), jwt.text("tid") == Some(tenant)));
        }
        checks.extend(time_checks(jwt, now.as_second()));
        checks
    }
}

fn signature_checks(jwt: &Jwt<'_>, keys: &KeySet) -> [Check; 3] {
    let algorithm = jwt.algorithm();
    let kid = jwt.kid();
    let known: Vec<&str> = keys.kids().collect();
    let is_known = kid.is_some_and(|kid| keys.contains(kid));
    let is_signed = keys.has_signed(jwt);
    let is_allowed = matches!(algorithm, Algorithm::RS256 | Algorithm::ES256);
    let signature = if is_signed { "one of this key" } else { "another one" };
    [
        Check::new("alg", "RS256 or ES256", format!("{algorithm:?}"), is_allowed),
        Check::new("kid", one_of_known(&known), kid.unwrap_or("nothing"), is_known),
        Check::new("signature", "one of this key", signature, is_signed),
    ]
}

fn one_of_known(kids: &[&str]) -> String {
    if kids.is_empty() { "the id of a key, but no key is known".to_owned() } else { kids.join(" or ") }
}

fn time_checks(jwt: &Jwt<'_>, now: i64) -> [Check; 4] {
    let (exp, nbf, iat) = (jwt.seconds("exp"), jwt.seconds("nbf"), jwt.seconds("iat"));
    // A claim that is present and is not a time is wrong.
    let is_time_or_missing = |name: &str, time: Option<i64>| jwt.claim(name).is_none() || time.is_some();
    let has_begun = |time: Option<i64>| time.is_none_or(|time| time <= now.saturating_add(CLOCK_SKEW));
    let lifetime = exp.map(|exp| exp.saturating_sub(iat.or(nbf).unwrap_or(now)));
    let is_short = lifetime.is_some_and(|lifetime| (0..=MAX_LIFETIME).contains(&lifetime))
        && exp.is_some_and(|exp| exp.saturating_sub(now) <= MAX_LIFETIME + CLOCK_SKEW);
    let shown_now = shown_time(now);
    let shown_claim = |name: &str, time: Option<i64>| time.map_or_else(|| shown(jwt.claim(name)), shown_time);
    [
        Check::new(
            "exp",
            format!("after {shown_now}"),
            shown_claim("exp", exp),
            exp.is_some_and(|exp| now < exp.saturating_add(CLOCK_SKEW)),
        ),
        Check::new(
            "nbf",
            format!("nothing, or not after {shown_now}"),
            shown_claim("nbf", nbf),
            is_time_or_missing("nbf", nbf) && has_begun(nbf),
        ),
        Check::new(
            "iat",
            format!("nothing, or not after {shown_now}"),
            shown_claim("iat", iat),
            is_time_or_missing("iat", iat) && has_begun(iat),
        ),
        Check::new(
            "lifetime",
            format!("at most {MAX_LIFETIME} seconds"),
            lifetime.map_or_else(|| "nothing".to_owned(), |lifetime| format!("{lifetime} seconds")),
            is_short,
        ),
    ]
}
