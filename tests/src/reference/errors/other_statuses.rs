//! Errors with other statuses than 400.

use shared::error::ErrorKind;

use super::{Group, TOO_MANY_REQUESTS, UNAUTHORIZED};

pub const GROUPS: &[Group] = &[
    Group {
        kind: UNAUTHORIZED,
        errors: &[(
            "Authentication failed: send the connector's username and password (Basic), or its token (Bearer)",
            "The credentials are missing, wrong, expired or retired, or the connector in the URL does not exist",
            "See [Test Connector fails](../troubleshoot.md#test-connector-fails)",
        )],
    },
    Group {
        kind: ErrorKind::Forbidden,
        errors: &[
            ("Connector {id} is disabled", "An operator disabled it", "`scimctl connector enable`"),
            (
                "The credential has the scope {scope}, and this API needs the scope {scope}; an operator creates one with `scimctl credential create {connector} --scope {scope}`",
                "An application uses the credential of the identity provider, or the other way round",
                "Use a credential of the other scope",
            ),
            (
                "The header {name} is missing or wrong. Send requests to the endpoint URL of the connector, not to the address of the API itself",
                "The stack has `OriginSecret`, and the request did not come through the proxy that adds the header",
                "Use the URL of the proxy",
            ),
            (
                "Connector {id} is attribute-only: it updates users that exist and creates none. An operator creates the user first, or turns attribute-only off",
                "The setting `attribute-only`",
                "Create the user, or change the setting",
            ),
            (
                "This endpoint does not support filters (RFC 7644 §4)",
                "A filter on `/Schemas`, `/ResourceTypes` or `/ServiceProviderConfig`",
                "Leave it out",
            ),
        ],
    },
    Group {
        kind: ErrorKind::NotFound,
        errors: &[
            (
                "Resource {id} not found",
                "There is no such user, group, role or schema in this connector. In the directory API also: a rule hides it",
                "Find it by name. Clients must then create it, or link another one",
            ),
            (
                "Unknown path {path}",
                "The endpoint URL is right, and the rest of the path is not",
                "Correct the path",
            ),
            (
                "Unknown URL. An endpoint URL looks like https://HOST/CONNECTOR/scim/v2",
                "The path begins otherwise",
                "Enter the endpoint URL exactly as `scimctl` printed it",
            ),
            (
                "There is no connector of this name",
                "`/jwks.json` of an unknown connector",
                "Correct the id of the connector",
            ),
            (
                "User {id} was created by an operator, so the client cannot delete it. A PUT or PATCH of this user makes it the client's",
                "The client deletes a local user",
                "Let the client link the user first, or delete it with `scimctl user delete`",
            ),
            (
                "User {user} is not a member of group {group}",
                "Directory API: the user is not in the group",
                "Nothing: this is the answer *no*",
            ),
            (
                "The connector has no feed of this name",
                "The feed in the path of a poll does not exist",
                "`scimctl feed list`",
            ),
        ],
    },
    Group {
        kind: ErrorKind::MethodNotAllowed,
        errors: &[
            (
                "{path} does not support {method}; use {methods}",
                "The path exists, and has other methods",
                "Use one of them",
            ),
            (
                "Connector {id} refuses DELETE; {advice}",
                "The setting `on-delete` is `refuse`",
                "Deactivate the user instead, or change the setting",
            ),
        ],
    },
    Group {
        kind: ErrorKind::Uniqueness,
        errors: &[
            (
                "{attribute} {value} is taken by another {type}",
                "Another resource has this name, or this value of an attribute with `uniqueness`. Names that differ only in upper and lower case, or in spaces at the ends, are equal",
                "Link the existing resource, or use another value",
            ),
            (
                "displayName {name} is taken by {owner}{advice}",
                "A local or built-in group has this name",
                "See [409 on every group](../troubleshoot.md#409-on-every-group)",
            ),
            (
                "Another request has just linked the local user with this email address",
                "Two requests create users with one email address, and `link-by-email` is on",
                "Send the request again",
            ),
            (
                "{number} local users have an email address of this user ({names}), so it cannot be linked to one of them. An operator must change the address of the others or delete them, or create this userName",
                "`link-by-email` is on, and the address is not unique",
                "Change or delete the other local users",
            ),
        ],
    },
    Group {
        kind: ErrorKind::PreconditionFailed,
        errors: &[(
            "If-Match does not match: the entity tag of resource {id} is now {tag}",
            "Another request changed the resource since the client read it",
            "Read it again, and repeat the change",
        )],
    },
    Group {
        kind: ErrorKind::PayloadTooLarge,
        errors: &[
            (
                "Request body is {bytes} bytes; the maximum is {maximum}",
                "The body is too large",
                "Send several requests: PATCH for the members of groups",
            ),
            ("The body is longer than {maximum} bytes", "Only `make run`: the same", "As above"),
            (
                "Request body is {bytes} bytes; the maximum for Bulk is {maximum}",
                "The Bulk request is too large",
                "Send several",
            ),
            (
                "Operations has {number} elements; the maximum is {maximum}",
                "A Bulk request has too many operations",
                "Send several",
            ),
            (
                "Request body has more than {maximum} JSON values and names, the maximum; send several requests",
                "The body has too many values",
                "Send several requests",
            ),
            (
                "{name} has {number} values; the maximum is {maximum}",
                "An attribute has too many values",
                "Send fewer",
            ),
            (
                "The {type} is {bytes} bytes; the maximum is {maximum}",
                "The resource is too large to be stored",
                "Send fewer or shorter attributes",
            ),
            (
                "The change is {bytes} bytes; the maximum is {maximum}",
                "The change does not fit into one transaction",
                "Send several requests",
            ),
            (
                "The operations name more than {maximum} attributes and comparisons, the maximum; send fewer operations in one request",
                "A PATCH does too much",
                "Send several requests",
            ),
            (
                "The operations visit more than {maximum} values, the maximum; send fewer operations on attributes with many values in one request",
                "A PATCH does too much",
                "Send several requests",
            ),
            (
                "A value of {bytes} bytes would be copied into {number} elements of {name}; the maximum is {maximum} bytes for all copies",
                "A PATCH does too much",
                "Use a filter that selects fewer elements",
            ),
        ],
    },
    Group {
        kind: ErrorKind::UnsupportedMediaType,
        errors: &[
            (
                "Content-Type is {type}; send {type}",
                "The body has another media type",
                "Send `application/scim+json` or `application/json`",
            ),
            (
                "Content-Encoding is {encoding}; send the body without compression",
                "The body is compressed",
                "Send it without compression",
            ),
        ],
    },
    Group {
        kind: TOO_MANY_REQUESTS,
        errors: &[
            (
                "The directory is busy. Repeat the request as it is",
                "DynamoDB throttles, or other requests change the same resource. Nothing was changed, or the rest of the change follows",
                "Retry after `Retry-After`",
            ),
            (
                "The directory is busy, and it is not known whether the request was carried out. Repeat it as it is. If it is a POST that was carried out, its repetition gets 409",
                "DynamoDB did not answer",
                "Retry. After 409, find the resource by its name",
            ),
            (
                "Another request is creating the group {name}. Repeat the request as it is",
                "A large group of this name is being created",
                "Retry after `Retry-After`",
            ),
            (
                "Too many requests for unknown connectors",
                "The id of the connector in the URL is wrong, or a stranger tries ids",
                "Correct the URL",
            ),
            (
                "Too many requests with wrong credentials: retry in a second",
                "Many requests of this connector have wrong credentials",
                "`scimctl connector sign-ins` shows from where",
            ),
            (
                "Too many wrong passwords from this address: correct the password, then retry later",
                "10 failed checks of [chosen passwords](../operate/credentials.md#generated-or-chosen-passwords) in a quarter of an hour",
                "Correct the password, or use a generated one",
            ),
        ],
    },
    Group {
        kind: ErrorKind::Internal,
        errors: &[(
            "The service provider has an internal error; its operator can find the cause in the log",
            "An error of the service or of AWS",
            "The log of the function has the cause, with the id of the request: [What is logged](../trust/logs.md)",
        )],
    },
    Group {
        kind: ErrorKind::NotImplemented,
        errors: &[(
            "/Me is not supported, because a connector is not a user",
            "The client reads `/Me`",
            "Read the user by its id",
        )],
    },
    Group {
        kind: ErrorKind::Unavailable,
        errors: &[
            (
                "The usernames of connector {id} are not indexed yet; an operator builds the index with `scimctl reindex {id}`",
                "Directory API: `mapping.username` was changed",
                "`scimctl reindex`",
            ),
            (
                "The keys of the issuer cannot be fetched now; try again later",
                "Token endpoint: the issuer's host does not answer, and there are no keys of the last day",
                "Retry. `scimctl auth explain` says why",
            ),
        ],
    },
];
