//! Errors with the status 400 in the form of a body, and in the values of attributes and parameters.

use shared::error::ErrorKind;

use super::Group;

pub const GROUPS: &[Group] = &[
    Group {
        kind: ErrorKind::InvalidSyntax,
        errors: &[
            (
                "The request body is empty; it must be a JSON object",
                "POST, PUT, PATCH or a search has no body",
                "Send the body",
            ),
            (
                "The request body is {type}; it must be a JSON object",
                "The body is JSON of another type, such as an array",
                "Send an object",
            ),
            (
                "The request body is not valid JSON: {error}",
                "The body is not JSON, not UTF-8, or nested deeper than 127 levels. The text has the place",
                "Correct the body",
            ),
            (
                "The connection ended before the request body was complete",
                "Only `make run`: the client closed the connection",
                "Send the request again",
            ),
            (
                "The event's isBase64Encoded is true, but its body is not base64",
                "The function was called by another program than API Gateway",
                "Correct the event",
            ),
            ("schemas is {type}; it must be an array of URNs", "`schemas` is no array", "Send an array"),
            (
                "schemas contains {type}; it must be an array of URNs",
                "`schemas` has an element that is no text",
                "Send texts",
            ),
            (
                "schemas contains {urn}; this endpoint expects {urn}",
                "The body has the core schema of another resource type, such as a Group at `/Users`",
                "Send the request to the right endpoint, or correct `schemas`",
            ),
            (
                "schemas must contain {urn}",
                "A PATCH, search or Bulk request has `schemas` without the URN of its message",
                "Add the URN, or leave out `schemas`",
            ),
            (
                "Operations is {found}; it must be an array of 1 to {maximum} operations",
                "`Operations` is missing, empty or no array",
                "Send at least one operation",
            ),
            (
                "Operation {number} is {type}; it must be an object",
                "An element of `Operations` is no object",
                "Correct the operation",
            ),
            (
                "op is {found}; it must be add, remove or replace",
                "`op` is missing or unknown",
                "Correct `op`",
            ),
            (
                "path is {type}; it must be a string",
                "`path` of a PATCH operation is no text",
                "Correct `path`",
            ),
            (
                "Operation {number}: {name} is missing",
                "A Bulk operation has no `method` or no `path`",
                "Add it",
            ),
            (
                "Operation {number}: {name} is {type}; it must be a string",
                "A member of a Bulk operation has another type",
                "Correct it",
            ),
            (
                "{operation} requires a bulkId",
                "RFC 7644 §3.7.2: each POST of a Bulk request has a `bulkId`",
                "Add one",
            ),
            (
                "{operation} is not supported in a Bulk request; use POST on /Users or /Groups, or PUT, PATCH or DELETE on a resource",
                "A Bulk operation has another method or path",
                "Send it as a request of its own",
            ),
            (
                "path is missing; a strict connector requires it in each operation",
                "The connector is `strict`",
                "Send `path`, or set `strict=false`",
            ),
            (
                "A {type} has no attribute {path}",
                "The connector is `strict`, and no schema defines the attribute",
                "Correct the mapping of the client, add a custom schema, or set `strict=false`",
            ),
            (
                "There is no attribute {path}",
                "The connector is `strict`, and the attribute has no such sub-attribute",
                "As above",
            ),
            (
                "schemas contains {urn}, which is no schema of a {type}",
                "The connector is `strict`, and the schema is unknown",
                "As above",
            ),
            (
                "{path}: a filter in a path can only have eq and and",
                "The connector is `strict`",
                "Use `eq` and `and`, or set `strict=false`",
            ),
            (
                "The body is no poll request: {error}",
                "The body of `POST …/poll` is not as in RFC 8936 §2.4",
                "Correct it. The text says what is wrong",
            ),
        ],
    },
    Group {
        kind: ErrorKind::InvalidValue,
        errors: &[
            (
                "{name} is missing or empty; it is required",
                "A required attribute has no value",
                "Send it: `userName` of users, `displayName` of groups",
            ),
            (
                "{name} is missing; it is required",
                "A required sub-attribute or extension has no value",
                "Send it",
            ),
            (
                "{name} is {type}; it must be {expected}",
                "The value has another type than the schema says",
                "Correct the mapping of the client",
            ),
            (
                "{name} has more than one primary value; only one is allowed",
                "Two elements have `\"primary\": true`",
                "Send one primary value",
            ),
            (
                "{name} would have more than one primary value; only one is allowed",
                "The same, after a PATCH",
                "Take `primary` from the other element in the same request",
            ),
            (
                "The {type} has {number} values in indexed attributes ({indexes}); the maximum is {maximum}",
                "The resource has too many names, email addresses and other indexed values",
                "Send fewer",
            ),
            (
                "members: there is no user or group with the id {id}",
                "The client adds a member that does not exist in this connector",
                "Push the member before the group",
            ),
            (
                "members: the display of {id} is {bytes} bytes; the maximum is {maximum}",
                "`display` of a member is too long",
                "Send a shorter one, or none",
            ),
            (
                "members: group {group} cannot be a member of group {group}, because it is that group or contains it",
                "Groups would contain each other",
                "Remove the group from the other one first",
            ),
            (
                "members: groups would be nested deeper than {levels} levels at group {group}, the maximum",
                "Groups are nested too deep",
                "Put the members into a group of a higher level",
            ),
            (
                "value is missing; add and replace require a value",
                "A PATCH operation has no `value`",
                "Send it",
            ),
            (
                "value is {type}; without a path it must be an object",
                "A PATCH operation without `path` needs an object of attributes",
                "Send an object, or a `path`",
            ),
            (
                "{schema} is {type}; it must be an object",
                "A PATCH operation replaces an extension by something else",
                "Send an object",
            ),
            (
                "The value for the selected elements of {name} must be one object",
                "A PATCH with a filter has an array or a text as value",
                "Send one object, or name a sub-attribute after the filter",
            ),
            (
                "The value is text that begins like JSON and is not JSON: {error}",
                "The value of a PATCH operation is text that begins with a bracket",
                "Send JSON instead of text, or correct it",
            ),
            (
                "The value of {name} is {type}; it must be {expected}",
                "The connector is `strict`",
                "Send arrays for attributes with several values, and objects for complex ones",
            ),
            (
                "Operations has {number} elements; the maximum is {maximum}",
                "A PATCH has too many operations",
                "Send several requests",
            ),
            (
                "Two operations have the bulkId {id}; give each its own",
                "A Bulk request repeats a `bulkId`",
                "Correct it",
            ),
            (
                "{bulkId} does not refer to a resource that this request created",
                "An operation of a Bulk request needs another one that is missing or failed",
                "Correct the operation that creates the resource",
            ),
            (
                "version is {version}; it must be the meta.version of the resource",
                "`version` of a Bulk operation is no entity tag",
                "Send `meta.version`",
            ),
            (
                "{name} is {value}; it must be a whole number",
                "`startIndex`, `count` or `failOnErrors` is no number",
                "Correct it",
            ),
            (
                "{name} is {type}; it must be a string",
                "A member of a search request has another type",
                "Correct it",
            ),
            (
                "{name} is {type}; it must be an array of strings",
                "`attributes` or `excludedAttributes` has another type",
                "Correct it",
            ),
            (
                "{name} has {number} names; the maximum is {maximum}",
                "`attributes` or `excludedAttributes` is too long",
                "Name fewer attributes",
            ),
            (
                "sortOrder is {order}; it must be ascending or descending",
                "`sortOrder` is unknown",
                "Correct it",
            ),
            (
                "The request has both attributes and excludedAttributes; send only one of them",
                "RFC 7644 §3.9 allows one of them",
                "Send one",
            ),
            (
                "Unknown query parameter {name}; this path knows: {parameters}",
                "The directory API refuses unknown parameters, so that a typing mistake does not list everyone",
                "Correct the name",
            ),
            (
                "Query parameter {name} occurs more than once",
                "Directory API: a parameter is repeated",
                "Send it once",
            ),
            (
                "Query parameter {name} is empty",
                "Directory API: a parameter has no value",
                "Send a value, or leave it out",
            ),
            (
                "{name} is {value}; it must be true or false",
                "Directory API: `hidden` or `effective` has another value",
                "Correct it",
            ),
            (
                "limit is {value}; it must be from 1 to {maximum}",
                "Directory API: `limit` is out of range",
                "Correct it",
            ),
            (
                "group: {number} groups have the name {name}; use an id: {ids}",
                "Directory API: a group of the identity provider and a local group have one name",
                "Filter by one of the ids",
            ),
            (
                "The events of this feed are sent to its consumer, so it cannot be polled",
                "The feed has `--push`, `--webhook` or `--event-bus`",
                "Create a feed without these options",
            ),
            (
                "it names {number} events; the maximum is {maximum}",
                "A poll acknowledges too many events at once",
                "Acknowledge them in several requests",
            ),
        ],
    },
];
