//! Errors of the token endpoint (RFC 6749 §5.2): status and code, text, cause, and what to do.

/// An error of the token endpoint.
pub type Entry = ((u16, &'static str), &'static str, &'static str, &'static str);

const INVALID_CLIENT: (u16, &str) = (401, "invalid_client");
const INVALID_REQUEST: (u16, &str) = (400, "invalid_request");

pub const ERRORS: &[Entry] = &[
    (
        INVALID_CLIENT,
        "The client id is unknown, or its secret or assertion is wrong",
        "The secret is wrong, expired or retired, or the client id or the connector in the URL is wrong",
        "Compare the client id with `scimctl connector show`",
    ),
    (
        INVALID_CLIENT,
        "The assertion is refused because of its {claim}; with `scimctl auth explain {connector}` an operator sees what is expected",
        "One claim of the assertion differs from what is registered",
        "`scimctl auth explain`",
    ),
    (
        (400, "unauthorized_client"),
        "Connector {id} is disabled",
        "An operator disabled the connector",
        "`scimctl connector enable`",
    ),
    (
        (400, "invalid_scope"),
        "The scope of this client is {scope}",
        "The request asks for another scope",
        "Ask for this scope, or for none",
    ),
    (
        (400, "unsupported_grant_type"),
        "grant_type must be client_credentials",
        "The request has another grant",
        "Send `client_credentials`",
    ),
    (
        INVALID_REQUEST,
        "grant_type is missing; it must be client_credentials",
        "The body has no `grant_type`",
        "Send it",
    ),
    (
        INVALID_REQUEST,
        "client_id is missing",
        "The body has `client_secret` without `client_id`",
        "Send both",
    ),
    (
        INVALID_REQUEST,
        "client_assertion_type must be {type}",
        "The body has `client_assertion` with another type",
        "Send this type",
    ),
    (
        INVALID_CLIENT,
        "authenticate with client_id and client_secret, or with client_assertion",
        "The request has no credentials",
        "Send them",
    ),
    (
        INVALID_REQUEST,
        "the client authenticates in more than one way",
        "The secrets of header and body differ, or there is an assertion too",
        "Send one",
    ),
    (
        INVALID_REQUEST,
        "client_id is not the username of the Authorization header",
        "The ids of header and body differ",
        "Send the same, or only one",
    ),
    (
        INVALID_CLIENT,
        "the Authorization header must be Basic with id and secret",
        "The header is malformed, or Bearer",
        "Correct it",
    ),
    (
        INVALID_REQUEST,
        "the body is {bytes} bytes; the maximum is {maximum}",
        "The body is too large",
        "Send a smaller one",
    ),
    (INVALID_REQUEST, "the body is not UTF-8", "The form is not UTF-8", "Correct it"),
    (
        INVALID_REQUEST,
        "Content-Type must be {types}",
        "The body has another media type",
        "Send a form or JSON",
    ),
    (
        INVALID_REQUEST,
        "the parameter {name} is repeated",
        "A parameter occurs twice (RFC 6749 §3.2)",
        "Send it once",
    ),
    (
        INVALID_REQUEST,
        "the body is not a JSON object of texts",
        "The JSON has another form",
        "Send an object with texts",
    ),
    (
        (404, "invalid_request"),
        "Unknown path {path}",
        "The path begins with `/CONNECTOR/oauth2` and is not the token endpoint",
        "It is `/CONNECTOR/oauth2/token`",
    ),
    (
        (405, "invalid_request"),
        "{path} does not support {method}; use {methods}",
        "The token endpoint only has POST",
        "Send POST",
    ),
];
