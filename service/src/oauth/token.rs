//! The token endpoint: a client proves who it is, and gets an access token (RFC 6749 §4.4).

use std::sync::Arc;

use directory::connectors::Connector;
use directory::oauth::{Expectation, Jwt, KeySet, access_token, first_failure};
use http::StatusCode;
use serde_json::json;
use shared::credential::{Credential, CredentialKind, TOKEN_PATH, find_client_secret};
use shared::error::{ErrorKind, ScimError};
use tokio::time::Instant;

use super::error::{self, Code, Failure, WRONG_CLIENT};
use super::request::{Proof, TokenRequest};
use crate::authentication::{ReadOutcome, count_failure};
use crate::call::{ResponseFuture, TokenCall};
use crate::response::{Response, json_of};

/// What a client's proof is for one connector.
enum Verdict {
    /// It is right for this credential.
    Right(Box<Credential>),
    /// It is wrong. If its signature is right, the first claim that is wrong.
    Wrong(Option<&'static str>),
}

/// POST /oauth2/token
pub fn token(call: TokenCall) -> ResponseFuture {
    Box::pin(async move {
        match grant(&call).await {
            Ok(response) => Ok(response),
            Err(Failure::Refused(code, description)) => {
                call.notes.refuse(Some(code.name()), &description);
                Ok(error::refusal(code, &description, &call.request.id))
            }
            Err(Failure::Service(error)) => Err(error),
        }
    })
}

async fn grant(call: &TokenCall) -> Result<Response, Failure> {
    let TokenRequest { proof, scope } = TokenRequest::parse(&call.request)?;
    let (connector, credential) = authenticate(call, &proof).await?;
    call.notes.sign_in(&connector, &credential.id);
    if connector.record.disabled.is_some() {
        let detail = format!("Connector {} is disabled", connector.id);
        return Err(Failure::refused(Code::UnauthorizedClient, detail));
    }
    let own = credential.scope.name();
    if scope.split_ascii_whitespace().any(|scope| scope != own) {
        return Err(Failure::refused(Code::InvalidScope, format!("The scope of this client is {own}")));
    }
    if let Proof::Assertion { assertion, .. } = &proof
        && let Some(jwt) = Jwt::parse(assertion)
        && !call.table.use_assertion(&connector.id, &jwt, call.now).await?
    {
        return Err(refuse(call, &connector, Some("jti")).await);
    }
    let authenticated =
        call.authenticator.authenticated(Arc::clone(&connector), credential.id.clone(), call.now);
    let (signer, ()) = tokio::join!(
        call.table.token_signer(&connector),
        call.authenticator.record_use(&call.table, &authenticated, call.now)
    );
    let issued = access_token::issue(&connector, &credential, &call.issuer, &signer?, call.now)?;
    let body = json!({
        "access_token": issued.token,
        "token_type": "Bearer",
        "expires_in": issued.expires.as_second() - call.now.as_second(),
        "scope": own,
    });
    Ok(error::not_stored(json_of("application/json", StatusCode::OK, &body)?))
}

/// Finds the credential of the client. What the process has read of the connector is tried first. If the proof is wrong there, the
/// connector is read again, so that a new credential works at once.
async fn authenticate(call: &TokenCall, proof: &Proof) -> Result<(Arc<Connector>, Credential), Failure> {
    let began = Instant::now();
    let connectors = call.authenticator.connectors();
    if let Some(connector) = connectors.cached(&call.connector)
        && let Verdict::Right(credential) = check(call, &connector, proof).await?
    {
        return Ok((connector, *credential));
    }
    let connector = match connectors.read(&call.table, &call.connector, began).await? {
        ReadOutcome::Read(connector) => connector,
        ReadOutcome::RateLimited => {
            let detail = "Too many requests with wrong credentials: retry in a second";
            return Err(ScimError::new(ErrorKind::TooManyRequests(1), detail).into());
        }
    };
    let Some(connector) = connector else {
        return Err(Failure::refused(Code::InvalidClient, WRONG_CLIENT));
    };
    match check(call, &connector, proof).await? {
        Verdict::Right(credential) => Ok((connector, *credential)),
        Verdict::Wrong(claim) => Err(refuse(call, &connector, claim).await),
    }
}

/// Counts a wrong proof: in the rate limit of wrong passwords, and as a failed sign-in.
async fn refuse(call: &TokenCall, connector: &Connector, claim: Option<&'static str>) -> Failure {
    let limit = call.table.password_limit(&connector.id);
    if let Err(error) = limit.reserve(call.request.address, call.now).await {
        return error.into();
    }
    count_failure(&call.table, connector, &call.request, call.now).await;
    let description = match claim {
        None => WRONG_CLIENT.to_owned(),
        Some(claim) => format!(
            "The assertion is refused because of its {claim}; with `scimctl auth explain {}` an operator sees what is expected",
            connector.id
        ),
    };
    Failure::Refused(Code::InvalidClient, description)
}

async fn check(call: &TokenCall, connector: &Connector, proof: &Proof) -> Result<Verdict, ScimError> {
    match proof {
        Proof::Secret { client_id, secret } => {
            let found = find_client_secret(&connector.credentials, client_id, secret, call.now);
            Ok(found.map_or(Verdict::Wrong(None), |found| Verdict::Right(Box::new(found.clone()))))
        }
        Proof::Assertion { client_id, assertion } => {
            check_assertion(call, connector, client_id.as_deref(), assertion).await
        }
    }
}

async fn check_assertion(
    call: &TokenCall,
    connector: &Connector,
    client_id: Option<&str>,
    assertion: &str,
) -> Result<Verdict, ScimError> {
    let Some(jwt) = Jwt::parse(assertion) else { return Ok(Verdict::Wrong(None)) };
    let token_url = format!("{}{TOKEN_PATH}", call.issuer);
    let mut wrong = None;
    for credential in connector.credentials.iter().filter(|credential| credential.is_live(call.now)) {
        let is_of_client = client_id.is_none_or(|client_id| credential.kind.client_id() == Some(client_id));
        let Some(expected) = Expectation::of(credential, &call.issuer, &token_url) else { continue };
        // Keys are fetched only for an assertion that says it is of their issuer.
        if !is_of_client || !expected.has_issuer_of(&jwt) {
            continue;
        }
        let keys = match &credential.kind {
            CredentialKind::ClientKey(key) => KeySet::of_key(&key.key).map_err(ScimError::internal)?.into(),
            CredentialKind::Federation(federation) => {
                let kid = jwt.kid().unwrap_or_default();
                call.issuer_keys.get(&call.table, &connector.id, &federation.jwks, kid, call.now).await?
            }
            _ => continue,
        };
        match first_failure(&expected.check(&jwt, &keys, call.now)) {
            None => return Ok(Verdict::Right(Box::new(credential.clone()))),
            // Only an issuer's own assertion learns what is wrong with it.
            Some("alg" | "kid" | "signature") => {}
            Some(claim) => wrong = Some(claim),
        }
    }
    Ok(Verdict::Wrong(wrong))
}
