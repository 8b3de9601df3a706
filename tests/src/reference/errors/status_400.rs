//! Errors with the status 400, by `scimType`.

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
    Group {
        kind: ErrorKind::InvalidFilter,
        errors: &[
            (
                "Position {position} of the filter: found {found}, expected {expected}",
                "The filter is not as in RFC 7644 §3.4.2.2",
                "Correct it at this position. Values of text are in double quotes",
            ),
            (
                "The filter is {bytes} bytes; the maximum is {maximum}",
                "The filter is too long",
                "Send several requests",
            ),
            (
                "The filter is nested deeper than the maximum of {levels} levels",
                "The filter has too many brackets",
                "Write it with fewer",
            ),
            (
                "A {type} has no attribute {path}",
                "No schema defines the attribute",
                "Correct the name, or add a custom schema",
            ),
            (
                "{name} has no sub-attribute {path}",
                "The attribute has other sub-attributes",
                "Correct the name",
            ),
            (
                "{path} is not a complex attribute; it cannot have a filter in brackets",
                "A filter such as `title[…]` is on an attribute with one simple value",
                "Compare the attribute itself",
            ),
            (
                "{path} is a complex attribute; compare one of its sub-attributes",
                "A filter compares an object",
                "Name a sub-attribute, such as `name.familyName`",
            ),
            (
                "{path} is a schema; name one of its attributes",
                "The filter has only a URN",
                "Add the attribute",
            ),
            (
                "{path} cannot be used in a filter, because it is never returned",
                "The attribute is a secret, such as `password`",
                "Filter on another attribute",
            ),
            (
                "{path} {operator} null is not supported; compare with null using eq or ne",
                "The filter orders by null",
                "Use `eq null`, `ne null` or `pr`",
            ),
            (
                "{path} {operator} {value}: compare {path} with {expected}",
                "The value has another type than the attribute",
                "Correct the value",
            ),
            (
                "email cannot be filtered, because the attribute {path} that the mapping uses for it is not indexed",
                "Directory API: `mapping.email` names an attribute without an index",
                "Filter by `username`, or map an indexed attribute",
            ),
            (
                "The filter selects {number} elements of {name}; it must select one",
                "The connector is `strict`, and a PATCH path selects several elements",
                "Use a filter that selects one",
            ),
        ],
    },
    Group {
        kind: ErrorKind::InvalidPath,
        errors: &[
            (
                "{path} is not an attribute path",
                "`path` of a PATCH operation, or a setting of `mapping.`, is malformed",
                "Correct it: `emails[type eq \"work\"].value`",
            ),
            (
                "A {type} has no attribute {path}",
                "No schema defines the attribute",
                "Correct the mapping of the client, or add a custom schema",
            ),
            (
                "{path}: {error}",
                "The filter in the brackets of the path is wrong",
                "Correct it. The text has the position",
            ),
            (
                "{path}: found {text} after the brackets, expected \".\" or the end",
                "After the brackets is something else than a sub-attribute",
                "Correct it",
            ),
            (
                "{path}: only a complex attribute can have a filter",
                "The attribute has simple values",
                "Leave out the brackets",
            ),
            ("path is {bytes} bytes; the maximum is {maximum}", "The path is too long", "Send a shorter one"),
            (
                "The path has a filter; to add members, use the path members",
                "`add` has the path `members[…]`",
                "Send the path `members` and the members as value",
            ),
            (
                "Resources cannot be sorted by {path}; use a readable attribute with simple values, such as displayName",
                "`sortBy` names a complex or secret attribute",
                "Sort by another attribute",
            ),
            (
                "sortBy is {path}; it must be an attribute path, such as name.familyName",
                "`sortBy` is malformed",
                "Correct it",
            ),
            (
                "sortBy is {path}; the queried resources have no such attribute",
                "No schema defines the attribute",
                "Correct it",
            ),
            (
                "{path}: only an attribute with several values can have a filter",
                "The connector is `strict`",
                "Leave out the brackets, or set `strict=false`",
            ),
            (
                "{path}: name a sub-attribute after the filter, such as .value",
                "The connector is `strict`",
                "Name the sub-attribute, or set `strict=false`",
            ),
            (
                "{path} does not name an attribute of a {type}",
                "A setting of `mapping.` names an unknown attribute",
                "Correct it",
            ),
            (
                "{path} is generated for each response; name an attribute that is stored",
                "A setting of `mapping.` names `id`, `meta` or `groups`",
                "Name another attribute",
            ),
            (
                "{path} is never returned; name another attribute",
                "A setting of `mapping.` names a secret",
                "Name another attribute",
            ),
            (
                "{path} is not text; name a text attribute, such as emails.value",
                "A setting of `mapping.` names an attribute of another type",
                "Name a text attribute",
            ),
        ],
    },
    Group {
        kind: ErrorKind::NoTarget,
        errors: &[
            ("remove requires a path", "RFC 7644 §3.5.2.2", "Send `path`"),
            (
                "No element of {name} matches the filter; to create one, use a filter of eq comparisons",
                "The filter of a PATCH path selects nothing, and Rollcall cannot make an element of it",
                "Use `eq`, or add the element",
            ),
            (
                "The value of {name} does not match the filter",
                "The filter of a path on an attribute with one value is false",
                "Read the resource, and correct the filter",
            ),
            (
                "The filter matches no member, and does not name one by its value",
                "A PATCH path selects members by another sub-attribute, and none has it",
                "Select by `value`",
            ),
        ],
    },
    Group {
        kind: ErrorKind::Mutability,
        errors: &[
            (
                "{name} is read-only",
                "The client changes `id`, `meta` or `groups`",
                "Leave it out. The groups of a user change by a PATCH of the group",
            ),
            (
                "{name} is required and cannot be removed",
                "The client removes `userName` or `displayName`",
                "Replace it",
            ),
            (
                "{name} is immutable and already has a value",
                "The schema lets the attribute be set once",
                "Leave it out",
            ),
            (
                "The sub-attributes of a member are immutable; remove the member and add it with other values",
                "A PATCH changes `members[…].type` or the like",
                "Remove the member, and add it again",
            ),
        ],
    },
    Group {
        kind: ErrorKind::TooMany,
        errors: &[
            (
                "The query would read all {number} resources; the maximum is {maximum}. Filter on an indexed attribute, using eq, sw or gt",
                "The filter has no indexed attribute, and the directory is large",
                "Filter on an [indexed attribute](../operate/limits.md#the-directory-of-a-connector)",
            ),
            (
                "The query would sort {number} resources; the maximum is {maximum}. Use a filter that matches fewer",
                "`sortBy` with too many results",
                "Use a filter, or leave out `sortBy`",
            ),
            (
                "The resource is larger than {bytes} bytes, the maximum of a response; ask with excludedAttributes=members",
                "A group with very many members",
                "Ask with `excludedAttributes=members`, accept gzip, or use the directory API",
            ),
            (
                "Entry {id} is larger than {bytes} bytes, the maximum of a response",
                "Directory API: a user is in very many groups",
                "Read the groups instead",
            ),
        ],
    },
    Group {
        kind: ErrorKind::InvalidCursor,
        errors: &[(
            "The cursor is not valid for this query; request the first page again",
            "The cursor is of another query, or was changed",
            "Ask without a cursor",
        )],
    },
    Group {
        kind: ErrorKind::ExpiredCursor,
        errors: &[(
            "The cursor is older than {seconds} seconds, the maximum; request the first page again",
            "More than an hour passed between two pages",
            "Ask without a cursor",
        )],
    },
    Group {
        kind: ErrorKind::InvalidCount,
        errors: &[
            (
                "count is {number}; with a cursor it must be from 1 to {maximum}",
                "RFC 9865 §2.1",
                "Correct `count`",
            ),
            (
                "count is {number}; it must be {number}, as on the first page",
                "`count` differs from that of the first page",
                "Send the same `count` for all pages",
            ),
        ],
    },
];
